"""The file that the TUI draws on."""

import os
import threading

from textual.drivers._writer_thread import MAX_QUEUED_WRITES, WriterThread

from gptterm.tui.stderr_guard import TerminalFile
from tests.tui.terminal import PATIENCE_S


def test_to_draw_on_a_closed_terminal_blocks_nobody() -> None:
    own, terminal = os.openpty()
    with TerminalFile(terminal) as file:
        drawing = WriterThread(file)
        drawing.start()
        drawing.write("a frame")
        assert os.read(own, 100) == b"a frame"
        os.close(own)

        def draw() -> None:
            for _ in range(MAX_QUEUED_WRITES + 2):
                drawing.write("another frame")
            drawing.stop()

        drawer = threading.Thread(target=draw, daemon=True)
        drawer.start()
        drawer.join(PATIENCE_S)
        assert not drawer.is_alive()


def test_what_does_not_reach_a_closed_terminal_is_not_kept() -> None:
    own, terminal = os.openpty()
    os.close(own)
    file = TerminalFile(terminal)
    for _ in range(3):
        assert file.write("x" * 100_000) == 100_000
        file.flush()
    file.close()

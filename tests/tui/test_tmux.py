"""The TUI in tmux, a terminal with widths and pastes of its own."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gptterm.tui.fields import FIELDS
from tests.store.chats import talk
from tests.support.scripted import Script, write_script
from tests.support.waiting import wait_until
from tests.tui.saved import fill
from tests.tui.test_terminal_output import INDIC

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux")


class Tmux:
    """A server of its own with the TUI in its first window."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        variables = (f"GPTTERM_HOME={folder}", "LC_ALL=C.UTF-8", "TERM=tmux-256color")
        self.run(
            *("-f", "/dev/null", "-u", "new-session", "-d", "-s", "tui", "-x", "110", "-y", "30"),
            *(
                "env",
                *variables,
                sys.executable,
                "-m",
                "tests.tui.played",
                str(folder),
                "conversation=last",
            ),
        )

    def run(self, *arguments: str) -> str:
        """The output of a command of tmux."""
        command = ["tmux", "-S", str(self.folder / "tmux"), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    @property
    def rows(self) -> list[str]:
        """The screen."""
        return self.run("capture-pane", "-p", "-t", "tui:0").split("\n")

    def shows(self, text: str) -> bool:
        """Whether a text is on the screen."""
        return any(text in row for row in self.rows)

    def columns_after(self, texts: list[str]) -> list[int]:
        """The column in which each text ends, by tmux's own widths."""
        asked, found = self.folder / "texts.json", self.folder / "columns.json"
        asked.write_text(json.dumps(texts))
        command = (sys.executable, "-m", "tests.tui.measured", str(asked), str(found))
        self.run("new-window", "-d", "-t", "tui:", *command)
        wait_until(found.exists, "the columns")
        return list(json.loads(found.read_text()))


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    """Tmux with a chat in scripts whose marks terminals measure differently."""
    write_script(tmp_path, Script.saying("Read."))
    fill(tmp_path / "history.db", talk(f"plain\n{INDIC}\n{INDIC}", f"|ভাষা|গল্প|\n|-|-|\n|{INDIC}|x|"))
    opened = Tmux(tmp_path)
    yield opened
    opened.run("kill-server")


def test_borders_and_pastes(tmux: Tmux) -> None:
    wait_until(lambda: tmux.shows("Message scripted, or") and tmux.shows("plain  "), "the chat")
    rows = tmux.rows
    # What stands right of the transcript: the labels of the samplers.
    labels = [f" {field.label} " for field in FIELDS if field.name != "seed"]
    beside = [row[: row.rindex(label)] for row in rows[1:15] for label in labels if label in row]
    assert len(beside) > 10
    assert len(set(tmux.columns_after(beside))) == 1

    buffer = tmux.folder / "buffer"
    buffer.write_bytes(b"log \x1b[31mRED\x1b[0m end\r\nsecond \x0e\x07 \xff")
    tmux.run("load-buffer", str(buffer))
    tmux.run("paste-buffer", "-p", "-r", "-t", "tui:0")
    wait_until(lambda: tmux.shows("second ␎␇ �"), "the paste")
    assert tmux.shows("log ␛[31mRED␛[0m end")

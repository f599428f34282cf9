"""Edit the prompt in $EDITOR, with the terminal lent to it."""

import contextlib
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from textual.app import SuspendNotSupported

from gptterm.environment import editor
from gptterm.terminal import one_line
from gptterm.tui.actions.chat_view import ChatView


def edit_prompt(view: ChatView) -> None:
    """Open the prompt's text in the user's editor, and read back what was saved."""
    command = editor()
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="gptterm-", suffix=".md", encoding="utf-8"
        ) as file:
            file.write(view.prompt.message)
            file.flush()
            code = _lend_terminal(view, [*shlex.split(command), file.name])
            # By name: an editor may have replaced the file.
            text = Path(file.name).read_text(encoding="utf-8", errors="replace")
    except SuspendNotSupported:
        view.show_notice("error", "this terminal cannot run an editor")
    except (OSError, ValueError) as error:
        view.show_notice("error", f"cannot run $EDITOR ({one_line(command)}): {error}")
    else:
        if code:
            view.show_notice(
                "error", f"{one_line(command)} exited with {code}; the prompt is unchanged"
            )
        else:
            view.prompt.put(text.removesuffix("\n"))
    view.app.refresh()


def _lend_terminal(view: ChatView, command: Sequence[str]) -> int:
    """Run a program in the terminal and return its exit code.

    Raises:
        SuspendNotSupported: The TUI cannot leave this terminal.
        OSError: The program cannot be run.
    """
    problem: OSError | None = None
    with view.app.suspend(), _uninterrupted():
        # An exception that left this block would keep the TUI suspended.
        try:
            # The TUI's terminal: descriptor 2 is a log, 1 may be a file.
            return subprocess.call(command, stdout=sys.__stderr__, stderr=sys.__stderr__)
        except OSError as error:
            problem = error
    raise problem


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ignore Ctrl+C, which the terminal sends to every program in it; hold other signals."""
    held: list[int] = []
    # Handlers, since the child would inherit SIG_IGN. The event loop would be told of each signal
    # through the descriptor, whatever the handler.
    descriptor = signal.set_wakeup_fd(-1)
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _: held.append(number)),
        signal.SIGHUP: signal.signal(signal.SIGHUP, lambda number, _: held.append(number)),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
        for late in held:
            signal.raise_signal(late)

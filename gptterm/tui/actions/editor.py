"""Edit the prompt in $EDITOR, which gets the terminal meanwhile."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from textual.app import SuspendNotSupported

from gptterm.terminal import one_line
from gptterm.tui.screens.parts import ChatParts


def edit_prompt(screen: ChatParts) -> None:
    """The prompt's text in the user's editor; what is saved comes back."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="gptterm-", suffix=".md", encoding="utf-8"
        ) as file:
            file.write(screen.prompt.message)
            file.flush()
            code = _lend_terminal(screen, [*shlex.split(command), file.name])
            # By its name: an editor may have put another file in its place.
            text = Path(file.name).read_text(encoding="utf-8", errors="replace")
    except SuspendNotSupported:
        screen.say("error", "this terminal cannot be lent to an editor")
    except (OSError, ValueError) as error:
        screen.say("error", f"$EDITOR ({one_line(command)}) cannot be run: {error}")
    else:
        if code:
            screen.say("error", f"{one_line(command)} ended with {code}; the prompt is as it was")
        else:
            screen.prompt.put(text.removesuffix("\n"))
    screen.app.refresh()


def _lend_terminal(screen: ChatParts, command: Sequence[str]) -> int:
    """Run a program in the terminal; its exit code.

    Raises:
        SuspendNotSupported: the terminal cannot be lent.
        OSError: the program cannot be run.
    """
    problem: OSError | None = None
    with screen.app.suspend(), _uninterrupted():
        # An error that leaves this block would leave the screen to the shell for good.
        try:
            # The terminal is what the TUI draws on: descriptor 2 is a log, 1 may be a file.
            return subprocess.call(command, stdout=sys.__stderr__, stderr=sys.__stderr__)
        except OSError as error:
            problem = error
    raise problem


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl+C, which the terminal sends to all programs in it, is for another one meanwhile."""
    # A function, for what is ignored would be ignored by the program, too.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

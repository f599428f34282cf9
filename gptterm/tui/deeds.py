"""What keys set off outside the TUI: copying, exporting, the editor."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from textual.app import SuspendNotSupported

from gptterm.config.paths import user_path
from gptterm.conversation.export import export as write_export
from gptterm.engine.process.daemon import in_daemon_thread
from gptterm.terminal import one_line
from gptterm.tui import clipboard
from gptterm.tui.screens.parts import ChatParts
from gptterm.tui.widgets.markdown import code_blocks

LONGEST_NAME = 40
"""Characters of the name that is proposed for an export."""


def copy(screen: ChatParts, text: str, what: str) -> None:
    """Copy, and say what was done."""
    driver = screen.app._driver
    if driver is not None:
        driver.write(clipboard.osc52(text, os.environ))
        driver.flush()

    async def by_tool() -> None:
        tool = await in_daemon_thread(lambda: clipboard.local_copy(text, os.environ))
        screen.say("info" if tool is None else "good", clipboard.outcome(what, text, tool))

    screen.run_worker(by_tool(), group="copy")


def copy_code(screen: ChatParts, text: str, number: int) -> None:
    """Copy code block `number` of a text, counted on from the first after the last."""
    blocks = code_blocks(text)
    if not blocks:
        screen.say("info", "there is no code block in this turn")
        return
    number %= len(blocks)
    copy(screen, blocks[number], f"code block {number + 1} of {len(blocks)}")


def copy_last_code(screen: ChatParts, text: str) -> None:
    """Copy the last code block of a text."""
    blocks = code_blocks(text)
    if blocks:
        copy(screen, blocks[-1], "the last code block")
    else:
        screen.say("info", "there is no code block in the reply")


def export(screen: ChatParts) -> None:
    """Ask for a file and write the chat to it."""
    from gptterm.tui.screens.ask import Asked, AskScreen

    tree = screen.session.chat.tree
    if not len(tree):
        screen.say("info", "there is nothing to export yet")
        return

    async def write(name: str) -> str:
        path = user_path(name)
        write_export(tree, path)
        return f"wrote {one_line(str(path))}"

    def done(sentence: str | None) -> None:
        if sentence is not None:
            screen.say("good", sentence)

    hint = ".md Markdown · .html page · .json everything, with token ids · .txt text"
    asked = Asked("export the chat", "write", hint, f"{_file_name(tree.title)}.md")
    screen.app.push_screen(AskScreen(asked, write), done)


def _file_name(title: str) -> str:
    """The first words of a title, as many as make a short name of a file."""
    words = "".join(c if c.isalnum() else " " for c in title.lower()).split()
    begun = textwrap.shorten(" ".join(words), LONGEST_NAME, placeholder="") or "".join(words[:1])
    return begun[:LONGEST_NAME].replace(" ", "-") or "chat"


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

"""Copy to the clipboard, and report exactly what is known to have happened."""

import base64
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from gptterm.format import plural
from gptterm.threads import in_daemon_thread
from gptterm.tui.actions.chat_view import ChatView, ScreenView
from gptterm.tui.textual_compat import write_to_terminal
from gptterm.tui.widgets.transcript.markdown import code_blocks

LOCAL_TOOLS: tuple[tuple[str, Sequence[str]], ...] = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard", "-in")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    ("", ("pbcopy",)),
    ("WSL_DISTRO_NAME", ("clip.exe",)),
)
"""Environment variable that a tool requires, and its command."""

TOOL_TIMEOUT_S = 2.0


def osc52(text: str, environ: Mapping[str, str]) -> str:
    """Return the OSC 52 sequence that asks the terminal to copy `text` to its clipboard.

    Inside tmux and screen it is wrapped so that it reaches the outer terminal too (xterm's
    control sequences; tmux(1), allow-passthrough).
    """
    payload = base64.b64encode(text.encode(errors="replace")).decode()
    sequence = f"\x1b]52;c;{payload}\x07"
    if environ.get("TMUX"):
        return sequence + "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if environ.get("TERM", "").startswith("screen"):
        return f"\x1bP{sequence}\x1b\\"
    return sequence


def local_tool(environ: Mapping[str, str]) -> Sequence[str] | None:
    """Return the command of this machine's clipboard, if there is one."""
    if environ.get("SSH_CONNECTION") and not environ.get("WAYLAND_DISPLAY"):
        # The remote machine's clipboard is not the one in front of the user.
        return None
    for variable, command in LOCAL_TOOLS:
        if (not variable or environ.get(variable)) and shutil.which(command[0]):
            return command
    return None


def local_copy(text: str, environ: Mapping[str, str]) -> str | None:
    """Copy `text` to this machine's clipboard; return the tool that did it, if one did."""
    if (command := local_tool(environ)) is None:
        return None
    try:
        subprocess.run(
            command,
            input=text.encode(errors="replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TOOL_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return command[0]


def outcome(what: str, text: str, tool: str | None) -> str:
    """Say what was done, and no more: terminals do not confirm OSC 52."""
    size = plural(len(text), "character")
    if tool is not None:
        return f"copied {what} ({size}, by {tool})"
    return f"sent {what} to the terminal's clipboard ({size}; terminals do not confirm it)"


def copy(view: ScreenView, text: str, what: str) -> None:
    """Copy a text by OSC 52 and by a local tool, and report which of them did."""
    write_to_terminal(view.app, osc52(text, os.environ))

    async def by_tool() -> None:
        tool = await in_daemon_thread(lambda: local_copy(text, os.environ))
        view.show_notice("info" if tool is None else "good", outcome(what, text, tool))

    view.run_worker(by_tool, group="copy")


def copy_next_code(view: ChatView, key: str, text: str) -> None:
    """Copy the first code block of a turn; called again for the same turn, the next one."""
    blocks = code_blocks(text)
    if not blocks:
        view.show_notice("info", "there is no code block in this turn")
        return
    last_key, last = view.copied_code
    number = (last + 1) % len(blocks) if last_key == key else 0
    view.copied_code = (key, number)
    copy(view, blocks[number], f"code block {number + 1} of {len(blocks)}")


def copy_last_code(view: ChatView, text: str) -> None:
    """Copy the last code block of a text."""
    blocks = code_blocks(text)
    if blocks:
        copy(view, blocks[-1], "the last code block")
    else:
        view.show_notice("info", "there is no code block in the reply")

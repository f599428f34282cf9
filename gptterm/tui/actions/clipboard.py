"""Copying, and saying exactly what is known to have happened."""

import base64
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from gptterm.threads import in_daemon_thread
from gptterm.tui.screens.parts import ChatParts
from gptterm.tui.widgets.transcript.markdown import code_blocks

LOCAL_TOOLS: tuple[tuple[str, Sequence[str]], ...] = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard", "-in")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    ("", ("pbcopy",)),
    ("WSL_DISTRO_NAME", ("clip.exe",)),
)
"""The variable without which a tool does not work, and its command."""

TOOL_TIMEOUT_S = 2.0


def osc52(text: str, environ: Mapping[str, str]) -> str:
    """The sequence that asks the terminal to put `text` on its clipboard.

    Inside tmux it is wrapped so that it reaches the terminal outside too, and inside screen
    likewise (xterm's control sequences; tmux(1), allow-passthrough).
    """
    payload = base64.b64encode(text.encode(errors="replace")).decode()
    sequence = f"\x1b]52;c;{payload}\x07"
    if environ.get("TMUX"):
        return sequence + "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if environ.get("TERM", "").startswith("screen"):
        return f"\x1bP{sequence}\x1b\\"
    return sequence


def local_tool(environ: Mapping[str, str]) -> Sequence[str] | None:
    """The command of this machine's clipboard, if there is one."""
    if environ.get("SSH_CONNECTION") and not environ.get("WAYLAND_DISPLAY"):
        # The clipboard over there is not the one in front of the user.
        return None
    for variable, command in LOCAL_TOOLS:
        if (not variable or environ.get(variable)) and shutil.which(command[0]):
            return command
    return None


def local_copy(text: str, environ: Mapping[str, str]) -> str | None:
    """Put `text` on this machine's clipboard. The name of the tool that did it, if one did."""
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
    """The sentence that says what was done. Terminals do not confirm OSC 52."""
    size = f"{len(text):,} characters"
    if tool is not None:
        return f"copied {what} ({size}, by {tool})"
    return f"sent {what} to the terminal's clipboard ({size}; terminals do not confirm it)"


def copy(screen: ChatParts, text: str, what: str) -> None:
    """Copy, and say what was done."""
    driver = screen.app._driver
    if driver is not None:
        driver.write(osc52(text, os.environ))
        driver.flush()

    async def by_tool() -> None:
        tool = await in_daemon_thread(lambda: local_copy(text, os.environ))
        screen.say("info" if tool is None else "good", outcome(what, text, tool))

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

"""The TUI. Importing this package is cheap; `run` imports what it needs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gptterm.config import Settings
    from gptterm.tui.outcome import GoOnPlain


def log_file() -> "Path":
    """Where what libraries write to stderr goes while the TUI draws there."""
    from gptterm.engine.process.log import default_log

    return default_log().with_name("tui.log")


def run(
    settings: "Settings",
    prompt: str | None = None,
    *,
    inline: bool = False,
    conversation: str | None = None,
    note: "Callable[[str], None]",
) -> "int | GoOnPlain":
    """Run the TUI until it is quit.

    Args:
        settings: The settings in effect.
        prompt: A first message.
        inline: Draw under the shell's prompt instead of on the whole screen.
        conversation: The chat to go on with: the beginning of its id, or `last`.
        note: Tells the user something when the screen is theirs again.

    Returns:
        The exit code, or the chat that is to go on without drawing.

    Raises:
        GpttermError: The chat to go on with is not there, or the TUI has failed.
    """
    from gptterm.errors import GpttermError
    from gptterm.terminal import one_line
    from gptterm.tui.app import GpttermApp
    from gptterm.tui.guard import stderr_to
    from gptterm.tui.outcome import GoOnPlain

    with stderr_to(log_file()):
        app = GpttermApp(settings, prompt, conversation=conversation)
        left = app.run(inline=inline, mouse=settings.tui.mouse)
    if app.refusal is not None:
        raise app.refusal
    if app.lost and not isinstance(left, GoOnPlain):
        note(f"what was said last is not kept: {app.lost}")
    if app.failure is not None:
        reason = one_line(f"{type(app.failure).__name__}: {app.failure}")
        raise GpttermError(f"internal error, {reason} ({log_file()} tells where)")
    return left or 0

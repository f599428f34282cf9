"""The TUI. Importing this package is cheap; `run` imports what it needs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gptterm.config import Settings
    from gptterm.tui.state.reply import GoOnPlain


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
    from gptterm.paths import tui_log
    from gptterm.terminal import one_line
    from gptterm.tui.app import GpttermApp
    from gptterm.tui.state.reply import GoOnPlain
    from gptterm.tui.stderr_guard import stderr_to

    with stderr_to(tui_log()):
        app = GpttermApp(settings, prompt, conversation=conversation)
        left = app.run(inline=inline, mouse=settings.tui.mouse)
    if app.refusal is not None:
        raise app.refusal
    if app.lost and not isinstance(left, GoOnPlain):
        note(f"what was said last is not kept: {app.lost}")
    if app.failure is not None:
        reason = one_line(f"{type(app.failure).__name__}: {app.failure}")
        raise GpttermError(f"internal error, {reason} ({tui_log()} tells where)")
    return left or 0

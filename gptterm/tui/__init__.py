"""The TUI. Importing this package is cheap; `run` imports what it needs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gptterm.config import Settings


def run(settings: "Settings", prompt: str | None = None, *, inline: bool = False) -> int:
    """Run the TUI until it is quit.

    Args:
        settings: The settings in effect.
        prompt: A first message.
        inline: Draw under the shell's prompt instead of on the whole screen.

    Returns:
        The exit code.
    """
    from gptterm.engine.log import default_log
    from gptterm.tui.app import GpttermApp
    from gptterm.tui.guard import stderr_to

    with stderr_to(default_log().with_name("tui.log")):
        code = GpttermApp(settings, prompt).run(inline=inline, mouse=settings.tui.mouse)
    return code or 0

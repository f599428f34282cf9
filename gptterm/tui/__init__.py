"""The TUI. Importing this package is cheap; `run` imports what it needs."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from gptterm.config import Settings
    from gptterm.tui.result import ContinuePlain


def run(
    settings: "Settings",
    prompt: str | None = None,
    *,
    inline: bool = False,
    conversation: str | None = None,
    write: bool = False,
    file: "Path | None" = None,
    document: str = "",
    beside: "Mapping[str, object] | None" = None,
    in_browser: bool = False,
    note: "Callable[[str], None]",
    leave: "Callable[[str], None] | None" = None,
) -> "int | ContinuePlain":
    """Run the TUI until the user quits.

    Args:
        settings: The settings in effect.
        prompt: A first message.
        inline: Draw below the shell's prompt instead of on the whole screen.
        conversation: The chat to open: the beginning of its id, or `last`; None: a new one.
        write: Begin in Write mode.
        file: The file of Write mode; None for the text that has none.
        document: Id of the document of Write mode, if it has no file.
        beside: Fields of its `DocumentSettings`, which replace those that are kept.
        in_browser: The session of a visitor of the web server, which stdin and stdout connect to.
        note: Prints a line for the user once the terminal is free again.
        leave: Prints the open chat's transcript then; None: it is not printed.

    Returns:
        The exit code, or the chat to continue in plain mode.

    Raises:
        GpttermError: The wanted chat does not exist, or the TUI has failed.
    """
    from gptterm.errors import GpttermError
    from gptterm.paths import tui_log
    from gptterm.terminal import one_line
    from gptterm.tui.app import GpttermApp
    from gptterm.tui.result import ContinuePlain
    from gptterm.tui.stderr_guard import log_to, stderr_to

    with log_to(tui_log()) if in_browser else stderr_to(tui_log()):
        app = GpttermApp(
            settings,
            prompt,
            conversation=conversation,
            write=write,
            file=file,
            document=document,
            beside=beside,
        )
        result = app.run(inline=inline, mouse=settings.tui.mouse)
    if app.refusal is not None:
        raise app.refusal
    if app.unsaved and not isinstance(result, ContinuePlain):
        note(f"the last messages were not saved: {app.unsaved}")
    if isinstance(app.failure, GpttermError):
        raise app.failure
    if app.failure is not None:
        reason = one_line(f"{type(app.failure).__name__}: {app.failure}")
        raise GpttermError(f"internal error, {reason} (see {tui_log()})")
    if result is None and not app.is_exiting:
        raise GpttermError(f"internal error: the screen was closed (see {tui_log()})")
    tree = app.controller.chat.tree
    if leave is not None and len(tree) and not isinstance(result, ContinuePlain):
        from gptterm.conversation.export import to_text

        leave(to_text(tree))
    return result or 0

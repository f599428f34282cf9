"""Show the help and the notices so far."""

from gptterm.tui.actions.chat_view import ChatView


def show_help(view: ChatView, *, commands_first: bool = False) -> None:
    """Show all keys and commands."""
    from gptterm.tui.dialogs.help import help_dialog

    view.app.push_screen(help_dialog(view.keymap, commands_first=commands_first))


def show_notices(view: ChatView) -> None:
    """Show all notices so far."""
    from gptterm.tui.dialogs.help import notices_dialog

    if not view.notice_line.history:
        view.show_notice("info", "there are no notices yet")
        return
    view.mark_warnings_read()
    view.app.push_screen(notices_dialog(view.notice_line.history))

"""Actions on turns: edit, regenerate, continue, copy."""

from gptterm.conversation.nodes import SYSTEM
from gptterm.tui.actions.busy import refuse_if_busy
from gptterm.tui.actions.chat_view import ChatView


def act(view: ChatView, action: str, key: str) -> None:
    """Run an action of the transcript's keys on a turn, or on the system text."""
    from gptterm.tui.actions import clipboard, export

    tree = view.controller.chat.tree
    if key != SYSTEM and key not in tree:
        return
    # The system text is shown like a turn, but is none.
    text = tree.system if key == SYSTEM else tree.node(key).text
    match action:
        case "edit":
            edit(view, key)
        case "regenerate" if key == SYSTEM:
            view.show_notice("info", "there is no reply to regenerate here")
        case "regenerate":
            regenerate(view, key)
        case "copy":
            clipboard.copy(view, text, "the system text" if key == SYSTEM else "the turn")
        case "copy_code":
            clipboard.copy_next_code(view, key, text)
        case "export":
            export.export(view)
        case "alternatives":
            view.show_alternatives(key)
        case "tint":
            view.cycle_tints()


def edit(view: ChatView, key: str) -> None:
    """Put a turn's text into the prompt; sent, it becomes a branch."""
    if not refuse_if_busy(view):
        view.turn_editor.begin(key)


def regenerate(view: ChatView, key: str | None = None) -> None:
    """Add a sibling to a reply, by default the last one."""
    if not refuse_if_busy(view) and not view.controller.regenerate(key):
        view.show_notice("info", "there is no reply to regenerate")


def continue_last(view: ChatView) -> None:
    """Continue the last reply where it stopped."""
    if not refuse_if_busy(view) and not view.controller.continue_reply():
        view.show_notice("info", "there is no reply to continue")

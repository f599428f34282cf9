"""Walk the branches of the open chat on a map."""

from gptterm.conversation.branches import ChatBranch, chat_branches
from gptterm.tui.actions.busy import refuse_if_busy
from gptterm.tui.actions.chat_view import ChatView


def show_map(view: ChatView) -> None:
    """Show the map of the branches; the transcript follows the walk."""
    from gptterm.tui.dialogs.branch_map import BranchMap

    controller = view.controller
    tree = controller.chat.tree
    if refuse_if_busy(view):
        return
    if not len(tree):
        view.show_notice("info", "there are no turns yet")
        return
    selected = view.transcript.selected_key
    begun = tree.leaf
    current = selected if selected in tree else begun

    def branches() -> list[ChatBranch]:
        return chat_branches(tree, current)

    def walk(branch: ChatBranch) -> None:
        nonlocal current
        current = branch.first
        if controller.chat.tree is tree:
            controller.select_turn(branch.last)
            view.show_chat()
            view.transcript.select_turn(branch.first)

    def rename(branch: ChatBranch, name: str) -> None:
        if controller.chat.tree is tree:
            controller.name_branch(branch.first, name)
            view.show_chat(keep_scroll=True)

    def done(keep: bool | None) -> None:
        if not keep and begun is not None and controller.chat.tree is tree:
            controller.select_turn(begun)
            view.show_chat()
            view.focus_prompt()

    view.app.push_screen(BranchMap(branches, walk, rename), done)

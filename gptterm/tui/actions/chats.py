"""Actions on chats: new, rename, pin, archive, duplicate, delete, import, search."""

import os
from functools import partial

from gptterm.errors import UsageError
from gptterm.format import byte_size
from gptterm.paths import dropped_paths
from gptterm.tui.actions.busy import say_busy
from gptterm.tui.actions.chat_view import ChatView
from gptterm.tui.dialogs.input import InputDialog, InputRequest
from gptterm.tui.state.chat_entries import Entry
from gptterm.tui.widgets.chats import ChatsPane


def new(view: ChatView) -> None:
    """Begin a new chat."""
    view.controller.chat_list.new_chat()
    view.focus_prompt()


def act(view: ChatView, action: str, key: str) -> None:
    """Run an action of the chats pane's keys on a chat."""
    chat_list = view.controller.chat_list
    match action:
        case "undo":
            view.run_worker(chat_list.changes.undo)
        case "archived":
            view.run_worker(chat_list.toggle_archived)
        case "import":
            import_files(view)
    entry = next((entry for entry in chat_list.entries() if entry.key == key), None)
    if entry is None:
        return
    match action:
        case "rename":
            _rename(view, entry)
        case "pin":
            view.run_worker(partial(chat_list.changes.toggle_pin, entry))
        case "archive":
            view.run_worker(partial(chat_list.changes.toggle_archive, entry))
        case "duplicate":
            view.run_worker(partial(chat_list.changes.duplicate, entry))
        case "delete":
            _delete(view, key)


def _delete(view: ChatView, key: str) -> None:
    controller = view.controller
    if any(chat.key == key and controller.is_busy(chat) for chat in controller.chat_list.chats):
        say_busy(view)
        return
    entry = next(entry for entry in controller.chat_list.entries() if entry.key == key)
    undo = view.keymap.first(ChatsPane.BINDINGS, "chats.undo")
    view.run_worker(partial(controller.chat_list.delete, entry, undo))


def _rename(view: ChatView, entry: Entry) -> None:
    async def submit(value: str) -> str:
        await view.controller.chat_list.rename(entry.key, value)
        return ""

    text = entry.document
    own = "the name of its file" if text is not None and text.path else "its first line"
    what = "chat" if text is None else "text"
    request = InputRequest(f"rename the {what}", "rename", f"leave empty for {own}", entry.title)
    view.app.push_screen(InputDialog(request, submit))


def drop(view: ChatView, pasted: str) -> None:
    """Offer to import files that are dropped on the pane: the terminal pastes their paths."""
    if pasted.strip() and all(map(os.path.lexists, dropped_paths(pasted))):
        import_files(view, pasted)


def import_files(view: ChatView, paths: str = "") -> None:
    """Ask which files to import, and import them.

    Args:
        paths: What the dialog begins with.
    """

    async def submit(value: str) -> str:
        if not value:
            raise UsageError("type the name of a file or a folder, or drop it here")
        return await view.controller.chat_list.import_files(dropped_paths(value), progress)

    def progress(read: int, size: int) -> None:
        dialog.tell(f"read {byte_size(read)} of {byte_size(max(read, size))} …")

    def done(sentence: str | None) -> None:
        if sentence is not None:
            view.show_notice("good", sentence)

    hint = "what ChatGPT, Claude, Open WebUI, LM Studio or gptterm exported: a file or a folder"
    dialog = InputDialog(InputRequest("import chats", "import", hint, paths.strip()), submit)
    view.app.push_screen(dialog, done)


def search(view: ChatView) -> None:
    """Search all chats and go to the chosen turn, with the words highlighted."""
    from gptterm.tui.dialogs.search import Chosen, SearchDialog

    async def show(chosen: Chosen) -> None:
        from gptterm.store import match_finder

        await view.controller.chat_list.show(chosen.hit.conversation, chosen.hit.turn)
        # The transcript scrolls to the turn when it is laid out, which is later.
        view.transcript.highlight(match_finder(chosen.query))

    def done(chosen: Chosen | None) -> None:
        view.transcript.highlight(None)
        if chosen is not None:
            view.run_worker(partial(show, chosen))

    view.app.push_screen(SearchDialog(view.controller.chat_list.search), done)

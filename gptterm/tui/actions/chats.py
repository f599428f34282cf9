"""What the keys of the chats pane do with a chat, and the search over all of them."""

from gptterm.paths import user_path
from gptterm.tui.dialogs.input import InputDialog, InputRequest
from gptterm.tui.screens.parts import ChatParts
from gptterm.tui.widgets.chats import ChatsPane


def act(screen: ChatParts, action: str, key: str) -> None:
    """Do what a key of the pane asks for."""
    chat_list = screen.controller.chat_list
    if action == "undo":
        screen.run_worker(chat_list.undelete())
        return
    if action == "archived":
        screen.run_worker(chat_list.toggle_archived())
        return
    if action == "import":
        _import(screen)
        return
    entry = next((entry for entry in chat_list.entries() if entry.key == key), None)
    if entry is None:
        return
    match action:
        case "rename":
            _rename(screen, key, entry.title)
        case "pin":
            screen.run_worker(chat_list.pin(entry))
        case "archive":
            screen.run_worker(chat_list.archive(entry))
        case "duplicate":
            screen.run_worker(chat_list.duplicate(key))
        case "delete":
            _delete(screen, key)


def _delete(screen: ChatParts, key: str) -> None:
    controller = screen.controller
    if any(chat.key == key and controller.busy_with(chat) for chat in controller.chat_list.chats):
        screen.say_stop_first()
        return
    entry = next(entry for entry in controller.chat_list.entries() if entry.key == key)
    undo = screen.keymap.first(ChatsPane.BINDINGS, "chats.undo")
    screen.run_worker(controller.chat_list.delete(entry, undo))


def _rename(screen: ChatParts, key: str, title: str) -> None:
    async def submit(value: str) -> str:
        await screen.controller.chat_list.rename(key, value)
        return ""

    asked = InputRequest("rename the chat", "rename", "empty: its first line again", title)
    screen.app.push_screen(InputDialog(asked, submit))


def _import(screen: ChatParts) -> None:
    async def submit(value: str) -> str:
        return await screen.controller.chat_list.read_file(user_path(value))

    def done(sentence: str | None) -> None:
        if sentence is not None:
            screen.say("good", sentence)

    hint = "gptterm's .json, ChatGPT's conversations.json, or its .zip"
    screen.app.push_screen(
        InputDialog(InputRequest("import chats", "read the file", hint), submit), done
    )


def search(screen: ChatParts) -> None:
    """Search all chats; go to the turn that is chosen, with the words marked in the chat."""
    from gptterm.tui.dialogs.search import Chosen, SearchDialog

    async def show(chosen: Chosen) -> None:
        from gptterm.store import match_finder

        await screen.controller.chat_list.show(chosen.hit.conversation, chosen.hit.turn)
        # Before the turn is gone to, which happens when the transcript is laid out.
        screen.transcript.highlight(match_finder(chosen.query))

    def done(chosen: Chosen | None) -> None:
        screen.transcript.highlight(None)
        if chosen is not None:
            screen.run_worker(show(chosen))

    screen.app.push_screen(SearchDialog(screen.controller.chat_list.search), done)

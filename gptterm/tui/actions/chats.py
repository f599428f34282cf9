"""What the keys of the chats pane do with a chat, and the search over all of them."""

from gptterm.paths import user_path
from gptterm.tui.screens.ask import Asked, AskScreen
from gptterm.tui.screens.parts import ChatParts
from gptterm.tui.widgets.chats import ChatList


def act(screen: ChatParts, action: str, key: str) -> None:
    """Do what a key of the pane asks for."""
    shelf = screen.session.shelf
    if action == "undo":
        screen.run_worker(shelf.undelete())
        return
    if action == "archived":
        screen.run_worker(shelf.toggle_archived())
        return
    if action == "import":
        _import(screen)
        return
    entry = next((entry for entry in shelf.entries() if entry.key == key), None)
    if entry is None:
        return
    match action:
        case "rename":
            _rename(screen, key, entry.title)
        case "pin":
            screen.run_worker(shelf.pin(entry))
        case "archive":
            screen.run_worker(shelf.archive(entry))
        case "duplicate":
            screen.run_worker(shelf.duplicate(key))
        case "delete":
            _delete(screen, key)


def _delete(screen: ChatParts, key: str) -> None:
    session = screen.session
    if any(chat.key == key and session.busy_with(chat) for chat in session.shelf.chats):
        screen.say_stop_first()
        return
    entry = next(entry for entry in session.shelf.entries() if entry.key == key)
    undo = screen.keys.first(ChatList.BINDINGS, "chats.undo")
    screen.run_worker(session.shelf.delete(entry, undo))


def _rename(screen: ChatParts, key: str, title: str) -> None:
    async def take(value: str) -> str:
        await screen.session.shelf.rename(key, value)
        return ""

    asked = Asked("rename the chat", "rename", "empty: its first line again", title)
    screen.app.push_screen(AskScreen(asked, take))


def _import(screen: ChatParts) -> None:
    async def take(value: str) -> str:
        return await screen.session.shelf.read_file(user_path(value))

    def done(sentence: str | None) -> None:
        if sentence is not None:
            screen.say("good", sentence)

    hint = "gptterm's .json, ChatGPT's conversations.json, or its .zip"
    screen.app.push_screen(AskScreen(Asked("import chats", "read the file", hint), take), done)


def search(screen: ChatParts) -> None:
    """Search all chats; go to the turn that is chosen, with the words marked in the chat."""
    from gptterm.tui.screens.search import Chosen, SearchScreen

    async def show(chosen: Chosen) -> None:
        from gptterm.store import finder

        await screen.session.shelf.show(chosen.hit.conversation, chosen.hit.turn)
        # Before the turn is gone to, which happens when the transcript is laid out.
        screen.transcript.highlight(finder(chosen.query))

    def done(chosen: Chosen | None) -> None:
        screen.transcript.highlight(None)
        if chosen is not None:
            screen.run_worker(show(chosen))

    screen.app.push_screen(SearchScreen(screen.session.shelf.search), done)

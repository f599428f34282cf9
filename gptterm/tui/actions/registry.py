"""Actions of the chat screen's keys by name: `run('search')` in a binding runs `search`."""

from collections.abc import Callable, Mapping

from gptterm.tui.actions import (
    branches,
    chats,
    editor,
    export,
    help_pages,
    navigation,
    pickers,
    tasks,
    turns,
)
from gptterm.tui.actions.chat_view import ChatView

ACTIONS: Mapping[str, Callable[[ChatView], None]] = {
    "stop": lambda view: view.press_escape(),
    "regenerate": turns.regenerate,
    "continue": turns.continue_last,
    "new_chat": chats.new,
    "search": chats.search,
    "choose_model": pickers.choose_model,
    "load_chat_model": pickers.load_chat_model,
    "presets": pickers.choose_preset,
    "theme": pickers.choose_theme,
    "tasks": tasks.choose_in_chat,
    "editor": editor.edit_prompt,
    "export": export.export,
    "branches": branches.show_map,
    "notices": help_pages.show_notices,
    "help": help_pages.show_help,
    "focus_prompt": navigation.focus_prompt,
    "page_up": navigation.page_up,
    "page_down": navigation.page_down,
    "begin": navigation.scroll_to_begin,
    "end": navigation.scroll_to_end,
}

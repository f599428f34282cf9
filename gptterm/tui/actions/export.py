"""Export the chat to a file."""

import textwrap

from gptterm.conversation.export import export as write_export
from gptterm.paths import user_path
from gptterm.terminal import one_line
from gptterm.tui.actions.chat_view import ChatView

LONGEST_NAME = 40
"""Characters of the file name proposed for an export."""


def export(view: ChatView) -> None:
    """Ask for a file name and write the chat to it."""
    from gptterm.tui.dialogs.input import InputDialog, InputRequest

    tree = view.controller.chat.tree
    if not len(tree):
        view.show_notice("info", "there is nothing to export yet")
        return

    async def write(name: str) -> str:
        path = user_path(name)
        write_export(tree, path)
        return f"wrote {one_line(str(path))}"

    def done(sentence: str | None) -> None:
        if sentence is not None:
            view.show_notice("good", sentence)

    hint = ".md Markdown · .html page · .json everything, with token ids · .txt text"
    request = InputRequest("export the chat", "write", hint, f"{file_name(tree.title)}.md")
    view.app.push_screen(InputDialog(request, write), done)


def file_name(title: str) -> str:
    """Return a short file name from the first words of a title."""
    words = "".join(c if c.isalnum() else " " for c in title.lower()).split()
    begun = textwrap.shorten(" ".join(words), LONGEST_NAME, placeholder="") or "".join(words[:1])
    return begun[:LONGEST_NAME].replace(" ", "-") or "chat"

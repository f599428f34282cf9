"""Export the chat, or the document of Write mode, to a file."""

import textwrap
from collections.abc import Callable
from pathlib import Path

from gptterm.conversation.export import export as write_export
from gptterm.paths import user_path
from gptterm.terminal import one_line
from gptterm.tui.actions.chat_view import ChatView, ScreenView
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.dialogs.input import InputDialog, InputRequest

LONGEST_NAME = 40
"""Characters of the file name proposed for an export."""


def export(view: ChatView) -> None:
    """Ask for a file name and write the chat to it."""
    tree = view.controller.chat.tree
    if not len(tree):
        view.show_notice("info", "there is nothing to export yet")
        return
    hint = ".md Markdown · .html page · .json everything, with token ids · .txt text"
    name = f"{file_name(tree.title)}.md"
    request = InputRequest("export the chat", "write", hint, name)
    ask_export(view, request, lambda path: write_export(tree, path))


def export_text(view: WriteView) -> None:
    """Ask for a file name and write the document of Write mode to it."""
    from gptterm.document.export import export_document

    file, document = view.writing.file, view.writing.document
    if not len(document):
        view.show_notice("info", "there is nothing to export yet")
        return
    hint = ".html tinted by surprisal · .json all versions, with ids and logprobs · .md .txt text"
    name = "text" if file is None else file.path.stem
    request = InputRequest("export the text", "write", hint, f"{name}.html")
    ask_export(view, request, lambda path: export_document(document, path))


def ask_export(view: ScreenView, request: InputRequest, write: Callable[[Path], None]) -> None:
    """Ask for a file name, and say what was written.

    Args:
        view: The screen.
        request: Texts of the dialog, with a file name to begin with.
        write: Writes the file.
    """

    async def submit(name: str) -> str:
        path = user_path(name)
        write(path)
        return f"wrote {one_line(str(path))}"

    def done(sentence: str | None) -> None:
        if sentence is not None:
            view.show_notice("good", sentence)

    view.app.push_screen(InputDialog(request, submit), done)


def file_name(title: str) -> str:
    """Return a short file name from the first words of a title."""
    words = "".join(c if c.isalnum() else " " for c in title.lower()).split()
    begun = textwrap.shorten(" ".join(words), LONGEST_NAME, placeholder="") or "".join(words[:1])
    return begun[:LONGEST_NAME].replace(" ", "-") or "chat"

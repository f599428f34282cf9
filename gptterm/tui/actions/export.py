"""Export the chat to a file."""

import textwrap

from gptterm.conversation.export import export as write_export
from gptterm.paths import user_path
from gptterm.terminal import one_line
from gptterm.tui.screens.parts import ChatParts

LONGEST_NAME = 40
"""Characters of the name that is proposed for an export."""


def export(screen: ChatParts) -> None:
    """Ask for a file and write the chat to it."""
    from gptterm.tui.dialogs.input import InputDialog, InputRequest

    tree = screen.controller.chat.tree
    if not len(tree):
        screen.say("info", "there is nothing to export yet")
        return

    async def write(name: str) -> str:
        path = user_path(name)
        write_export(tree, path)
        return f"wrote {one_line(str(path))}"

    def done(sentence: str | None) -> None:
        if sentence is not None:
            screen.say("good", sentence)

    hint = ".md Markdown · .html page · .json everything, with token ids · .txt text"
    asked = InputRequest("export the chat", "write", hint, f"{_file_name(tree.title)}.md")
    screen.app.push_screen(InputDialog(asked, write), done)


def _file_name(title: str) -> str:
    """The first words of a title, as many as make a short name of a file."""
    words = "".join(c if c.isalnum() else " " for c in title.lower()).split()
    begun = textwrap.shorten(" ".join(words), LONGEST_NAME, placeholder="") or "".join(words[:1])
    return begun[:LONGEST_NAME].replace(" ", "-") or "chat"

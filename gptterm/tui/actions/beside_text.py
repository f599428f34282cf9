"""Memory and author's note of the document of Write mode."""

from gptterm.document.settings import DocumentSettings
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.dialogs.beside_text import BesideTextDialog


def edit_beside_text(screen: WriteView) -> None:
    """Show the memory and the note, to be changed."""
    writing = screen.writing
    engine = writing.controller.engine

    def done(settings: DocumentSettings | None) -> None:
        if settings is not None and settings != writing.document.settings:
            writing.document.settings = settings
            screen.show_notice("good", "kept with the text, from its next continuation on")

    context = None if engine.info is None else engine.info.context_length
    dialog = BesideTextDialog(writing.document.settings, engine.count_tokens, context)
    screen.app.push_screen(dialog, done)

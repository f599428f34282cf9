"""The text that a model sees of a document: its memory, the text up to a place, its note."""

from gptterm.document.tree import Document
from gptterm.engine.api import MixedPrompt, ModelInfo

CHARS_A_TOKEN = 4
"""Of English text, for servers, whose tokenizers are not known."""


def seen_prompt(document: Document, place: int, info: ModelInfo) -> MixedPrompt:
    """Return the prompt that continues a document at a place. Memory and note are own lines."""
    settings = document.settings
    return MixedPrompt(
        parts=document.prompt_parts(place, info),
        memory=memory_of(document),
        note=note_of(document),
        note_depth=settings.note_depth,
    )


def memory_of(document: Document) -> str:
    """Return the line at the front of what a model sees; empty for none."""
    return _ended(document.settings.memory)


def note_of(document: Document) -> str:
    """Return the author's note, as lines of its own; empty for none."""
    note = document.settings.note
    return _ended(f"\n{note}") if note else ""


def beside_texts(document: Document) -> tuple[str, str]:
    """Return the memory and the note, as a model sees them."""
    return memory_of(document), note_of(document)


def seen_text(document: Document, place: int) -> str:
    """Return the same as one text, in which the note is before the word at about its depth."""
    settings, text = document.settings, document.text[:place]
    if settings.note:
        at = max(0, len(text) - CHARS_A_TOKEN * settings.note_depth)
        at = max(text.rfind(" ", 0, at), text.rfind("\n", 0, at), 0) if at < len(text) else at
        text = f"{text[:at]}\n{_ended(settings.note)}{text[at:]}"
    return memory_of(document) + text


def _ended(text: str) -> str:
    """A text with a line end at its end, if it has any character."""
    return text if not text or text.endswith("\n") else f"{text}\n"

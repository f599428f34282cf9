"""The text that a model sees: memory, text and note, for its own tokenizer and for a server."""

from gptterm.document.seen import seen_prompt, seen_text
from gptterm.document.settings import DocumentSettings
from gptterm.document.tree import Document
from gptterm.engine.api import TextPrompt
from tests.document.test_tree import INFO


def test_memory_and_note_are_lines_of_their_own() -> None:
    document = Document()
    document.replace(0, 0, "The old king had three sons and a horse.")
    assert seen_text(document, 12) == "The old king"
    prompt = seen_prompt(document, 12, INFO)
    assert (prompt.parts, prompt.memory, prompt.note) == (
        (TextPrompt(text="The old king"),), "", "",
    )  # fmt: skip
    document.settings = DocumentSettings(memory="A tale.", note="gloomy\n", note_depth=2)
    prompt = seen_prompt(document, 12, INFO)
    assert (prompt.memory, prompt.note, prompt.note_depth) == ("A tale.\n", "\ngloomy\n", 2)
    assert seen_text(document, 12) == "A tale.\nThe\ngloomy\n old king"
    document.settings = DocumentSettings(note="gloomy", note_depth=0)
    assert seen_text(document, 12) == "The old king\ngloomy\n"
    document.settings = DocumentSettings(note="gloomy", note_depth=99)
    assert seen_text(document, 12) == "\ngloomy\nThe old king"

"""Exports of documents: complete, escaped, and only to new files."""

import json
import re
from html import unescape
from pathlib import Path

import pytest

from gptterm.document.export import export_document, to_html, to_json
from gptterm.document.pruning import Pruning
from gptterm.document.tree import Document
from gptterm.errors import UsageError
from tests.document.test_tree import written


@pytest.fixture
def document() -> Document:
    """Typed, continued, undone, continued again."""
    made = Document()
    made.replace(0, 0, "<b>Once\x1b</b>")
    written(made, 7, [0, 2, 3, 4])
    made.undo()
    written(made, 7, [1, 6])
    return made


def test_json_has_every_version_with_its_tokens(document: Document) -> None:
    data = json.loads(to_json(document))
    assert data["text"] == document.text
    assert data["current"] == document.current
    assert [edit["id"] for edit in data["edits"]] == [edit.id for edit in document.edits()]
    first, second = (edit["tokens"] for edit in data["edits"] if "tokens" in edit)
    assert [token["id"] for token in first] == [0, 2, 3, 4]
    assert first[1]["bytes"] + first[2]["bytes"] == list("é".encode())
    assert [token["logprob"] for token in second] == [-0.5, -3.0]
    assert "".join(token["piece"] for token in second) == data["edits"][2]["text"]
    assert data["edits"][1]["run"]["model"] == "m"


def test_html_shows_every_character_and_tints_tokens(document: Document) -> None:
    page = to_html(document, "a <title>")
    main = re.search(r"<main[^>]*>(.*)</main>", page, re.DOTALL)
    assert main is not None
    assert unescape(re.sub(r"<[^>]*>", "", main[1])) == document.text.replace("\x1b", "␛")
    assert "<b>" not in page
    assert main[1].count("<span") == 2
    assert 'title="4.3 bits"' in main[1]  # 3 nats
    document.undo()
    document.redo()
    document.go(document.children(document.edit(document.current or "").parent)[0])
    # The two tokens of é share a tint.
    assert to_html(document, "x").count('bits">') == 3


@pytest.mark.parametrize("suffix", [".txt", ".md"])
def test_text_is_the_text(document: Document, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    export_document(document, path)
    assert path.read_text() == document.text
    with pytest.raises(UsageError, match="exists already"):
        export_document(document, path)
    with pytest.raises(UsageError, match="must end in"):
        export_document(document, tmp_path / "out.doc")


def test_what_is_pruned_is_left_out_and_bookmarks_are_told() -> None:
    document = Document()
    kept = document.replace(0, 0, "kept")
    document.bookmarks[kept] = 2
    document.replace(4, 4, " gone")
    document.replace(9, 9, " too")
    Pruning(document).prune(document.path()[1])
    (edit,) = json.loads(to_json(document))["edits"]
    assert (edit["text"], edit["bookmark"]) == ("kept", 2)

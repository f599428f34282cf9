"""Texts of loom and mikupad become documents, with branches, bookmarks, memory and samplers."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from gptterm.document.branches import BranchMap
from gptterm.document.export import to_json
from gptterm.document.settings import DocumentSettings
from gptterm.document.tree import Document
from gptterm.store import History
from gptterm.store.imports.parsed_document import ImportedDocument
from tests.document.test_tree import written
from tests.store.chats import check_integrity
from tests.store.imports.exports import import_into, import_json, linear, reader
from tests.store.imports.test_fuzz import DAMAGE, bytes_changed, damaged, paths


def node(name: str, text: str, *children: object, ai: bool = False, **more: object) -> Any:
    meta = {"creation_timestamp": "2023-02-13-20.57.56", "source": "AI" if ai else "prompt"}
    return {"id": name, "text": text, "children": list(children), "meta": meta, **more}


LOOM = {
    "chapters": {"c1": {"id": "c1", "title": "The fork"}},
    "generation_settings": {"model": "davinci", "global_context": "A tale."},
    "model_responses": {"cmpl-1": {"model": "code-davinci-002"}},
    "root": node(
        "r", "",
        node(
            "a", "Once upon",
            node("b", " a time", ai=True, generation={"id": "cmpl-1", "index": 0}),
            node("c", " a\ud83d\ude00", node("d", "!"), ai=True, tags=["bookmark"]),
            chapter_id="c1",
        ),
    ),
    "selected_node_id": "c",
}  # fmt: skip


def chunk(text: str, kind: str = "") -> dict[str, Any]:
    if kind:
        return {"type": kind, "content": text}
    probability = {"content": text, "probs": [{"tok_str": text, "prob": 0.5}]}
    return {"content": text, "stop": False, "completion_probabilities": [probability]}


MIKUPAD = {
    name: json.dumps(value)
    for name, value in {
        "name": "Miku",
        "prompt": [chunk("Once", "user"), chunk(" upon"), chunk(" a"), chunk(" time.", "user")],
        "temperature": 0.7,
        "topK": 7,
        "minP": 0.1,
        "enabledSamplers": ["temperature", "top_k"],
        "seed": -1,
        "maxPredictTokens": 64,
        "stoppingStrings": '["###"]',
        "memoryTokens": {"prefix": "<", "text": "A tale.\\n", "suffix": ">"},
        "authorNoteTokens": {"prefix": "[", "text": "", "suffix": "]"},
        "openaiModel": "gpt-4-base",
    }.items()
}


def own() -> Document:
    """A text of our own, with all that an export tells."""
    document = Document(id="own")
    document.replace(0, 0, "Once ")
    for _ in range(2):
        written(document, 5, [0, 2, 3, 4])
        document.undo()
    document.redo()
    document.names[document.current or ""] = "a name"
    document.bookmarks[document.replace(2, 3, "é")] = 4
    document.settings = DocumentSettings(
        memory="A tale.", values={"top_k": 7}, biases={"m": {5: None}}, words={"fox": None}
    )
    return document


TEXTS = {"loom": LOOM, "mikupad": MIKUPAD, "gptterm": json.loads(to_json(own()))}


def test_our_own_export_loses_nothing(history: History, tmp_path: Path) -> None:
    made = own()
    exported = json.loads(to_json(made))
    assert import_json(history, tmp_path, exported).as_object()["texts"] == {"new": 1}
    document = stored(history)
    assert (document.id, document.edits()) == (made.id, made.edits())
    assert (document.text, document.current) == (made.text, made.current)
    assert (document.names, document.bookmarks) == (made.names, made.bookmarks)
    assert (document.settings, document.spans) == (made.settings, made.spans)
    assert json.loads(to_json(document)) == exported
    # An export of a time when less was typed is a text of its own; once.
    earlier = damaged(exported, ("edits", 0, "text"), "Once up")
    for status in ("new", "unchanged"):
        assert import_json(history, tmp_path, earlier).as_object()["texts"] == {status: 1}
    assert len(history.documents()) == 2


def stored(history: History) -> Document:
    """The only document of a history."""
    (summary,) = history.documents()
    return history.open_document("", summary.id).document


def models(document: Document) -> set[tuple[str, str]]:
    return {(e.run.model, e.run.origin) for e in document.edits() if e.run is not None}


def test_a_tree_of_loom(history: History, tmp_path: Path) -> None:
    report = import_json(history, tmp_path, LOOM)
    assert report.lines() == ["imported 1 text"]
    document = stored(history)
    assert document.text == "Once upon a\N{GRINNING FACE}"
    assert [(each.text, each.depth, each.name) for each in BranchMap().branches(document)] == [
        ("Once upon", 0, "The fork"),
        (" a time", 1, ""),
        (" a\N{GRINNING FACE}!", 1, ""),
    ]
    assert models(document) == {("code-davinci-002", "loom"), ("loom", "loom")}
    assert document.bookmarks == {document.current: 12}
    assert document.settings.memory == "A tale."
    assert document.edits()[0].created == 1676321876.0
    assert [each.title for each in history.documents()] == ["The fork"]
    # Again: only what is new, and what was written here stays.
    saver = history.open_document("", document.id)
    mine = saver.document.replace(0, 0, "Mine: ")
    assert saver.flush()
    assert import_json(history, tmp_path, LOOM).lines() == [
        "nothing is new: 1 text was here already"
    ]
    more = damaged(LOOM, ("root", "children", 0, "children", 0, "text"), " another time")
    assert import_json(history, tmp_path, more).lines() == ["updated 1 text"]
    again = stored(history)
    assert again.current == mine
    assert len(again) == 6


def test_a_deep_tree_of_loom(history: History, tmp_path: Path) -> None:
    inner = node("last", "z")
    for number in range(300):
        inner = node(f"n{number}", "x ", inner)
    import_json(history, tmp_path, {"root": inner})
    assert len(stored(history).text) == 601
    file = tmp_path / "deeper.json"
    depth = 5000
    file.write_text('{"root":' + '{"text":"x","children":[' * depth + "]}" * depth + "}")
    assert "nested too deeply" in import_into(history, file).problems[0]


def test_a_session_of_mikupad(history: History, tmp_path: Path) -> None:
    report = import_json(history, tmp_path, MIKUPAD)
    assert report.as_object()["texts"] == {"new": 1}
    document = stored(history)
    assert document.text == "Once upon a time."
    assert [edit.text for edit in document.edits()] == ["Once", " upon a", " time."]
    assert models(document) == {("gpt-4-base", "mikupad")}
    settings = document.settings
    assert (settings.memory, settings.note) == ("<A tale.\n>", "")
    assert settings.values == {
        "temperature": 0.7, "top_k": 7, "max_tokens": 64, "stop": ["###"],
    }  # fmt: skip
    assert [each.title for each in history.documents()] == ["Miku"]


def test_a_dry_run_and_texts_beside_chats(history: History, tmp_path: Path) -> None:
    file = tmp_path / "all.json"
    file.write_text(json.dumps([LOOM, linear("user"), MIKUPAD, {"root": {"children": []}}]))
    report = import_into(history, file)
    assert report.lines() == [
        "imported 1 chat, imported 2 texts, 1 left out",
        "left out 1 chat: it is empty (all.json, no. 4)".replace("all.json", str(file)),
    ]
    assert len(history.documents()) == 2


def check(data: object) -> None:
    found, read = reader(data)
    for reason in (*found.left_out.counts, *found.unknown.counts):
        assert not reason.startswith("unreadable ("), (reason, data)
    for text in read:
        if isinstance(text, ImportedDocument):
            for edit in text.document.edits():
                text.document.go(edit.id)


@pytest.mark.parametrize("name", TEXTS)
def test_any_part_of_it(name: str) -> None:
    raw = TEXTS[name]
    for at in paths(raw):
        for damage in DAMAGE if at else ():
            check([damaged(raw, at, damage)])
    dice = random.Random(7)
    data = json.dumps(raw).encode()
    for _ in range(150):
        check(bytes_changed(data, dice))
    inner = json.loads(MIKUPAD["prompt"])
    for at in paths(inner):
        for damage in DAMAGE:
            check(MIKUPAD | {"prompt": json.dumps(damaged(inner, at, damage))})


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_odd_can_be_saved(history: History, path: Path, tmp_path: Path, name: str) -> None:
    dice = random.Random(11)
    ways = [at for at in paths(TEXTS[name]) if at]
    for _ in range(20):
        odd = damaged(TEXTS[name], dice.choice(ways), dice.choice(DAMAGE))
        import_json(history, tmp_path, [odd])
        assert not import_json(history, tmp_path, [odd]).texts["new"]
    for summary in history.documents():
        document = history.open_document("", summary.id).document
        for edit in document.edits():
            document.go(edit.id)
    check_integrity(path)

"""Export of documents: the text, a page tinted by surprisal, or the whole tree as JSON."""

import math
from pathlib import Path
from typing import Any

import msgspec

from gptterm.conversation.export import format_of, without_infinities, write_export
from gptterm.conversation.html_page import escaped, page
from gptterm.conversation.tinted_html import LEGEND, STYLES, tinted_span
from gptterm.document.edits import Edit
from gptterm.document.json_format import FORMAT, VERSION
from gptterm.document.tree import Document

_STYLES = """main { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }
footer { font-size: .75rem; opacity: .6; margin-top: 2rem; }
"""


def export_document(document: Document, path: Path, *, overwrite: bool = False) -> None:
    """Write a document to a file with mode 0600, a new one, in the format of its suffix.

    Raises:
        UsageError: unknown suffix, or the file exists.
        GpttermError: the file cannot be written.
    """
    form = format_of(path)
    if form == "json":
        text = to_json(document)
    elif form == "html":
        text = to_html(document, path.stem)
    else:
        text = document.text
    write_export(path, text, overwrite=overwrite)


def to_json(document: Document) -> str:
    """Render the versions that are not pruned, with their tokens, bytes and log probabilities.

    `gptterm history import` reads it again; see `gptterm.document.json_import`.
    """
    kept = _kept(document)
    data = {
        "format": FORMAT,
        "version": VERSION,
        "id": document.id,
        "current": document.current,
        "text": document.text,
        "settings": msgspec.to_builtins(document.settings),
        "selected": {
            edit.id: child for edit in kept if (child := document.selected_child(edit.id))
        },
        "edits": [_edit(document, edit) for edit in kept],
    }
    encoded = msgspec.json.encode(without_infinities(data))
    return msgspec.json.format(encoded, indent=1).decode() + "\n"


def _kept(document: Document) -> list[Edit]:
    """The edits that are not pruned, nor below one that is."""
    gone: set[str | None] = set()
    kept = []
    for edit in document.edits():
        if document.pruned.get(edit.id) is not None or edit.parent in gone:
            gone.add(edit.id)
        else:
            kept.append(edit)
    return kept


def _edit(document: Document, edit: Edit) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": edit.id,
        "parent": edit.parent,
        "start": edit.start,
        "removed": edit.removed,
        "text": edit.text,
        "created": edit.created,
    }
    if name := document.names.get(edit.id):
        found["name"] = name
    if (bookmark := document.bookmarks.get(edit.id)) is not None:
        found["bookmark"] = bookmark
    if edit.ids:
        found["tokens"] = _tokens(edit)
    if edit.run is not None:
        found["run"] = msgspec.to_builtins(edit.run)
        found["perplexity"] = edit.perplexity
    return found


def _tokens(edit: Edit) -> list[dict[str, Any]]:
    data, at, found = edit.text.encode(), 0, []
    for number, (token, length) in enumerate(zip(edit.ids, edit.lengths, strict=True)):
        piece, at = data[at : at + length], at + length
        each: dict[str, Any] = {"id": token, "piece": piece.decode("utf-8", "replace")}
        if each["piece"].encode() != piece:
            each["bytes"] = list(piece)
        if edit.logprobs:
            each["logprob"] = edit.logprobs[number]
        found.append(each)
    return found


def to_html(document: Document, title: str) -> str:
    """Render the version in view, the model's tokens tinted by surprisal."""
    parts, at = [], 0
    for span in document.spans:
        edit = document.edit(span.edit)
        parts.append(escaped(document.text[at : span.start]))
        at = span.end
        parts.append(_tinted(edit, span.first, span.first + span.tokens))
    parts.append(escaped(document.text[at:]))
    models = {edit.run.model for edit in document.edits() if edit.run is not None}
    foot = "Written by a person" + (f" and {', '.join(sorted(models))}" if models else "")
    legend = f". Tinted by {LEGEND}" if models else "."
    main = f'<main dir="auto" class="text">{"".join(parts)}</main>'
    footer = f'<footer class="text">{escaped(foot)}{legend}</footer>'
    return page(title, _STYLES + STYLES, f"{main}\n{footer}")


def _tinted(edit: Edit, first: int, last: int) -> str:
    """Tokens of an edit, each in a tint; those that share a character share one."""
    ends = edit.token_ends()
    begin = ends[first - 1] if first else 0
    parts, bits = [], 0.0
    for token in range(first, last):
        if edit.logprobs:
            bits += -edit.logprobs[token] / math.log(2)
        if ends[token] < 0:
            continue
        text = edit.text[begin : ends[token]]
        known = bool(edit.logprobs)
        parts.append(tinted_span(text, bits, f"{bits:.1f} bits") if known else escaped(text))
        begin, bits = ends[token], 0.0
    return "".join(parts)

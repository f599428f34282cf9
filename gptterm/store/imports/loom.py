"""Trees of loom: nested nodes, each with the text that it appends to its parent's."""

import datetime
import time

from gptterm.document.settings import DocumentSettings
from gptterm.json_values import Object, as_list, as_object, as_objects, as_text, as_texts
from gptterm.store.imports.fields import as_id, when
from gptterm.store.imports.parsed_document import Builder, ImportedDocument

ORIGIN = "loom"
_TIME = "%Y-%m-%d-%H.%M.%S"
_BOOKMARK = "bookmark"


def matches(raw: Object) -> bool:
    """Whether an object is a tree of this format."""
    root = raw.get("root")
    return isinstance(root, dict) and isinstance(root.get("children"), list)


def parse(raw: Object) -> ImportedDocument:
    """Parse one tree.

    Raises:
        UnreadableChatError: It has no text.
    """
    return _Tree(raw).document()


class _Tree:
    """A tree on its way to a document."""

    def __init__(self, raw: Object) -> None:
        self._raw = raw
        self._root = as_object(raw.get("root"))
        self._chapters = as_object(raw.get("chapters"))
        self._settings = as_object(raw.get("generation_settings"))
        self._responses = as_object(raw.get("model_responses"))
        self._builder = Builder(ORIGIN, as_id(self._root.get("id")) or _first_text(self._root))

    def document(self) -> ImportedDocument:
        """Return the document."""
        selected, current = as_id(self._raw.get("selected_node_id")), None
        title = ""
        waiting: list[tuple[Object, str | None, float]] = [(self._root, None, time.time())]
        while waiting:
            node, parent, before = waiting.pop()
            created = _created(node, before)
            version = self._builder.add(
                parent, as_text(node.get("text")), created, key=as_id(node.get("id")),
                model=self._model(node),
            )  # fmt: skip
            if version is not None:
                self._mark(node, version)
                current = current if current is not None and selected else version
                if as_id(node.get("id")) == selected:
                    current = version
                title = title or self._builder.names.get(version, "")
            children = as_objects(node.get("children"))
            waiting += [(child, version, created) for child in reversed(children)]
        memory = as_text(self._settings.get("global_context")) or as_text(self._raw.get("memory"))
        settings = DocumentSettings(memory=memory)
        return self._builder.document(as_text(self._raw.get("title")) or title, current, settings)

    def _model(self, node: Object) -> str | None:
        """The model that wrote a node; None for a person."""
        meta, generation = as_object(node.get("meta")), as_object(node.get("generation"))
        if as_text(meta.get("source")) != "AI" and not generation:
            return None
        answer = as_object(self._responses.get(as_text(generation.get("id"))))
        own = as_object(meta.get("generation"))
        return as_text(answer.get("model")) or as_text(own.get("model"))

    def _mark(self, node: Object, version: str) -> None:
        """Take over the bookmark and the chapter of a node."""
        is_marked = _BOOKMARK in as_texts(node.get("tags")) or node.get(_BOOKMARK) is True
        if is_marked and version not in self._builder.bookmarks:
            self._builder.bookmarks.append(version)
        chapter = as_object(self._chapters.get(as_text(node.get("chapter_id"))))
        if title := as_text(chapter.get("title")).strip():
            self._builder.names[version] = title


def _first_text(node: Object) -> str:
    """The first text of a tree, by which one without an id is known."""
    waiting = [node]
    while waiting:
        at = waiting.pop()
        if text := as_text(at.get("text")):
            return text
        waiting += reversed(as_objects(as_list(at.get("children"))))
    return ""


def _created(node: Object, default: float) -> float:
    """The time of a node."""
    value = as_object(node.get("meta")).get("creation_timestamp")
    try:
        moment = datetime.datetime.strptime(as_text(value), _TIME)
        found = when(moment.replace(tzinfo=datetime.UTC).timestamp())
    except (ValueError, OverflowError):
        found = when(value)
    return default if found is None else found

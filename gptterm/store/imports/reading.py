"""Read the chats of one document, of any known format. Damaged ones are left out."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from gptterm.conversation.tree import Conversation, normalise_title
from gptterm.format import shorten
from gptterm.json_values import Object, as_text
from gptterm.store.imports import gptterm_json, llm_logs, messages
from gptterm.store.imports.formats import format_of, wrapped
from gptterm.store.imports.json_values import NO_CONTAINER, TOO_MANY, Value, values
from gptterm.store.imports.parsed_chat import UnreadableChatError, conversation
from gptterm.store.imports.parsed_document import ImportedDocument
from gptterm.store.imports.report import LeftOut
from gptterm.store.imports.sources import Document, SourceError

UNKNOWN = "not in a known format"
_LONGEST_EXAMPLE = 60


class Chat(NamedTuple):
    """A chat and its origin."""

    conversation: Conversation
    origin: str
    """The program it comes from."""


Found = Chat | ImportedDocument


class DocumentReader:
    """Reads one document and counts what it leaves out."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.is_known = False
        """Whether it contains anything in a known format."""
        self.left_out = LeftOut()
        """Damaged chats."""
        self.unknown = LeftOut()
        """Data of an unknown format."""
        self.messages_left_out = LeftOut()
        self.is_empty = True
        self.problem = ""
        """The reason why it was not read to its end."""
        self._rows: list[llm_logs.Row] = []
        self._messages: dict[int, list[Object]] = {}
        """Messages outside of any chat, by the array they are in."""
        self._seen: Counter[str] = Counter()

    def chats(self) -> Iterator[Found]:
        """Yield the chats and texts of the document."""
        try:
            for number, value in enumerate(values(self._document.read), 1):
                self.is_empty = False
                where = f"{self._document.name}, no. {number}"
                if value.problem == TOO_MANY:
                    self.problem = TOO_MANY
                elif value.problem:
                    unknown = value.problem == NO_CONTAINER
                    (self.unknown if unknown else self.left_out).add(
                        value.problem, self._example(value, where)
                    )
                else:
                    yield from self._chats(value.item, value.group, where)
        except SourceError as error:
            self.problem = str(error)
        yield from self._collected()

    def _example(self, value: Value, where: str) -> str:
        if not (title := _shown(value.title)):
            return where
        return f"“{title}” in {self._document.name}" if self._document.is_part else f"“{title}”"

    def _chats(self, item: Any, group: int, where: str) -> Iterator[Found]:
        if isinstance(item, list):
            if any(map(messages.is_message, item)):
                yield from self._chat(messages.parse_list, item, where)
            else:
                self.unknown.add(UNKNOWN, where)
            return
        form = format_of(item)
        if form is not None:
            yield from self._chat(form.parse, item, where)
        elif messages.is_message(item):
            self._messages.setdefault(group, []).append(item)
        elif inner := wrapped(item):
            for number, each in enumerate(inner, 1):
                yield from self._chats(each, group, f"{where}.{number}")
        else:
            self.unknown.add(UNKNOWN, _title(item) or where)

    def _collected(self) -> Iterator[Found]:
        """Yield the chats collected from loose rows and messages."""
        for chat in llm_logs.chats(self._rows):
            yield from self._chat(lambda _, chat=chat: chat, {}, self._document.name)
        for group in self._messages.values():
            yield from self._chat(messages.parse_list, group, self._document.name)

    def _chat(self, parse: Any, item: Any, where: str) -> Iterator[Found]:
        """Parse one chat and convert it to a conversation."""
        self.is_known = True
        example = where if isinstance(item, list) else _title(item) or where
        try:
            parsed = parse(item)
            if isinstance(parsed, llm_logs.Row):
                self._rows.append(parsed)
                return
            if isinstance(parsed, ImportedDocument):
                yield parsed
                return
            if isinstance(parsed, Conversation):
                yield Chat(parsed, gptterm_json.ORIGIN)
                return
            if parsed.damaged:
                reason = "unreadable"
                self.messages_left_out.add(reason, example, parsed.damaged)
            chat = Chat(conversation(parsed, self._seen), parsed.origin)
        except UnreadableChatError as error:
            self.left_out.add(str(error), example)
            return
        except Exception as error:
            # Unexpected: the fuzz tests find no way here. The other chats are not affected.
            self.left_out.add(f"unreadable ({type(error).__name__})", example)
            return
        yield chat


def _title(item: Object) -> str:
    """Return the quoted title of an object that may be a chat; empty for none."""
    return next(
        (
            f"“{title}”"
            for name in ("title", "name", "conversation_name", "id", "uuid")
            if (title := _shown(as_text(item.get(name))))
        ),
        "",
    )


def _shown(text: str) -> str:
    return shorten(normalise_title(text), _LONGEST_EXAMPLE)

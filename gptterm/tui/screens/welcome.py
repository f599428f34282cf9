"""First screen of an empty chat: the model as a card, starters, the last chats and texts, models to
fetch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from gptterm.charts.cells import fit_words
from gptterm.engine.api import ModelInfo
from gptterm.format import byte_size, parameter_count, plural, short_name, token_rate
from gptterm.terminal import display_text, one_line
from gptterm.tui.keys import CHAT_KEYS, Keymap
from gptterm.tui.state.chat_entries import text_name
from gptterm.tui.state.controller import Controller
from gptterm.tui.widgets.row_widget import StyledText
from gptterm.tui.widgets.status import place
from gptterm.tui.widgets.transcript.placeholder import PlaceholderRow

STARTERS = (
    "Explain why the sky is blue to a child of six.",
    "Write a short poem about a lighthouse in winter.",
    "Give me three ideas for a rainy Sunday.",
)
"""First messages to a chat model."""
STORIES = (
    "Tell me a story about a dragon who is afraid of fire.",
    "Tell me a story about two friends and a red ball.",
    "Tell me a story about a little boat in a storm.",
)
"""First messages to the bundled model, which was trained on stories for children."""
BEGINNINGS = (
    "Once upon a time, in a village by the sea, there lived",
    "The strangest thing about the moon is that",
    "Dear diary, today I finally",
)
"""First texts for a base model, which goes on with them."""
LAST_CHATS = 3
"""And texts."""
TITLE_WIDTH = 44
"""Cells."""
_EDGE, _INDENT = ("▎ ", "bar"), ("  ", "text")
"""Before the rows of the card, and before the others."""


class Item(NamedTuple):
    """A row that can be chosen."""

    text: str
    detail: str
    take: Callable[[], None]


class Welcome:
    """The first screen of an empty chat; Down and Up choose in the empty prompt, Enter takes.

    Args:
        controller: Owns the chats and the model.
        keymap: The user's keys.
        send: Sends a message.
        open_chat: Opens a chat by its key.
        open_text: Opens a text in Write mode, by its id and the path of its file.
    """

    def __init__(
        self,
        controller: Controller,
        keymap: Keymap,
        send: Callable[[str], None],
        open_chat: Callable[[str], None],
        open_text: Callable[[str, str], None],
    ) -> None:
        self._controller = controller
        self._keymap = keymap
        self._send = send
        self._open_chat = open_chat
        self._open_text = open_text
        self._chosen = 0

    # ------------------------------------------------------------------------------ choosing

    @property
    def items(self) -> list[Item]:
        """Its items, in the order of its rows."""
        return [*self._starters(), *self._last_chats(), *self._last_texts(), *self._offers()]

    def move(self, by: int) -> bool:
        """Choose a neighbour; False if there is none, or the chat is not empty."""
        chosen = self._chosen + by
        if not self._controller.chat.empty or not 0 <= chosen < len(self.items):
            return False
        self._chosen = chosen
        return True

    def take(self, index: int | None = None) -> bool:
        """Take an item, by default the chosen one; False if the chat is not empty."""
        items = self.items
        index = self._chosen if index is None else index
        if not self._controller.chat.empty or index >= len(items):
            return False
        self._chosen = 0
        items[index].take()
        return True

    def _starters(self) -> Iterator[Item]:
        info = self._controller.engine.info
        is_base = info is not None and not info.has_chat_template
        is_bundled = self._controller.engine.is_bundled
        for text in BEGINNINGS if is_base else STORIES if is_bundled else STARTERS:
            yield Item(text, "", lambda text=text: self._send(text))  # type: ignore[misc]

    def _last_chats(self) -> Iterator[Item]:
        chat_list = self._controller.chat_list
        others = (
            entry
            for entry in chat_list.entries()
            if entry.document is None and entry.key != chat_list.current.key
            if not entry.archived
        )
        for entry in islice(others, LAST_CHATS):
            title = fit_words(display_text(one_line(entry.title)), TITLE_WIDTH)
            detail = " · ".join(filter(None, (entry.group, short_name(entry.model))))
            yield Item(title, detail, lambda key=entry.key: self._open_chat(key))  # type: ignore[misc]

    def _last_texts(self) -> Iterator[Item]:
        for each in self._controller.chat_list.texts[:LAST_CHATS]:
            title = fit_words(display_text(one_line(text_name(each))), TITLE_WIDTH)
            yield Item(
                title,
                plural(each.versions, "version"),
                lambda each=each: self._open_text(each.id, each.path),  # type: ignore[misc]
            )

    def _offers(self) -> Iterator[Item]:
        downloads = self._controller.downloads
        for offer in downloads.offers:
            detail = downloads.progress.get(offer.name) or byte_size(offer.size)
            yield Item(
                f"{short_name(offer.name)}, {offer.purpose}",
                detail,
                lambda name=offer.name: self._controller.loader.fetch(name),  # type: ignore[misc]
            )

    # ------------------------------------------------------------------------------- drawing

    def sections(self) -> list[list[PlaceholderRow]]:
        """Return the rows in their sections; where room is short, the last are left out."""
        starters = [*self._starters()]
        self._chosen = min(self._chosen, len(self.items) - 1)
        card = [PlaceholderRow((_EDGE, part), on_band=True) for part in self._card()]
        sections = [card, self._rows(starters, 0)]
        first = len(starters)
        for heading, found in (
            ("last chats", self._last_chats()),
            ("last texts", self._last_texts()),
            ("models to fetch", self._offers()),
        ):
            if items := [*found]:
                sections.append([_note(heading), *self._rows(items, first)])
                first += len(items)
        sections.append([_note(self._help())])
        return sections

    def _rows(self, items: Sequence[Item], first: int) -> list[PlaceholderRow]:
        width = max((cell_len(item.text) for item in items), default=0)
        rows = []
        for index, (text, detail, _) in enumerate(items, first):
            is_chosen = index == self._chosen
            style = "assistant" if is_chosen else "text"
            text = set_cell_size(text, width + 2) if detail else text
            parts = (("▸ " if is_chosen else "  ", style), (text, style), (detail, "faint"))
            rows.append(PlaceholderRow(parts, index))
        return rows

    def _card(self) -> Iterator[StyledText]:
        """Yield the model's name, its numbers, and whether it is ready."""
        engine, keymap = self._controller.engine, self._keymap
        info = engine.info if engine.ready else None
        name = short_name(info.name if info else self._controller.settings.model)
        yield name, "assistant"
        if info is not None:
            yield " · ".join(_facts(info, self._controller.chat_list.rates)), "faint"
        if engine.phase == "failed":
            models = keymap.first(CHAT_KEYS, "models")
            yield f"{name} could not be loaded: {models} chooses another model", "text"
        elif info is None:
            yield f"{name} is loading; you can already type a message", "text"
        elif not info.has_chat_template:
            yield f"{name} is a base model: it continues text", "text"
        else:
            place = f"on {info.device}" if info.decoder == "remote" else "on this machine only"
            yield f"{name} is ready to chat, {place}", "text"

    def _help(self) -> str:
        names = [self._keymap.first(CHAT_KEYS, name) for name in ("help", "sampling")]
        return f"⏎ takes ▸   ↓ chooses   {names[0]} keys   {names[1]} samplers   / commands"


def _note(text: str) -> PlaceholderRow:
    return PlaceholderRow((_INDENT, (text, "faint")))


def _facts(info: ModelInfo, rates: Mapping[str, float]) -> Iterator[str]:
    """Yield what is known of a model, with its rate where it has written here."""
    if info.parameters:
        yield parameter_count(info.parameters)
    if info.context_length:
        yield f"context {info.context_length:,}"
    yield from filter(None, [place(info)])
    if info.name in rates:
        yield token_rate(rates[info.name])

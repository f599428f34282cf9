"""Parsing the Markdown of turns without holding up the keyboard."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate

from textual.widget import Widget

from gptterm.threads import in_daemon_thread
from gptterm.tui.widgets.transcript.markdown import Document, import_parser, parse_markdown
from gptterm.tui.widgets.transcript.turn_view import TurnView
from gptterm.tui.workers import start_worker

BATCH_CHARACTERS = 32_000
"""About 20 ms of parsing."""


class TurnParser:
    """Parses turns, the latest first: a batch at once, the rest in a thread.

    So a short reply never shows its marks, and a long chat does not make typing lag.

    Args:
        widget: Runs the worker.
        on_parsed: Called when turns have got other lines later.
    """

    def __init__(self, widget: Widget, on_parsed: Callable[[], None]) -> None:
        self._widget = widget
        self._on_parsed = on_parsed
        self._turns: Sequence[TurnView] = ()
        self._is_running = False
        self._is_imported = False

    def warm_up(self) -> None:
        """Import the parser in a thread, ahead of the end of the first reply."""
        if not self._is_imported:
            self._is_imported = True
            threading.Thread(target=import_parser, daemon=True).start()

    def parse(self, turns: Sequence[TurnView]) -> None:
        """Parse the Markdown of these turns, and no longer that of others."""
        self._turns = turns
        if self._is_running:
            return
        left = BATCH_CHARACTERS
        for turn in self._unparsed():
            left -= len(turn.markdown_source)
            if left < 0:
                self._is_running = True
                start_worker(self._widget, self._parse_rest, group="markdown")
                break
            turn.set_document(parse_markdown(turn.markdown_source))

    def _unparsed(self) -> list[TurnView]:
        return [turn for turn in reversed(self._turns) if turn.markdown_source]

    async def _parse_rest(self) -> None:
        while unparsed := self._unparsed():
            sizes = accumulate(len(turn.markdown_source) for turn in unparsed)
            batch = unparsed[: 1 + sum(size < BATCH_CHARACTERS for size in sizes)]
            sources = [turn.markdown_source for turn in batch]
            documents = await in_daemon_thread(partial(_parse_all, sources))
            for turn, source, document in zip(batch, sources, documents, strict=True):
                if turn.markdown_source is source:
                    turn.set_document(document)
            self._on_parsed()
        self._is_running = False


def _parse_all(sources: Sequence[str]) -> list[Document]:
    return [*map(parse_markdown, sources)]

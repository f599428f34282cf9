"""Cache of turn views, so that turns are parsed and wrapped only once."""

from collections.abc import Iterable

from gptterm.tui.state.turns import QUEUED, Turn
from gptterm.tui.widgets.transcript.tints import tinted_lines
from gptterm.tui.widgets.transcript.turn_view import TurnView

MAX_CHATS = 4
"""Chats whose views are kept, the last ones shown."""


class TurnViews:
    """Views of the turns of the chats that were shown last."""

    def __init__(self) -> None:
        self.signs = False
        """Tints are signs: the terminal has no colours."""
        self._cache: dict[str, dict[str, tuple[Turn, TurnView]]] = {}
        """By chat, the latest last."""

    def update(self, chat: str, turns: Iterable[Turn]) -> list[TurnView]:
        """Return a view of each turn of a chat, made anew where the turn's text changed.

        A reply's view has to be made when its stream begins: from then on the text is appended
        to it.
        """
        cache = self._cache[chat] = self._cache.pop(chat, {})
        self._forget_early_chats()
        views: list[TurnView] = []
        for turn in turns:
            before, view = cache.get(turn.key, (None, None))
            if view is not None and turn == before and turn.key != QUEUED:
                # The turn made before is kept: a chat's new ones would be all there beside it.
                views.append(view)
                continue
            if turn.key == QUEUED or view is None or before is None or _is_outdated(before, turn):
                view = _new_view(turn, signs=self.signs)
            _set_state(view, turn)
            cache[turn.key] = turn, view
            views.append(view)
        return views

    def show_cursor(self, chat: str, turn: Turn) -> TurnView | None:
        """Draw another token of a turn as the one that is looked at; None: it has no view.

        All of the turn's text must have been drawn: what is appended later follows it.
        """
        _, view = self._cache.get(chat, {}).get(turn.key, (None, None))
        if view is not None:
            _set_text(view, turn, signs=self.signs)
            self._cache[chat][turn.key] = turn, view
        return view

    def _forget_early_chats(self) -> None:
        """Drop the views of all but the latest chats; those of a stream are still appended to."""
        for chat in list(self._cache)[:-MAX_CHATS]:
            if not any(turn.is_streaming for turn, _ in self._cache[chat].values()):
                del self._cache[chat]


def _is_outdated(before: Turn, turn: Turn) -> bool:
    """Whether a turn's view must be made anew."""
    if turn.is_streaming and before.is_streaming:
        return turn.measure != before.measure  # text and tints were appended
    drawn = (
        (each.label, each.text, each.markdown, each.is_streaming, each.tints, each.raw, each.cursor)
        for each in (before, turn)
    )
    return len(set(drawn)) > 1


def _new_view(turn: Turn, *, signs: bool) -> TurnView:
    view = TurnView(turn.key, turn.role, turn.label)
    _set_text(view, turn, signs=signs)
    view.is_streaming = turn.is_streaming
    return view


def _set_text(view: TurnView, turn: Turn, *, signs: bool) -> None:
    if turn.tints or turn.cursor:
        lines = tinted_lines(turn.text, turn.tints, turn.cursor, turn.raw, signs=signs)
        view.set_lines(lines)
    elif turn.is_streaming and turn.markdown:
        view.stream_markdown(turn.text)
    else:
        view.set_text(turn.text, markdown=turn.markdown)


def _set_state(view: TurnView, turn: Turn) -> None:
    """Set what is drawn beside the text."""
    if view.is_streaming:
        # Its footer is the activity of the engine, which the stream painter sets.
        view.position = turn.position
        return
    drawn = _state(view)
    view.position, view.dropped = turn.position, turn.dropped
    view.footer, view.details, view.is_stopped = turn.footer, turn.details, turn.is_stopped
    view.thought = turn.thought
    if drawn != _state(view):
        view.invalidate()


def _state(view: TurnView) -> tuple[object, ...]:
    shown = view.footer, view.thought, view.details
    return view.position, view.dropped, view.is_stopped, *shown

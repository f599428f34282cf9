"""The views of `gptterm inspect`: each asks the engine, and gives sections and a JSON object."""

from collections.abc import Callable
from typing import Any, NamedTuple

from gptterm.charts.figure import Section
from gptterm.charts.views.next_token import next_token_sections
from gptterm.charts.views.scores import Measure, scores_section, summary_lines
from gptterm.cli.inspection import ask
from gptterm.cli.inspection_json import next_object, score_object
from gptterm.cli.signals import Interrupted, Signals
from gptterm.cli.streams import Streams
from gptterm.engine.api import Piece, SamplingParams
from gptterm.engine.inspection.requests import (
    InspectableEngine,
    ScoreRequest,
    ScoreSummary,
    TokenRequest,
    TokenScore,
    TokenScores,
    TokenView,
)


class Look(NamedTuple):
    """What is looked at, and how."""

    pieces: tuple[Piece, ...]
    position: int
    sampling: SamplingParams
    limit: int
    """Candidates of the next token."""
    measure: Measure

    @property
    def ids(self) -> tuple[int, ...]:
        """The text."""
        return tuple(each.id for each in self.pieces)


class Found(NamedTuple):
    """What a view has found."""

    object: Any
    """For JSON."""
    sections: list[Section]


class Inspection:
    """One look into a model."""

    def __init__(
        self, engine: InspectableEngine, look: Look, streams: Streams, signals: Signals
    ) -> None:
        self._engine = engine
        self._look = look
        self._streams = streams
        self._signals = signals

    def view(self, name: str) -> Found:
        """Ask the engine for a view.

        Raises:
            GpttermError: the model does not have it, or it failed.
            Interrupted: a signal has cancelled.
        """
        views: dict[str, Callable[[], Found]] = {
            "next": self._next,
            "heat": self._heat,
        }
        return views[name]()

    def _next(self) -> Found:
        look = self._look
        request = TokenRequest(
            ids=look.ids, position=look.position + 1, sampling=look.sampling, limit=look.limit
        )
        for event in ask(self._engine, request, self._signals, self._streams):
            if isinstance(event, TokenView):
                sections = next_token_sections(event, look.pieces[look.position].piece)
                return Found(next_object(event), list(sections))
        raise Interrupted

    def _heat(self) -> Found:
        tokens: list[TokenScore] = []
        summary: ScoreSummary | None = None
        # As the other views read the text: nothing stands before it.
        request = ScoreRequest(ids=self._look.ids, start_token=False)
        for event in ask(self._engine, request, self._signals, self._streams):
            if isinstance(event, TokenScores):
                tokens += event.tokens
            elif isinstance(event, ScoreSummary):
                summary = event
        if summary is None:
            raise Interrupted
        notes = summary_lines(summary, self._engine.info.context_length, None, "")
        section = scores_section(tokens, self._look.measure, notes)
        return Found([score_object(token) for token in tokens], [section])

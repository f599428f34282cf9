"""The views of `gptterm inspect`: each asks the engine, and gives sections and a JSON object."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from gptterm.charts.figure import Section
from gptterm.charts.measures import Measure
from gptterm.charts.views.attention import attention_sections, heads_section, map_section
from gptterm.charts.views.lens import lens_grid, lens_section
from gptterm.charts.views.next_token import next_token_sections
from gptterm.charts.views.scores import scores_section, summary_lines
from gptterm.cli.inspection import ask
from gptterm.cli.inspection_json import (
    attention_object,
    heads_object,
    lens_object,
    map_object,
    next_object,
    score_object,
)
from gptterm.cli.signals import Interrupted, Signals
from gptterm.cli.streams import Streams
from gptterm.engine.api import Piece, SamplingParams
from gptterm.engine.inspection.answers import (
    AttentionMap,
    AttentionView,
    HeadGrid,
    HeadStatistic,
    InspectionResult,
    LensView,
    ScoreSummary,
    TokenScore,
    TokenScores,
    TokenView,
)
from gptterm.engine.inspection.requests import (
    MOST_LENS_POSITIONS,
    AttentionMapRequest,
    AttentionRequest,
    HeadGridRequest,
    InspectableEngine,
    InspectionRequest,
    LensRequest,
    ScoreRequest,
    TokenRequest,
)
from gptterm.errors import UsageError

R = TypeVar("R", bound=InspectionResult)
LENS_WINDOW, MAP_WINDOW = 6, 48
"""Positions, unless others are asked for."""

MOST_BEST = 5
"""Tokens of each layer."""


class Look(NamedTuple):
    """The text looked at, and the options of the view."""

    pieces: tuple[Piece, ...]
    position: int
    sampling: SamplingParams
    limit: int
    """Candidates of the next token."""
    head: tuple[int, int] | None
    statistic: HeadStatistic
    measure: Measure
    window: int | None
    """Positions of a map and of the lens, up to the position; None: as many as are easily read."""
    hide_first: bool

    @property
    def ids(self) -> tuple[int, ...]:
        """The text."""
        return tuple(each.id for each in self.pieces)


class Found(NamedTuple):
    """Result of a view."""

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
            "attention": self._attention,
            "heads": self._heads,
            "map": self._map,
            "lens": self._lens,
        }
        return views[name]()

    def _ask(self, request: InspectionRequest, kind: type[R]) -> R:
        for event in ask(self._engine, request, self._signals, self._streams):
            if isinstance(event, kind):
                return event
        raise Interrupted

    def _next(self) -> Found:
        look = self._look
        request = TokenRequest(
            ids=look.ids, position=look.position + 1, sampling=look.sampling, limit=look.limit
        )
        found = self._ask(request, TokenView)
        sections = next_token_sections(found, look.pieces[look.position].piece)
        return Found(next_object(found), list(sections))

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

    def _attention(self) -> Found:
        look = self._look
        request = AttentionRequest(ids=look.ids, position=look.position)
        found = self._ask(request, AttentionView)
        layers, heads, _ = found.weights.shape
        self._check_head(layers, heads)
        sections = attention_sections(found, look.pieces, look.head, hide_first=look.hide_first)
        return Found(attention_object(found), list(sections))

    def _check_head(self, layers: int, heads: int) -> None:
        head = self._look.head
        if head is not None and not (head[0] < layers and head[1] < heads):
            raise UsageError(
                f"--head {head[0]}.{head[1]}: the model has {layers} layers of {heads} heads, "
                f"0.0 to {layers - 1}.{heads - 1}"
            )

    def _heads(self) -> Found:
        look = self._look
        request = HeadGridRequest(ids=look.ids, first=0, end=look.position + 1)
        found = self._ask(request, HeadGrid)
        scope = f"mean over positions 0 to {look.position}"
        section = heads_section(found.statistics, look.statistic, scope)
        return Found(heads_object(found), [section])

    def _map(self) -> Found:
        look = self._look
        if look.head is None:
            raise UsageError("the map is of one head: name it with --head LAYER.HEAD")
        request = AttentionMapRequest(
            ids=look.ids, layer=look.head[0], head=look.head[1],
            first=self._first(look.window or MAP_WINDOW), end=look.position + 1,
        )  # fmt: skip
        found = self._ask(request, AttentionMap)
        section = map_section(found, look.pieces, hide_first=look.hide_first)
        return Found(map_object(found), [section])

    def _lens(self) -> Found:
        look = self._look
        window = min(look.window or LENS_WINDOW, MOST_LENS_POSITIONS)
        positions = tuple(range(self._first(window), look.position + 1))
        request = LensRequest(ids=look.ids, positions=positions, limit=min(look.limit, MOST_BEST))
        found = self._ask(request, LensView)
        sections = [lens_grid(found, look.pieces)] if len(positions) > 1 else []
        sections.append(lens_section(found, len(positions) - 1, look.pieces))
        return Found(lens_object(found), sections)

    def _first(self, window: int) -> int:
        return max(0, self._look.position + 1 - window)

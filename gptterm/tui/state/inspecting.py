"""Inspect mode's state: a text, a place in it, and what the model shows of that place.

It knows no widgets: it calls `on_change`, and the screen reads what changed.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from gptterm.charts.measures import SCALES, Measure, measured
from gptterm.charts.scales import WEIGHT, Scale
from gptterm.charts.views.attention import without_first
from gptterm.conversation.spelling import spell
from gptterm.engine.api import ModelInfo, Piece
from gptterm.engine.inspection.answers import (
    HEAD_STATISTICS,
    AttentionMap,
    AttentionView,
    Encoded,
    HeadStatistic,
    LensColumn,
    LensView,
    ScoreSummary,
    TokenScore,
    TokenScores,
    TokenView,
)
from gptterm.engine.inspection.requests import (
    MOST_LENS_POSITIONS,
    MOST_MAP_ROWS,
    AttentionMapRequest,
    AttentionRequest,
    EncodeRequest,
    LensRequest,
    ScoreRequest,
    TokenRequest,
)
from gptterm.errors import GpttermError
from gptterm.tui.state.asking import ask, events_of
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.read_ahead import ReadAhead
from gptterm.tui.state.subjects import Subject
from gptterm.tui.state.tints import MEASURES

View = Literal["token", "heat", "attention", "lens"]
VIEWS: tuple[View, ...] = ("token", "heat", "attention", "lens")
CANDIDATES = 40
BEST = 5
"""Tokens of each layer."""
LENS_CELLS = 11
"""Columns of the screen for a position of the lens."""
MAP_LABEL, MAP_NOTES, FEWEST_MAP_ROWS = 13, 5, 8
"""Columns of the labels, rows around the map, and positions even where there is no room."""


class Found(NamedTuple):
    """Answers of the model, by view; None: none yet."""

    token: TokenView | None = None
    attention: AttentionView | None = None
    map: AttentionMap | None = None
    lens: LensView | None = None


class Inspecting:
    """One text that is looked into with the controller's engine.

    Args:
        on_change: called when there is something new to show.
    """

    def __init__(self, controller: Controller, on_change: Callable[[], None]) -> None:
        self.controller = controller
        self.subject: Subject | None = None
        self.pieces: tuple[Piece, ...] = ()
        self.position = 0
        """Of the token that is looked at; the number of tokens: what would come next."""
        self.view: View = "token"
        self.measure: Measure = "surprisal"
        self.statistic: HeadStatistic = "induction"
        self.head: tuple[int, int] | None = None
        """Layer and head; None: the mean of all."""
        self.is_map = False
        """Attention is drawn as a map of the head, instead of a row."""
        self.hides_first = False
        self.room = 60, 20
        """Columns and rows that there are for a map or a lens."""
        self.found = Found()
        self.scores: list[TokenScore] = []
        self.summary: ScoreSummary | None = None
        self.problem = ""
        """Why the view shows nothing."""
        self._find: Callable[[], Subject | None] | None = None
        """Finds the text once a model is ready, whose chat template spells it."""
        self._info: ModelInfo | None = None
        """The model that the ids are of."""
        self._ids: tuple[int, ...] = ()
        self.spelled: tuple[bytes, ...] = ()
        """Bytes of the tokens."""
        self._measured: dict[Measure, list[float | None]] = {}
        """Of the tokens that are scored, as far as they were shown."""
        self._on_change = on_change
        self._read_ahead = ReadAhead()
        self._task: asyncio.Task[None] | None = None
        self._scoring: asyncio.Task[None] | None = None
        self._is_stale = False

    def set_room(self, columns: int, rows: int) -> None:
        """Note the cells that there are for a map or a lens."""
        if columns > 0 and (columns, rows) != self.room:
            self.room = columns, rows
            self._start()

    # ------------------------------------------------------------------------------ the text

    def open(self, subject: Subject) -> None:
        """Look into a text."""
        self.subject, self._find = subject, None
        self._reset()
        self._start()

    def open_when_ready(self, find: Callable[[], Subject | None]) -> None:
        """Look into what `find` finds once a model is ready; None: what was looked at stays."""
        self._find = find
        self.engine_changed()

    def engine_changed(self) -> None:
        """Find the text if that waits for a model; read it anew if another model is there."""
        engine, find = self.controller.engine, self._find
        if engine.ready and find is not None:
            self._find = None
            if (subject := find()) is not None:
                self.open(subject)
        if self.subject is not None and engine.ready and engine.info is not self._info:
            self._reset()
            self._start()
        self._on_change()

    @property
    def waits_for(self) -> str:
        """Why no model can be asked (yet); empty if one can."""
        engine = self.controller.engine
        if engine.ready:
            return ""
        if engine.phase == "failed":
            return f"no model is loaded: {engine.error}"
        loading = engine.phase in ("finding", "loading")
        return f"the model is still loading: {engine.activity}" if loading else "no model is loaded"

    def _reset(self) -> None:
        self.pieces, self._ids, self.spelled, self._info = (), (), (), None
        self._measured = {}
        self.found, self.scores, self.summary, self.problem = Found(), [], None, ""
        if self._scoring is not None:
            self._scoring.cancel()
            self._scoring = None

    @property
    def last(self) -> int:
        """Position of the last token, 0 without one."""
        return max(0, len(self.pieces) - 1)

    @property
    def looked_at(self) -> int:
        """Position of the token that is there: the last one at the end of the text."""
        return min(self.position, self.last)

    def move(self, position: int) -> None:
        """Look at another place."""
        position = min(max(position, 0), len(self.pieces))
        if position != self.position:
            self.position = position
            self._start()
            self._on_change()

    def show(self, view: View) -> None:
        """Show another view."""
        self.view = view
        self._start()
        self._on_change()

    def change_measure(self) -> None:
        """Tint by the next measure."""
        self.measure = MEASURES[(MEASURES.index(self.measure) + 1) % len(MEASURES)]
        self._on_change()

    def change_statistic(self) -> None:
        """Show the next statistic of the heads."""
        at = HEAD_STATISTICS.index(self.statistic)
        self.statistic = HEAD_STATISTICS[(at + 1) % len(HEAD_STATISTICS)]
        self._on_change()

    def toggle_first(self) -> None:
        """Take the first token, the attention sink, out of attention, or bring it back."""
        self.hides_first = not self.hides_first
        self._on_change()

    def choose_head(self, head: tuple[int, int] | None) -> None:
        """Show one head, or the mean of all."""
        self.head = head
        self.is_map = self.is_map and head is not None
        if self.is_map:
            self._start()
        self._on_change()

    def move_head(self, layers: int, heads: int) -> None:
        """Choose a neighbour in the grid; at first the head with the largest statistic."""
        view = self.found.attention
        if view is None:
            return
        values = view.statistics.array()[HEAD_STATISTICS.index(self.statistic)]
        if self.head is None:
            layer, head = divmod(int(values.argmax()), values.shape[1])
        else:
            layer = min(max(self.head[0] + layers, 0), values.shape[0] - 1)
            head = min(max(self.head[1] + heads, 0), values.shape[1] - 1)
        self.choose_head((layer, head))

    def toggle_map(self) -> None:
        """Show the chosen head as a map, or as a row."""
        if self.head is None:
            self.move_head(0, 0)
        self.is_map = not self.is_map and self.head is not None
        self._start()
        self._on_change()

    # ------------------------------------------------------------------------------ asking

    def _start(self) -> None:
        self._is_stale = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        """Ask for what the view shows, until that is what it shows."""
        while self._is_stale:
            self._is_stale = False
            try:
                if await self._encoded():
                    await self._ask()
                    self.problem = ""
            except GpttermError as error:
                self.problem = str(error)
            self._on_change()

    async def _encoded(self) -> bool:
        """Whether the ids are known: those of the model that is loaded."""
        engine, subject = self.controller.engine, self.subject
        if subject is None:
            return False
        if not engine.ready:
            return False
        if self._info is engine.info:
            return bool(self.pieces)
        found = await ask(engine.client, EncodeRequest(prompt=subject.prompt), Encoded)
        if self.subject is not subject:
            return False
        self.pieces, self._info = found.pieces, engine.info
        self._ids = tuple(piece.id for piece in found.pieces)
        self.spelled = tuple(piece.piece for piece in found.pieces)
        self.position = self._place(subject)
        if not self.pieces:
            self.problem = "there is no text to look into"
        return bool(self.pieces)

    def _place(self, subject: Subject) -> int:
        """The token that is looked at first."""
        if subject.position is not None:
            return min(subject.position, self.last)
        if subject.byte is None:
            return self.last
        ends = spell(self.spelled).ends
        return next((i for i, end in enumerate(ends) if end > subject.byte), self.last)

    async def _ask(self) -> None:
        client, ids, position = self.controller.engine.client, self._ids, self.looked_at
        match self.view:
            case "token":
                request = TokenRequest(
                    ids=ids,
                    position=self.position,
                    sampling=self.controller.settings.sampling,
                    limit=CANDIDATES,
                )
                self.found = self.found._replace(token=await self._read_ahead.view(client, request))
            case "heat":
                self._score()
            case "attention":
                await self._ask_attention(position)
            case "lens":
                await self._ask_lens(position)

    async def _ask_lens(self, position: int) -> None:
        """Ask for the positions that were not in view: each takes the head for every layer."""
        client, ids, known = self.controller.engine.client, self._ids, dict[int, LensColumn]()
        if self.found.lens is not None:
            known = {column.position: column for column in self.found.lens.columns}
        count = min(MOST_LENS_POSITIONS, max(1, self.room[0] // LENS_CELLS))
        positions = range(max(0, position + 1 - count), position + 1)
        new = tuple(each for each in positions if each not in known)
        if new:
            request = LensRequest(ids=ids, positions=new, limit=BEST)
            view = await ask(client, request, LensView)
            if self._ids is not ids:
                return  # of another text
            known |= {column.position: column for column in view.columns}
            self.found = self.found._replace(lens=view)
        if (lens := self.found.lens) is not None:
            columns = tuple(known[each] for each in positions)
            shown = LensView(rows=lens.rows, columns=columns)
            self.found = self.found._replace(lens=shown)

    async def _ask_attention(self, position: int) -> None:
        client, ids = self.controller.engine.client, self._ids
        row = await ask(client, AttentionRequest(ids=ids, position=position), AttentionView)
        self.found = self.found._replace(attention=row)
        if self.is_map and self.head is not None:
            layer, head = self.head
            columns, rows = self.room
            count = min(columns - MAP_LABEL, 2 * (rows - MAP_NOTES), MOST_MAP_ROWS)
            first = max(0, position + 1 - max(count, FEWEST_MAP_ROWS))
            request = AttentionMapRequest(
                ids=ids, layer=layer, head=head, first=first, end=position + 1
            )
            self.found = self.found._replace(map=await ask(client, request, AttentionMap))

    def _score(self) -> None:
        if self._scoring is None:
            self._scoring = asyncio.create_task(self._score_all())

    async def _score_all(self) -> None:
        """Score the text once, and show the scores as they come."""
        scores = self.scores
        request = ScoreRequest(ids=self._ids, start_token=False)
        try:
            async for event in events_of(self.controller.engine.client, request):
                if isinstance(event, TokenScores):
                    scores.extend(event.tokens)
                elif isinstance(event, ScoreSummary):
                    self.summary = event
                self._on_change()
        except GpttermError as error:
            self.problem = str(error)
            self._on_change()

    # ------------------------------------------------------------------------------ showing

    def tints(self) -> tuple[Scale | None, Sequence[float | None]]:
        """Return the scale and the value of each token from the first on, for the view."""
        if self.view == "attention":
            return WEIGHT, self._weights()
        if self.view == "lens" or not self.scores:
            return None, ()
        values = self._measured.setdefault(self.measure, [])
        values += [measured(score, self.measure) for score in self.scores[len(values) :]]
        return SCALES[self.measure], values

    def _weights(self) -> list[float | None]:
        view = self.found.attention
        if view is None:
            return []
        weights = view.weights.array()
        if self.hides_first:
            weights = without_first(weights, view.window_start)
        row = weights.mean((0, 1)) if self.head is None else weights[self.head]
        values: list[float | None] = row.tolist()
        return [None] * view.window_start + values

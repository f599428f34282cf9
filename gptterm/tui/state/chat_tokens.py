"""Tokens of the open chat: what the model makes of each, the one that is looked at, tints."""

import asyncio
import contextlib
import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gptterm.charts.measures import Measure, measured
from gptterm.conversation.nodes import SYSTEM
from gptterm.conversation.spelling import REPLACEMENT
from gptterm.conversation.token_map import TurnToken, chat_text
from gptterm.conversation.token_scores import ScoredAlternative, ScoredToken, unpack
from gptterm.engine.api import Candidate, ModelInfo, NextToken
from gptterm.engine.inspection.answers import TokenScore
from gptterm.engine.inspection.requests import TokenRequest
from gptterm.errors import GpttermError
from gptterm.tui.state.controller_view import ControllerView
from gptterm.tui.state.read_ahead import ReadAhead
from gptterm.tui.state.reading import read_tokens, score_rest, still_valid
from gptterm.tui.state.subjects import Subject
from gptterm.tui.state.tints import RawPart, Tint, kept_tints, next_measure, raw_parts, tints


class Reading(NamedTuple):
    """The open chat as the loaded model reads it."""

    chat: str
    info: ModelInfo
    is_raw: bool
    texts: Mapping[str, str]
    """By turn, as they were."""
    ids: tuple[int, ...]
    turns: Mapping[str, tuple[TurnToken, ...]]
    scores: list[TokenScore]
    """Of the first tokens; they grow."""


class WalkedToken(NamedTuple):
    """The token that is looked at. It spells `text[start:end]` of its turn."""

    key: str
    """Of the turn."""
    number: int
    """Among the turn's tokens."""
    start: int
    end: int
    within_character: bool = False
    """The token before it ends within a character."""


class TokenLook(NamedTuple):
    """Distribution in the place of a token, or at the end of the text."""

    distribution: NextToken | None = None
    reason: str = ""
    """Why there is none; empty if there is none yet."""
    score: TokenScore | None = None
    """Of the token in the text; None at its end."""
    is_kept: bool = False
    """Only what was kept with the reply is known: nothing about the samplers."""
    entropies: tuple[float, ...] = ()
    """Of the model's distribution while the reply was written, the latest last; in bits."""
    walked: WalkedToken | None = None
    """The token in whose place it is; None: at the end of the text."""


class ChatTokens:
    """Tints and the walk over the tokens of the open chat.

    Args:
        controller: owns the chat and the engine.
        on_change: called when tints, or the tokens to walk over, have changed.
    """

    def __init__(self, controller: ControllerView, on_change: Callable[[], None]) -> None:
        self._controller = controller
        self._on_change = on_change
        self.measure: Measure | None = None
        """Measure that tints the text; None: nothing does."""
        self.walked: WalkedToken | None = None
        self.problem = ""
        """Why the model does not read the chat; empty if it does."""
        self._refused_by: ModelInfo | None = None
        """The model that did not: it is not asked again."""
        self.reading: Reading | None = None
        self._tints: dict[tuple[Measure, str], tuple[Tint, ...]] = {}
        """Of turns in the reading, by measure and turn."""
        self._read_ahead = ReadAhead()
        self._task: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------------------- tints

    def cycle(self) -> None:
        """Tint by the next measure, after the last one by none."""
        self.measure = next_measure(self.measure)
        self._on_change()

    def tints(self, key: str, scores: bytes) -> tuple[Tint, ...]:
        """Return the tints of a turn: by the loaded model, else by the scores kept with it."""
        measure, reading = self.measure, self.reading
        if measure is None:
            return ()
        reply = self._controller.reply
        if self._controller.replying is not None and reply is not None and reply.key == key:
            return reply.drained_tints(measure)
        tokens = self._read(key)
        if reading is not None and tokens and len(reading.scores) > tokens[-1].position:
            if (measure, key) not in self._tints:
                scored = ((t, measured(reading.scores[t.position], measure)) for t in tokens)
                values = ((token.start, token.end, value) for token, value in scored)
                self._tints[measure, key] = tints(values, measure)
            return self._tints[measure, key]
        return kept_tints(scores) if measure == "surprisal" else ()

    def raw(self, key: str, scores: bytes) -> tuple[RawPart, ...]:
        """Return the parts of a turn that are shown by the bytes that were drawn, else are read."""
        text = self._text(key) or ""
        if REPLACEMENT not in text:
            return ()
        tokens = [(token.piece, token.start, token.end) for token in unpack(scores)]
        if not tokens and self.reading is not None:
            known = self.reading.scores
            read = (t for t in self._read(key) if t.position < len(known))
            tokens = [(known[t.position].piece, t.start, t.end) for t in read]
        return raw_parts(text, tokens)

    # --------------------------------------------------------------------------- the walk

    def cursor(self, key: str) -> tuple[int, int] | None:
        """Return the part of a turn's text that the walked token spells, or helps to spell."""
        walked = self.walked
        if walked is None or walked.key != key:
            return None
        later = (t for t in self._tokens(key)[walked.number :] if t.end > t.start)
        token = next(later, None)
        return (walked.start, walked.end) if token is None else (token.start, token.end)

    def walk(self, key: str, step: int) -> bool:
        """Go to another token of a turn; False if its tokens are not known (yet)."""
        tokens = self._tokens(key)
        if not tokens:
            return False
        at = self._number(key, tokens)
        if at is None:
            at = 0 if step > 0 else len(tokens) - 1
        else:
            at = min(max(at + step, 0), len(tokens) - 1)
        self._look_at(key, tokens, at)
        return True

    def is_behind(self, key: str, step: int) -> bool:
        """Whether a step leads to a token of a reply that was written after it was read."""
        tree, tokens = self._controller.chat.tree, self._tokens(key)
        if key not in tree or not tree.is_streaming(key):
            return False
        at = self._number(key, tokens)
        return step < 0 if at is None else step > 0 and at + step >= len(tokens)

    def walk_to(self, key: str, place: int) -> bool:
        """Go to the token that spells a character of a turn; False if its tokens are not known."""
        tokens = self._tokens(key)
        if tokens:
            at = bisect_right(tokens, place, key=lambda token: token.end)
            self._look_at(key, tokens, min(at, len(tokens) - 1))
        return bool(tokens)

    def _look_at(self, key: str, tokens: Sequence[TurnToken | ScoredToken], at: int) -> None:
        within = at > 0 and tokens[at - 1].start == tokens[at - 1].end
        self.walked = WalkedToken(key, at, tokens[at].start, tokens[at].end, within)

    @property
    def only_kept(self) -> bool:
        """Whether the loaded model does not know the walked token: it was kept with the reply."""
        return self.walked is not None and not self._read(self.walked.key)

    def ids_before(self, walked: WalkedToken) -> tuple[int, ...]:
        """Return the generated ids of a reply before the walked token; none if unknown."""
        tokens, reading = self._read(walked.key), self.reading
        ids = self._controller.chat.tree.node(walked.key).ids
        at = len(ids) - len(tokens) + walked.number
        if reading is None or at < 0 or walked.number >= len(tokens):
            return ()
        same = reading.ids[tokens[walked.number].position] == ids[at]
        return ids[:at] if same else ()

    def leave(self) -> None:
        """Look at no token."""
        self.walked = None

    def _number(self, key: str, tokens: Sequence[TurnToken | ScoredToken]) -> int | None:
        """The walked token's number: another reading may have other tokens."""
        walked = self.walked
        if walked is None or walked.key != key:
            return None
        if walked.number < len(tokens) and tokens[walked.number].start == walked.start:
            return walked.number
        at = bisect_left(tokens, walked.start, key=lambda token: token.start)
        return min(at, len(tokens) - 1)

    def _tokens(self, key: str) -> Sequence[TurnToken | ScoredToken]:
        return self._read(key) or self._kept(key)

    def _read(self, key: str) -> Sequence[TurnToken]:
        """A turn's tokens in the reading; none if the turn, or the model, is another by now."""
        reading = self.reading
        if reading is None or not self._is_of_this(reading):
            return ()
        read, text = reading.texts.get(key), self._text(key)
        # A reply that is being written has been read in part.
        is_same = read is not None and text is not None and text.startswith(read)
        return reading.turns.get(key, ()) if is_same else ()

    def _kept(self, key: str) -> tuple[ScoredToken, ...]:
        tree = self._controller.chat.tree
        return unpack(tree.node(key).scores) if key in tree else ()

    def _text(self, key: str) -> str | None:
        tree = self._controller.chat.tree
        if key == SYSTEM:
            return tree.system
        return tree.node(key).text if key in tree else None

    def _texts(self) -> dict[str, str]:
        """The text of each turn of the open chat, and the system text."""
        tree = self._controller.chat.tree
        return {SYSTEM: tree.system, **{key: tree.node(key).text for key in tree.path()}}

    def _is_of_this(self, reading: Reading) -> bool:
        controller = self._controller
        return (reading.chat, reading.is_raw) == (
            controller.chat.key,
            controller.settings.form == "raw",
        ) and reading.info is controller.engine.info

    # ------------------------------------------------------------------------------ reading

    def refresh(self) -> None:
        """Have the model read what it has not yet, if tints or the walk need that."""
        if self.measure is not None or self.walked is not None:
            self.read()

    def read(self, *, anew: bool = False) -> None:
        """Have the model read what it has not yet, if it can be asked.

        Args:
            anew: what was written of a reply since, too.
        """
        engine = self._controller.engine
        if self._refused_by is not engine.info:
            self.problem, self._refused_by = "", None
        can = engine.ready and not engine.is_remote and not self.problem
        if can and not self.is_reading and (anew or not self.is_read):
            self._task = asyncio.create_task(self._read_all(anew=anew))

    @property
    def is_reading(self) -> bool:
        """Whether the model reads the chat."""
        return self._task is not None and not self._task.done()

    async def _read_all(self, *, anew: bool) -> None:
        """Read until nothing is new; what is written meanwhile is read at its end."""
        while anew or not self.is_read:
            anew = False
            try:
                await self._read_once()
            except GpttermError as error:
                self.problem = str(error)
                self._refused_by = self._controller.engine.info
                self._on_change()
                return
            self._on_change()

    @property
    def is_read(self) -> bool:
        """Whether the model has read all that is needed; a reply that is written, at its end."""
        reading, texts = self.reading, self._texts()
        if self._controller.chat.tree.leaf is None or not self._controller.engine.ready:
            return True
        if reading is None or not self._is_of_this(reading):
            return False
        streams = self._controller.replying is self._controller.chat
        known = {key: texts[key] for key in texts if not (streams and key == self._last)}
        same = all(reading.texts.get(key) == text for key, text in known.items())
        return same and (self.measure is None or len(reading.scores) >= len(reading.ids))

    @property
    def _last(self) -> str | None:
        return self._controller.chat.tree.leaf

    async def _read_once(self) -> None:
        controller, settings = self._controller, self._controller.settings
        chat, info, texts, leaf = controller.chat, controller.engine.info, self._texts(), self._last
        assert info is not None
        assert leaf is not None
        raw, client = settings.form == "raw", controller.engine.client
        text = chat_text(chat.tree, leaf, info, settings.transcript, raw=raw)
        ids, turns = await read_tokens(client, text.prompt, text.marked, text.messages)
        before, scores = self.reading, list[TokenScore]()
        if before is not None and before.info is info:
            scores = still_valid(before.ids, before.scores, ids)
        self.reading = reading = Reading(chat.key, info, raw, texts, ids, turns, scores)
        self._tints.clear()
        if self.measure is not None and len(scores) < len(ids):
            await self._score(reading)

    async def _score(self, reading: Reading) -> None:
        """Score the rest, and show what is scored as it comes."""
        client = self._controller.engine.client
        async with contextlib.aclosing(score_rest(client, reading.ids, reading.scores)) as parts:
            async for _ in parts:
                if self.reading is not reading or not self._is_of_this(reading):
                    return
                self._on_change()

    def subject(self, key: str | None) -> Subject | None:
        """The chat, to look into: at the walked token, else at the end of a turn.

        Args:
            key: of the turn; None: the last one.
        """
        controller, leaf = self._controller, self._last
        info, settings = controller.engine.info, controller.settings
        if info is None or leaf is None:
            return None
        prompt = controller.chat.prompt(leaf, settings, info)
        walked, position = self.walked, None
        tokens = self._read(walked.key if walked is not None else key or leaf)
        if tokens:
            position = tokens[-1 if walked is None else walked.number].position
        return Subject(controller.chat.title, prompt, position)

    # ------------------------------------------------------------------------ distributions

    async def look(self, limit: int) -> TokenLook | None:
        """Return what the model would have said in the walked token's place; None without one.

        Where the model cannot be asked, what is kept with the reply.
        """
        walked = self.walked
        if walked is None:
            return None
        return (await self._look(walked, limit))._replace(walked=walked)

    async def _look(self, walked: WalkedToken, limit: int) -> TokenLook:
        tokens = self._read(walked.key)
        if self.reading is None or walked.number >= len(tokens):
            return self._kept_look(walked)
        reading, position = self.reading, tokens[walked.number].position
        tree = self._controller.chat.tree
        is_reply = walked.key in tree and tree.node(walked.key).role == "assistant"
        request = TokenRequest(
            ids=reading.ids,
            position=position,
            sampling=self._controller.settings.sampling,
            limit=limit,
            prompt_tokens=tokens[0].position if is_reply else None,
        )
        try:
            view = await self._read_ahead.view(self._controller.engine.client, request)
        except GpttermError as error:
            return TokenLook(None, str(error))
        reason = "" if view.distribution else "the first token follows nothing"
        return TokenLook(view.distribution, reason, view.score)

    def _kept_look(self, walked: WalkedToken) -> TokenLook:
        tokens = self._kept(walked.key)
        if walked.number >= len(tokens):
            return TokenLook(None, "not known")
        token = tokens[walked.number]
        own = ScoredAlternative(token.id, token.piece, token.logprob)
        # By their bytes too: not every server tells ids.
        shown = {(other.id, other.piece): other for other in (*token.alternatives, own)}
        candidates = tuple(
            Candidate(id=t.id, piece=t.piece, raw=math.exp(t.logprob), used=0.0)
            for t in sorted(shown.values(), key=lambda t: -t.logprob)
        )
        found = NextToken(
            candidates=candidates,
            entropy_bits=math.nan,
            used_entropy_bits=math.nan,
            kept=len(candidates),
            kept_mass=sum(each.raw for each in candidates),
            vocab_size=0,
        )
        score = TokenScore(id=token.id, piece=token.piece, logprob=token.logprob)
        return TokenLook(found, "", score, is_kept=True)

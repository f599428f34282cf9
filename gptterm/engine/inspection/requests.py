"""Contract of inspection: requests about a text, what answers them, `InspectableEngine`.

A request names its text by token ids: those of a reply, or of any prompt by `EncodeRequest`. Its
answer is a stream of events, of which the last is the result, or `Failed`:

| request               | events                                         |
|-----------------------|------------------------------------------------|
| `EncodeRequest`       | `Encoded`                                      |
| `ScoreRequest`        | any number of `TokenScores`, `ScoreSummary`    |
| `TokenRequest`        | any number of `Progress`, `TokenView`          |
| `AttentionRequest`    | any number of `Progress`, `AttentionView`      |
| `AttentionMapRequest` | any number of `Progress`, `AttentionMap`       |
| `HeadGridRequest`     | any number of `Progress`, `HeadGrid`           |
| `LensRequest`         | any number of `Progress`, `LensView`           |

Positions are indices of `ids`. The state at position p has read `ids[: p + 1]`: its lens and its
logits are about `ids[p + 1]`, its attention is the token's own, over positions 0 … p. A text longer
than the context is seen through a window, whose first position the results name.

Light to import, like `gptterm.engine.api`.
"""

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from gptterm.engine.api import (
    Alternative,
    Data,
    Engine,
    Failed,
    NextToken,
    Piece,
    Prompt,
    SamplingParams,
)
from gptterm.ranges import Range

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_MAP_ROWS = 512
"""Positions of an `AttentionMapRequest`."""
MOST_LENS_POSITIONS = 64
"""Positions of a `LensRequest`."""
MOST_ALTERNATIVES = 1000
"""Alternatives a token, in scores and views."""

HeadStatistic = Literal["entropy", "max", "first", "previous", "induction"]
"""Of one row of attention weights: its entropy in bits, its maximum, the weight of position 0 (the
attention sink), of the previous position, and of all positions that follow an earlier occurrence of
the row's token (induction heads; Olsson et al., 2022)."""
HEAD_STATISTICS: tuple[HeadStatistic, ...] = ("entropy", "max", "first", "previous", "induction")


class Numbers(Data, frozen=True, kw_only=True):
    """Array of float32."""

    shape: tuple[int, ...]
    data: bytes
    """In C order, little-endian."""

    @classmethod
    def of(cls, array: "NDArray[Any]") -> "Numbers":
        """Copy an array."""
        return cls(shape=array.shape, data=array.astype("<f4").tobytes())

    def array(self) -> "NDArray[np.float32]":
        """Read-only array of the shape."""
        import numpy as np

        return np.frombuffer(self.data, "<f4").reshape(self.shape)


def _check(allowed: Range, name: str, value: float) -> None:
    try:
        allowed.check(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _check_position(name: str, value: int, end: int) -> None:
    if not 0 <= value < end:
        raise ValueError(f"{name} must be from 0 to {end - 1}, not {value}")


_LIMIT = Range(0, MOST_ALTERNATIVES, integer=True)


class EncodeRequest(Data, frozen=True, kw_only=True):
    """Render a prompt of any length to the ids that a generation would begin with."""

    prompt: Prompt


class ScoreRequest(Data, frozen=True, kw_only=True):
    """Score each token of a text by what precedes it.

    Raises:
        ValueError: a value is out of range.
    """

    ids: tuple[int, ...]
    alternatives: int = 0
    """Most probable tokens to return in each token's place."""
    start_token: bool = True
    """Put the model's start token before a text that does not begin with it, so that the first
    token has a score; without one it has none."""
    stride: int | None = None
    """Tokens scored a window, where the text is longer than the context; each but the first window
    begins with context - stride others. None: half of the context. The context itself: windows that
    share one token, as lm-evaluation-harness has them."""
    first: int = 0
    """Score from this index on; those before it are read."""

    def __post_init__(self) -> None:
        _check(_LIMIT, "alternatives", self.alternatives)
        if self.stride is not None:
            _check(Range(1, integer=True), "stride", self.stride)
        _check(Range(0, integer=True), "first", self.first)


class TokenRequest(Data, frozen=True, kw_only=True):
    """Ask for the distribution that the token at a position was drawn from.

    Raises:
        ValueError: a value is out of range.
    """

    ids: tuple[int, ...]
    position: int
    """`len(ids)`: the token that would come next."""
    sampling: SamplingParams = SamplingParams()
    limit: int = 20
    prompt_tokens: int | None = None
    """Ids that were not generated, for the penalties that count output only; None: all before
    `position`."""

    def __post_init__(self) -> None:
        _check_position("position", self.position, len(self.ids) + 1)
        if self.prompt_tokens is not None:
            _check(Range(0, integer=True), "prompt_tokens", self.prompt_tokens)
        _check(_LIMIT, "limit", self.limit)


class AttentionRequest(Data, frozen=True, kw_only=True):
    """Ask for the attention of one token, in all layers and heads.

    Raises:
        ValueError: a value is out of range.
    """

    ids: tuple[int, ...]
    position: int

    def __post_init__(self) -> None:
        _check_position("position", self.position, len(self.ids))


class AttentionMapRequest(Data, frozen=True, kw_only=True):
    """Ask for the attention of consecutive tokens in one head.

    Raises:
        ValueError: a value is out of range, or there are too many positions.
    """

    ids: tuple[int, ...]
    layer: int
    head: int
    first: int
    """First position; `end` is behind the last one."""
    end: int

    def __post_init__(self) -> None:
        _check_range(self.first, self.end, len(self.ids), MOST_MAP_ROWS)


class HeadGridRequest(Data, frozen=True, kw_only=True):
    """Ask for statistics of each head, as means over consecutive positions.

    Raises:
        ValueError: the positions are out of range.
    """

    ids: tuple[int, ...]
    first: int
    """First position; `end` is behind the last one."""
    end: int

    def __post_init__(self) -> None:
        _check_range(self.first, self.end, len(self.ids), len(self.ids))


def _check_range(first: int, end: int, length: int, most: int) -> None:
    _check_position("first", first, length)
    if not first < end <= length:
        raise ValueError(f"end must be from {first + 1} to {length}, not {end}")
    if end - first > most:
        raise ValueError(f"at most {most} positions at a time, not {end - first}")


class LensRequest(Data, frozen=True, kw_only=True):
    """Ask for what each layer would have said after some positions: the logit lens.

    Raises:
        ValueError: a value is out of range, or there are too many positions.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    limit: int = 5
    """Most probable tokens of each layer."""
    attention: bool = True
    """Look within the blocks, too: after their attention. About twice the time."""

    def __post_init__(self) -> None:
        if len(self.positions) > MOST_LENS_POSITIONS:
            raise ValueError(f"at most {MOST_LENS_POSITIONS} positions at a time")
        for position in self.positions:
            _check_position("position", position, len(self.ids))
        _check(_LIMIT, "limit", self.limit)


InspectionRequest = (
    EncodeRequest
    | ScoreRequest
    | TokenRequest
    | AttentionRequest
    | AttentionMapRequest
    | HeadGridRequest
    | LensRequest
)

# ------------------------------------------------------------------------------------ events


class Progress(Data, frozen=True, kw_only=True):
    """Tokens of a text were read."""

    done: int
    total: int


class Encoded(Data, frozen=True, kw_only=True):
    """Answer to `EncodeRequest`."""

    pieces: tuple[Piece, ...]
    """A special token's bytes are its name."""
    start_tokens: int
    """Number of start tokens that the tokenizer has put before the text."""


class TokenScore(Data, frozen=True, kw_only=True):
    """A token in its place in a text, and what the model expected there."""

    id: int
    piece: bytes
    logprob: float | None = None
    """Natural logarithm of its probability, before penalties and filters; None, like the next two,
    for a first token without a start token before it."""
    rank: int | None = None
    """1 + the number of tokens of the vocabulary that are likelier; of equally likely ones, those
    with lower ids count as likelier."""
    entropy_bits: float | None = None
    """Entropy of the distribution."""
    alternatives: tuple[Alternative, ...] = ()

    @property
    def surprisal_bits(self) -> float | None:
        """-log2 of the probability."""
        return None if self.logprob is None else -self.logprob / math.log(2)


class TokenScores(Data, frozen=True, kw_only=True):
    """Scores of consecutive tokens."""

    first: int
    """Index of the first."""
    tokens: tuple[TokenScore, ...]


class ScoreSummary(Data, frozen=True, kw_only=True):
    """Result of `ScoreRequest`."""

    scored: int
    """Number of tokens with a logprob."""
    logprob: float
    """Sum of their logprobs, in nats."""
    piece_bytes: int
    """Bytes of their pieces."""
    start_ids: tuple[int, ...]
    """The start tokens that were put before the text."""
    windows: int
    """Passes over parts of the text; 1 if it fits the context."""
    stride: int
    """Tokens scored by each window but the first; 0 if there is one window."""

    @property
    def perplexity(self) -> float:
        """exp of the mean surprisal in nats; NaN without scored tokens."""
        return math.exp(-self.logprob / self.scored) if self.scored else math.nan

    def bits_per_byte(self, count: int | None = None) -> float:
        """Surprisal in bits per byte of UTF-8; NaN without bytes.

        Args:
            count: bytes of the scored text; None: of the scored pieces.
        """
        count = self.piece_bytes if count is None else count
        return -self.logprob / math.log(2) / count if count else math.nan


class TokenView(Data, frozen=True, kw_only=True):
    """Result of `TokenRequest`."""

    position: int
    window_start: int
    """First position that the model saw: 0 unless the text is longer than the context."""
    score: TokenScore | None
    """Of the token at the position; None at the end of the text."""
    used: float | None
    """Probability with which the samplers would have drawn it."""
    cut: str | None
    """The step that removed it, as in `Candidate`."""
    distribution: NextToken | None
    """Before and after the samplers; None for a first token, which follows nothing."""


class AttentionView(Data, frozen=True, kw_only=True):
    """Result of `AttentionRequest`."""

    position: int
    window_start: int
    """Position of the first column."""
    weights: Numbers
    """(layers, heads, positions), the last of which is the token's own; each row sums to 1."""
    statistics: Numbers
    """(statistics, layers, heads) in the order of `HEAD_STATISTICS`."""


class AttentionMap(Data, frozen=True, kw_only=True):
    """Result of `AttentionMapRequest`."""

    layer: int
    head: int
    first: int
    """Position of the first row."""
    window_start: int
    """Position of the first column."""
    weights: Numbers
    """(positions from `first` to `end`, positions from `window_start` to `end`)."""


class HeadGrid(Data, frozen=True, kw_only=True):
    """Result of `HeadGridRequest`."""

    statistics: Numbers
    """(statistics, layers, heads) in the order of `HEAD_STATISTICS`, means over the positions."""
    rows: int
    """Positions that the means are over."""


class LensCell(Data, frozen=True, kw_only=True):
    """The next-token distribution of one layer."""

    best: tuple[Alternative, ...]
    """Its most probable tokens, best first."""
    probability: float
    """Of the token that the last layer holds for the most probable; likewise its rank."""
    rank: int
    next_probability: float | None
    """Of the token that follows in the text, likewise its rank; None at the end of the text."""
    next_rank: int | None
    entropy_bits: float
    kl: float
    """KL divergence of the model's own distribution from this one, in nats."""


class LensColumn(Data, frozen=True, kw_only=True):
    """The lens at one position."""

    position: int
    window_start: int
    cells: tuple[LensCell, ...]
    """By `LensView.rows`; the last is the model's own distribution."""


class LensRow(Data, frozen=True, kw_only=True):
    """A place in the model that the lens reads."""

    layer: int
    """0 … L - 1 for the input of a block, L for the output of the last."""
    point: Literal["input", "attention"]
    """`attention`: within the block, after its attention is added."""


class LensView(Data, frozen=True, kw_only=True):
    """Result of `LensRequest`."""

    rows: tuple[LensRow, ...]
    """From the embedding to the output of the last block."""
    columns: tuple[LensColumn, ...]


InspectionResult = (
    Encoded | ScoreSummary | TokenView | AttentionView | AttentionMap | HeadGrid | LensView
)
InspectionEvent = Progress | TokenScores | InspectionResult | Failed


def is_last(event: InspectionEvent) -> bool:
    """Whether an event is the last of its stream."""
    return not isinstance(event, Progress | TokenScores)


@runtime_checkable
class InspectableEngine(Engine, Protocol):
    """An engine whose model can be looked into; those of servers cannot."""

    def inspect(self, request: InspectionRequest) -> Generator[InspectionEvent, None, None]:
        """Yield the events of a request; failures are `Failed`, only bugs raise.

        May be asked while a generation is paused between two of its events, which it does not
        change. Closing the generator cancels, between two chunks of the text.
        """
        ...

"""Contract of inspection: answers to requests.

Positions are indices of a request's ids; see `requests`. Light to import, like
`gptterm.engine.api`.
"""

import math
from typing import TYPE_CHECKING, Any, Literal

from gptterm.engine.api import Alternative, Data, Failed, NextToken, Piece

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
        return None if self.logprob is None else max(0.0, -self.logprob / math.log(2))


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

"""Contract of inspection: requests about a text, and `InspectableEngine`.

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

from collections.abc import Generator
from typing import Protocol, runtime_checkable

from gptterm.engine.api import Data, Engine, Prompt, SamplingParams
from gptterm.engine.inspection.answers import InspectionEvent
from gptterm.ranges import Range

MOST_MAP_ROWS = 512
"""Positions of an `AttentionMapRequest`."""
MOST_LENS_POSITIONS = 64
"""Positions of a `LensRequest`."""
MOST_ALTERNATIVES = 1000
"""Alternatives a token, in scores and views."""


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


@runtime_checkable
class InspectableEngine(Engine, Protocol):
    """An engine whose model can be looked into; those of servers cannot."""

    def inspect(self, request: InspectionRequest) -> Generator[InspectionEvent, None, None]:
        """Yield the events of a request; failures are `Failed`, only bugs raise.

        May be asked while a generation is paused between two of its events, which it does not
        change. Closing the generator cancels, between two chunks of the text.
        """
        ...

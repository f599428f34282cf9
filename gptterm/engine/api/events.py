"""Events of a generation.

In this order: `Started`; `Prefilled` for each chunk of the prompt; for each sample its `Token`
events, then one `Finished`, samples interleaved. `Failed` may come at any point and is then the
last event.
"""

from typing import Literal

from gptterm.engine.api.base import Data
from gptterm.errors import FailureKind

FinishReason = Literal["stop", "eos", "length", "cancelled", "error"]


class Usage(Data, frozen=True, kw_only=True):
    """Token counts of one sample."""

    prompt_tokens: int
    """Tokens of the prompt, after truncation."""
    completion_tokens: int
    reused_tokens: int
    """Prompt tokens found in the prefix cache."""
    dropped_tokens: int
    """Prompt tokens that did not fit the context."""


class Timings(Data, frozen=True, kw_only=True):
    """Timings in seconds from the request. The rate excludes the first token, hence prefill."""

    first_token_s: float
    total_s: float
    tokens_per_s: float


class Alternative(Data, frozen=True, kw_only=True):
    """Another candidate for a token."""

    id: int
    piece: bytes
    """The token's own bytes."""
    logprob: float
    """As `Token.logprob`."""


class Started(Data, frozen=True, kw_only=True):
    """First event: the prompt is rendered, encoded and fits; prefill begins."""

    prompt_tokens: int
    reused_tokens: int
    dropped_tokens: int
    context_length: int
    seed: int | None
    """Seed in effect for sample 0; None if a server chose it."""
    dropped_messages: int = 0
    """Oldest messages of a chat, not counting the system's, that did not fit."""
    prompt_ids: tuple[int, ...] = ()
    notices: tuple[str, ...] = ()
    """Truncations and substitutions for this request, one line each."""


class Prefilled(Data, frozen=True, kw_only=True):
    """Progress of prefill: a chunk of the prompt was processed."""

    done: int
    total: int
    """Tokens to prefill, excluding reused ones."""


class Reasoning(Data, frozen=True, kw_only=True):
    """Text that a remote model wrote before its answer, of which it is not a part."""

    sample: int
    text: str


NO_ID = -1
"""Id of a token whose id the server does not tell."""


class Token(Data, frozen=True, kw_only=True):
    """One token was sampled; of a server without logprobs, one piece of its stream."""

    sample: int
    id: int
    text: str
    """Text that is now final: whole characters that cannot become part of a stop text. Often empty,
    or that of several tokens."""
    piece: bytes
    """The token's own bytes, which may be part of a character."""
    logprob: float | None = None
    """Natural logarithm of the model's probability, before penalties and filters."""
    rank: int | None = None
    """Over the whole vocabulary, 1 for the most probable; with log probabilities, if local."""
    entropy_bits: float | None = None
    """Of the model's distribution in the token's place; known where the rank is."""
    alternatives: tuple[Alternative, ...] = ()


class Finished(Data, frozen=True, kw_only=True):
    """Last event of a sample that ended without an error."""

    sample: int
    reason: FinishReason
    text: str
    """Final text that was held back until now."""
    usage: Usage
    timings: Timings
    stop: str | None = None
    """The stop text that ended it, or the one of `until`."""


class Failed(Data, frozen=True, kw_only=True):
    """Last event of a failed generation. Earlier events stay valid."""

    kind: FailureKind
    message: str
    """One line: the problem, and what to do about it."""


Event = Started | Prefilled | Reasoning | Token | Finished | Failed

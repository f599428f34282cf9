"""A loaded model that generates text."""

from collections.abc import Generator
from typing import Protocol, runtime_checkable

from gptterm.engine.api.base import Data
from gptterm.engine.api.events import Event
from gptterm.engine.api.generate_request import GenerateRequest
from gptterm.engine.api.loading import ModelInfo
from gptterm.engine.api.sampling_params import SamplingParams


class Candidate(Data, frozen=True, kw_only=True):
    """One row of the next-token distribution."""

    id: int
    piece: bytes
    raw: float
    """The model's own probability."""
    used: float
    """Probability of being sampled; 0 if cut."""
    cut: str | None = None
    """The step that removed it: the label of a sampler, `ban` or `greedy`."""
    special: bool = False
    """It is no text: it ends the reply, or is one of the chat template's signs."""


class NextToken(Data, frozen=True, kw_only=True):
    """Next-token distribution, before and after the samplers."""

    candidates: tuple[Candidate, ...]
    """Most probable tokens by `raw`, best first."""
    entropy_bits: float
    """Entropy of the model's distribution."""
    used_entropy_bits: float
    """Entropy after the samplers."""
    kept: int
    """Number of tokens that can be sampled."""
    kept_mass: float
    """The model's probability of all of them."""
    vocab_size: int


class Piece(Data, frozen=True, kw_only=True):
    """A token of an encoded text."""

    id: int
    piece: bytes


class Engine(Protocol):
    """A loaded model that generates text. Synchronous; one generation at a time.

    Only `set_sampling` may be called from another thread while a generation runs.
    """

    @property
    def info(self) -> ModelInfo: ...

    def generate(self, request: GenerateRequest) -> Generator[Event, None, None]:
        """Yield the events of a generation.

        Failures are reported as `Failed`; only bugs raise. Closing the generator cancels, between
        two decode steps or two chunks of prefill.
        """
        ...

    def set_sampling(self, sampling: SamplingParams) -> None:
        """Change the samplers of the running generation from its next token on. Thread-safe.

        No effect when no generation runs.
        """
        ...

    def next_token(self, sampling: SamplingParams, limit: int = 20) -> NextToken | None:
        """Return the distribution after the last generation's text; None before the first.

        Args:
            sampling: the samplers to apply; they need not be those of the generation.
            limit: most candidates to return.
        """
        ...

    def tokenize(self, text: str) -> tuple[Piece, ...]:
        """Encode ordinary text: names of special tokens are encoded as characters."""
        ...

    def close(self) -> None:
        """Free the model. The engine cannot be used afterwards."""
        ...


@runtime_checkable
class CoreSharingEngine(Engine, Protocol):
    """An engine that computes on all cores, and leaves one to others when it is asked to."""

    def leave_core(self, seconds: float) -> None:
        """Compute on a core less for a time; where there is one alone, go on. Thread-safe."""
        ...

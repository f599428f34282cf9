"""Nodes of a conversation: turns, and the runs of an engine that wrote them. Immutable."""

from typing import Annotated, Literal

import msgspec

from gptterm.engine.api import FinishReason, ModelInfo, SamplingParams, Timings, Usage

TurnRole = Literal["user", "assistant"]
# From a file, numbers must be such that the history can hold them.
TokenId = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
Seed = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
EARLIEST, LATEST = 0.0, 253_402_214_400.0
"""The times that can be: from 1970 to the last day of 9999, a date in every time zone."""


def parse_timestamp(value: object) -> float | None:
    """The time that a file gives, in seconds since 1970; None: it can be none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if seconds > LATEST:
        seconds /= 1000  # JavaScript counts in milliseconds
    return seconds if EARLIEST <= seconds <= LATEST else None  # NaN is neither


class Generation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of the engine: what a reply, or one continued part of it, was made with."""

    model: str
    origin: str = ""
    """The program that it was imported from: samplers, device and counts are then not known.
    Empty: a run of ours."""
    revision: str = ""
    device: str = ""
    dtype: str = ""
    sampling: SamplingParams = SamplingParams()
    """As asked for; samplers changed in the middle of the reply are in `changed_sampling`."""
    changed_sampling: tuple[tuple[int, SamplingParams], ...] = ()
    """(tokens written before, the samplers from there on)."""
    raw: bool = False
    """The model continued the texts before; else it answered in a chat."""
    max_tokens: int = 256
    stop_texts: tuple[str, ...] = ()
    seed: Seed | None = None
    """The one in effect, once the engine has told it."""
    start: int = 0
    """Characters of the reply that were there before."""
    dropped_messages: int = 0
    """Of the messages it was given after the system's, the oldest that did not fit."""
    dropped_tokens: int = 0
    tokens: int = 0
    """Tokens written."""
    reason: FinishReason | None = None
    """None: not finished, or cut off together with the program."""
    stop: str | None = None
    """The stop text that ended it."""
    error: str = ""
    usage: Usage | None = None
    timings: Timings | None = None

    @classmethod
    def for_model(
        cls,
        info: ModelInfo,
        sampling: SamplingParams,
        *,
        seed: int | None = None,
        max_tokens: int = 256,
        stop: tuple[str, ...] = (),
        raw: bool = False,
    ) -> "Generation":
        """Describe a run that is about to be requested of the engine in `info`."""
        return cls(
            model=info.name,
            revision=info.revision,
            device=info.device,
            dtype=info.dtype,
            sampling=sampling,
            raw=raw,
            seed=seed,
            max_tokens=max_tokens,
            stop_texts=stop,
        )


class Node(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One turn."""

    id: str
    parent: str | None
    """The turn before; None for a first turn."""
    role: TurnRole
    text: str
    created: float
    """Seconds since 1970."""
    ids: tuple[TokenId, ...] = ()
    """The tokens that `text` was written as, when they spell exactly it; else empty."""
    generations: tuple[Generation, ...] = ()
    """The runs that wrote it, in order: more than one when it was continued; none when a person
    wrote it."""

    @property
    def generation(self) -> Generation | None:
        """The latest run."""
        return self.generations[-1] if self.generations else None

    @property
    def model(self) -> str:
        """The name of the model that wrote it last; empty when a person did."""
        return self.generations[-1].model if self.generations else ""

    @property
    def local_model(self) -> str:
        """The name of the model that can go on with it here; empty for an imported reply."""
        return "" if self.generation is None or self.generation.origin else self.model

    def written_by(self, info: ModelInfo) -> bool:
        """Whether this very model wrote all of it, so that its ids are that model's."""
        return bool(self.generations) and all(
            (run.model, run.revision) == (info.name, info.revision) for run in self.generations
        )

"""Nodes of a conversation: turns, and the engine runs that wrote them. Immutable."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from gptterm.engine.api import FinishReason, ModelInfo, SamplingParams, Timings, Usage

SYSTEM = "system"
"""Key of the system text, where it stands beside turns, which have ids."""

TurnRole = Literal["user", "assistant"]
# Bounds of what the history can store: a file may hold any number.
TokenId = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
Seed = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
EARLIEST, LATEST = 0.0, 253_402_214_400.0
"""Valid timestamps: from 1970 to the last day of 9999, which is a date in every time zone."""


def parse_timestamp(value: object) -> float | None:
    """Return a timestamp from a file in seconds since 1970; None if it is not a valid one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if seconds > LATEST:
        seconds /= 1000  # milliseconds, as in JavaScript
    return seconds if EARLIEST <= seconds <= LATEST else None  # NaN fails both


_MAX_SHARED = 1 << 18
"""Ids that are shared, about as many as the largest vocabularies have."""
_shared: dict[int, int] = {}


def shared_ids(ids: Sequence[int]) -> tuple[int, ...]:
    """Return token ids as a tuple in which equal ids are one object: a history repeats few ids."""
    if len(_shared) > _MAX_SHARED:
        _shared.clear()
    return tuple(map(_shared.setdefault, ids, ids))


class Generation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run of the engine, which wrote a reply or continued it: model, parameters, outcome."""

    model: str
    origin: str = ""
    """The program it was imported from, in which case samplers, device and counts are unknown.
    Empty for our own runs."""
    revision: str = ""
    device: str = ""
    dtype: str = ""
    sampling: SamplingParams = SamplingParams()
    """As requested; later changes are in `changed_sampling`."""
    changed_sampling: tuple[tuple[int, SamplingParams], ...] = ()
    """(number of tokens before the change, samplers from there on)."""
    raw: bool = False
    """Raw continuation of the texts before, instead of a chat prompt."""
    chat_template: bool | None = None
    """The prompt was rendered by the model's own chat template: a reply of a chat model. None: not
    known, of an import or of an older version's run."""
    system: str = ""
    """The system text that the prompt began with; empty for none, or where it is not known."""
    max_tokens: int = 256
    stop_texts: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    """Ends that are part of the text, as they were given; see `gptterm.engine.until`."""
    seed: Seed | None = None
    """The seed in effect, once the engine has reported it."""
    start: int = 0
    """Characters of the reply before this run."""
    dropped_messages: int = 0
    """Oldest messages, not counting the system text, that did not fit the context."""
    dropped_tokens: int = 0
    tokens: int = 0
    """Generated tokens."""
    reason: FinishReason | None = None
    """None: unfinished, or the program ended first."""
    stop: str | None = None
    """The stop text that ended it, or the one of `until`."""
    error: str = ""
    reasoning: str = ""
    """Text that a remote model wrote before its answer; no part of the prompt of later turns."""
    usage: Usage | None = None
    timings: Timings | None = None

    @property
    def written_tokens(self) -> int:
        """Tokens written; a server may send several in one piece, and count them at the end."""
        return max(self.tokens, self.usage.completion_tokens if self.usage is not None else 0)

    @classmethod
    def for_model(
        cls,
        info: ModelInfo,
        sampling: SamplingParams,
        *,
        seed: int | None = None,
        max_tokens: int = 256,
        stop: tuple[str, ...] = (),
        until: tuple[str, ...] = (),
        raw: bool = False,
    ) -> "Generation":
        """Return a run that is about to start on the engine described by `info`."""
        return cls(
            model=info.name,
            revision=info.revision,
            device=info.device,
            dtype=info.dtype,
            sampling=sampling,
            raw=raw,
            chat_template=info.has_chat_template and not raw,
            seed=seed,
            max_tokens=max_tokens,
            stop_texts=stop,
            until=until,
        )


class Node(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One turn."""

    id: str
    parent: str | None
    """The previous turn; None for a first turn."""
    role: TurnRole
    text: str
    created: float
    """Seconds since 1970."""
    ids: tuple[TokenId, ...] = ()
    """The generated token ids, if they spell exactly `text`; else empty."""
    generations: tuple[Generation, ...] = ()
    """The runs that wrote it, in order: several if it was continued, none for a person's turn."""
    scores: bytes = b""
    """Scores of its tokens, where a run was asked for them; see `token_scores.unpack`."""

    name: str = ""
    """A person's, of the branch that begins with this turn; empty for none."""

    @property
    def generation(self) -> Generation | None:
        """The latest run."""
        return self.generations[-1] if self.generations else None

    @property
    def model(self) -> str:
        """Name of the model that wrote it last; empty for a person's turn."""
        return self.generations[-1].model if self.generations else ""

    @property
    def reasoning(self) -> str:
        """Reasoning of its model before the answer; empty if it wrote or told none."""
        return "\n".join(run.reasoning for run in self.generations if run.reasoning)

    @property
    def local_model(self) -> str:
        """Name of the model that can continue it here; empty for an imported reply."""
        return "" if self.generation is None or self.generation.origin else self.model

    def written_by(self, info: ModelInfo) -> bool:
        """Whether this very model wrote all of it, so that its ids are valid for the model."""
        return bool(self.generations) and all(
            (run.model, run.revision) == (info.name, info.revision) for run in self.generations
        )

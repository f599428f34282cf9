"""The contract between front ends and engines: requests, events, the `Engine` protocol.

Everything here is plain, frozen, validated data that msgspec can send over a pipe or write as
JSON. Nothing heavy is imported, so that a front end can be on the screen before torch is.
"""

import math
from collections.abc import Callable, Generator, Iterator
from typing import Literal, Protocol, get_args, runtime_checkable

import msgspec

from gptterm.engine.samplers import ORDERS, SAMPLERS
from gptterm.errors import FailureKind
from gptterm.ranges import Range

SamplerOrder = Literal["transformers", "llama"]
Overflow = Literal["error", "truncate"]
FinishReason = Literal["stop", "eos", "length", "cancelled", "error"]
Role = Literal["system", "user", "assistant"]
Dtype = Literal["auto", "float32", "bfloat16", "float16", "int8"]


class Data(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """Base of the contract's values: immutable, keyword-only, told apart by their type's name."""


# ---------------------------------------------------------------------------------- sampling


class SamplingParams(Data, frozen=True, kw_only=True):
    """Parameters of the sampler chain, one field a declared sampler, with the built-in defaults.

    Raises:
        ValueError: a value is out of range, NaN or infinite; the message names it and the range.
    """

    temperature: float = 0.8
    """Divides the logits; 0 is greedy."""
    top_k: int = 40
    """Keep the k largest logits; 0 is off."""
    top_p: float = 0.95
    """Nucleus (Holtzman et al., 2020): keep a token iff the mass above it is < p; 1 is off."""
    min_p: float = 0.0
    """Keep a token iff its probability ≥ min_p × the largest (Nguyen et al., 2024); 0 is off."""
    typical_p: float = 1.0
    """Locally typical sampling (Meister et al., 2023); 1 is off."""
    repetition_penalty: float = 1.0
    """Divides positive, multiplies negative logits of seen tokens (Keskar et al., 2019)."""
    presence_penalty: float = 0.0
    """Subtracted once from each token of the output so far."""
    frequency_penalty: float = 0.0
    """Subtracted once per occurrence in the output so far."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token id, value added to its logit); -inf bans the token."""
    order: SamplerOrder = "transformers"
    """Which engine's order of the filters is followed."""

    def __post_init__(self) -> None:
        for sampler in SAMPLERS.values():
            _check(sampler.range, sampler.name, getattr(self, sampler.name))
        for _, bias in self.logit_bias:
            if not bias < math.inf:
                raise ValueError(f"logit_bias must be a number or -inf, not {bias:g}")


def _check(allowed: Range, name: str, value: float) -> None:
    try:
        allowed.check(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def _check_declarations() -> None:
    """Hold the written struct against the declarations.

    Raises:
        LookupError: a sampler without a field, a field without a sampler, or another default.
    """
    declared = {sampler.name: sampler.default for sampler in SAMPLERS.values()}
    struct = SamplingParams
    fields = dict(zip(struct.__struct_fields__, struct.__struct_defaults__, strict=True))
    others = declared | {"logit_bias": (), "order": get_args(SamplerOrder)[0]}
    if fields != others or get_args(SamplerOrder) != tuple(ORDERS):
        raise LookupError("SamplingParams does not match the declared samplers and orders")


_check_declarations()

NEUTRAL = msgspec.convert({s.name: s.neutral for s in SAMPLERS.values()}, SamplingParams)
"""Every sampler off: the model's own distribution."""


# ---------------------------------------------------------------------------------- requests


class Message(Data, frozen=True, kw_only=True):
    """One turn of a chat."""

    role: Role
    text: str
    ids: tuple[int, ...] = ()
    """The token ids the text was generated as, when this very model wrote it: they are reused
    verbatim, since encoding the text anew may give others and lose the cached prefix."""


class TextPrompt(Data, frozen=True, kw_only=True):
    """Text that the model continues from its end."""

    text: str


class TokenPrompt(Data, frozen=True, kw_only=True):
    """Token ids that the model continues."""

    ids: tuple[int, ...]


class Transcript(Data, frozen=True, kw_only=True):
    """How a chat is written down for a model that has no chat template."""

    preamble: str = (
        "The following is a conversation between a user and a helpful, friendly assistant."
    )
    user: str = "User"
    assistant: str = "Assistant"


class ChatPrompt(Data, frozen=True, kw_only=True):
    """A chat for the model to answer: by its chat template, or as a transcript if it has none."""

    messages: tuple[Message, ...]
    continue_last: bool = False
    """The last message is the assistant's and is gone on with, instead of a new one begun."""
    transcript: Transcript = Transcript()


Prompt = TextPrompt | TokenPrompt | ChatPrompt


class GenerateRequest(Data, frozen=True, kw_only=True):
    """One generation.

    Raises:
        ValueError: a count is out of range.
    """

    prompt: Prompt
    sampling: SamplingParams = SamplingParams()
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    """The text ends before the first of these that would appear."""
    seed: int | None = None
    """Seed of sample 0; sample i uses seed + i. None draws one, which `Started` reports."""
    samples: int = 1
    """Continuations of the one prompt, decoded together."""
    logprobs: int | None = None
    """None: off. K: each token event carries its logprob and the K best alternatives."""
    overflow: Overflow = "truncate"
    ignore_eos: bool = False
    """Go on after an end-of-text token (benchmarks)."""

    def __post_init__(self) -> None:
        _check(Range(1, integer=True), "max_tokens", self.max_tokens)
        _check(Range(1, integer=True), "samples", self.samples)
        if self.logprobs is not None:
            _check(Range(0, integer=True), "logprobs", self.logprobs)
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be a whole number from 0 to 2^63 - 1, not {self.seed}")
        if "" in self.stop:
            raise ValueError("stop must not be an empty text")


# ------------------------------------------------------------------------------------ events


class Usage(Data, frozen=True, kw_only=True):
    """Token counts of one sample."""

    prompt_tokens: int
    """Tokens the model was given, after any were dropped."""
    completion_tokens: int
    reused_tokens: int
    """Of the prompt's, those whose keys and values were still in the cache."""
    dropped_tokens: int
    """Tokens that did not fit the context."""


class Timings(Data, frozen=True, kw_only=True):
    """Seconds; the rate counts every token after the first, so prefill does not blur it."""

    first_token_s: float
    total_s: float
    tokens_per_s: float


class Alternative(Data, frozen=True, kw_only=True):
    """A token the model could have said."""

    id: int
    piece: bytes
    logprob: float


class Started(Data, frozen=True, kw_only=True):
    """The prompt is rendered, encoded and fits; prefill begins."""

    prompt_tokens: int
    reused_tokens: int
    dropped_tokens: int
    context_length: int
    seed: int
    """The seed in effect for sample 0."""
    dropped_messages: int = 0
    """Of a chat's messages after the system's, how many of the oldest did not fit."""
    prompt_ids: tuple[int, ...] = ()
    notices: tuple[str, ...] = ()
    """Truncations and substitutions for this request, one line each."""


class Prefilled(Data, frozen=True, kw_only=True):
    """A chunk of the prompt went through the model."""

    done: int
    total: int
    """Tokens to prefill, without the reused ones."""


class Token(Data, frozen=True, kw_only=True):
    """One token was chosen."""

    sample: int
    id: int
    text: str
    """Text that may be shown now: whole characters that no stop text can still claim. Often empty
    or several tokens' worth."""
    piece: bytes
    """The token's own bytes."""
    logprob: float | None = None
    """Natural log of the model's probability, before any sampler."""
    alternatives: tuple[Alternative, ...] = ()


class Finished(Data, frozen=True, kw_only=True):
    """One sample has ended, for a good reason."""

    sample: int
    reason: FinishReason
    text: str
    """Text held back until now, which belongs to the reply."""
    usage: Usage
    timings: Timings
    stop: str | None = None
    """The stop text that ended it."""


class Failed(Data, frozen=True, kw_only=True):
    """The generation broke off; no event follows. What was streamed before stays valid."""

    kind: FailureKind
    message: str


Event = Started | Prefilled | Token | Finished | Failed


# ------------------------------------------------------------------------------------ engine


class ModelSource(Data, frozen=True, kw_only=True):
    """Where a model's files lie: what `gptterm.models` finds and an engine loads."""

    name: str
    """As the user asked for it."""
    directory: str
    """Holds config.json, the weights (safetensors) and the tokenizer's files."""
    revision: str = ""
    """Commit of a Hub snapshot; empty when unknown."""
    gguf_file: str | None = None
    """Name of the .gguf file in `directory`, when the model is one."""
    notices: tuple[str, ...] = ()
    """Substitutions made while looking, one line each."""


class LoadRequest(Data, frozen=True, kw_only=True):
    """Arguments of an engine's start."""

    source: ModelSource
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""
    dtype: Dtype = "auto"


class ModelInfo(Data, frozen=True, kw_only=True):
    """Facts of a loaded model that a front end shows and decides by."""

    name: str
    """As the user would ask for it again."""
    revision: str
    """Commit of a Hub snapshot, or a digest of a local file; empty when unknown."""
    architecture: str
    decoder: Literal["native", "transformers", "remote", "scripted"]
    device: str
    dtype: str
    parameters: int
    context_length: int
    vocab_size: int
    has_chat_template: bool
    fidelity_kl: float | None = None
    """Mean KL divergence from the same model in float32, in nats a token of a fixed text; None
    where it was not measured."""
    load_s: float = 0.0
    warm_pid: int | None = None
    """The process, when it is a warm engine's, which others may use too; `load_s` is then how
    long this front end waited for it."""
    notices: tuple[str, ...] = ()
    """Substitutions made while loading, one line each."""


class Candidate(Data, frozen=True, kw_only=True):
    """One row of the next-token distribution."""

    id: int
    piece: bytes
    raw: float
    """Probability by the model (temperature 1, no filter, no penalty)."""
    used: float
    """Probability of being drawn; 0 when cut."""
    cut: str | None = None
    """The filter that removed it: `top-k`, `top-p`, `min-p`, `typical-p`, `ban`, `greedy`."""


class NextToken(Data, frozen=True, kw_only=True):
    """The distribution over the next token, raw and as the samplers leave it."""

    candidates: tuple[Candidate, ...]
    """The most probable tokens by `raw`, best first."""
    entropy_bits: float
    """Of the model's distribution."""
    used_entropy_bits: float
    kept: int
    """Tokens that can still be drawn."""
    kept_mass: float
    """The model's probability of those."""
    vocab_size: int


class Piece(Data, frozen=True, kw_only=True):
    """A token of a text."""

    id: int
    piece: bytes


class Engine(Protocol):
    """Anything that generates text. Synchronous; one generation at a time."""

    @property
    def info(self) -> ModelInfo: ...

    def generate(self, request: GenerateRequest) -> Generator[Event, None, None]:
        """Yield `Started`, `Prefilled` per chunk, tokens and a `Finished` per sample, or `Failed`.

        Closing the generator cancels: between two steps, or between two chunks of the prefill.
        """
        ...

    def set_sampling(self, sampling: SamplingParams) -> None:
        """Change the samplers of the running generation from its next token on. Thread-safe."""
        ...

    def next_token(self, sampling: SamplingParams, limit: int = 20) -> NextToken | None:
        """The distribution at the end of the last generation; None before the first."""
        ...

    def tokenize(self, text: str) -> tuple[Piece, ...]:
        """Encode as ordinary text: the name of a special token is just characters."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


class LiveBatch(Protocol):
    """Requests that come and go and are run side by side. Used by one thread."""

    @property
    def idle(self) -> bool:
        """Whether no request is left."""
        ...

    @property
    def ready(self) -> bool:
        """Whether `step` has anything to do: not if all requests are paused."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether a request submitted now would begin before another one ends."""
        ...

    def submit(self, request: GenerateRequest) -> int:
        """Add a request; returns the number under which `step` yields its events."""
        ...

    def step(self) -> Iterator[tuple[int, Event]]:
        """Prefill up to a chunk and draw up to a token a sample, for all; consume it whole."""
        ...

    def cancel(self, number: int) -> None:
        """Drop a request between two steps; no event of it follows."""
        ...

    def pause(self, number: int) -> bool:
        """Leave a request as it is until `resume`; False: others may have to wait for it."""
        ...

    def resume(self, number: int) -> None:
        """Have a paused request go on."""
        ...

    def set_sampling(self, number: int, sampling: SamplingParams) -> None:
        """Change the samplers of a request from its next token on. Thread-safe."""
        ...

    def next_token(
        self, number: int, sampling: SamplingParams, limit: int = 20
    ) -> NextToken | None:
        """The distribution after the first sample's text so far, between two steps.

        None before the first token, and when other requests have taken the place of its text.
        """
        ...

    def close(self) -> None:
        """Give up all requests."""
        ...


@runtime_checkable
class BatchingEngine(Engine, Protocol):
    """An engine that runs several generations at once."""

    def new_batch(self, rows: int, on_error: Callable[[Exception], Failed]) -> LiveBatch:
        """A batch of up to `rows` sequences, or of fewer if memory is short.

        Args:
            on_error: makes an unforeseen exception the failure of the request it belongs to.
        """
        ...

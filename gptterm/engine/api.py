"""Contract between front ends and engines: requests, events, the `Engine` protocol.

All values are frozen, validated data that msgspec encodes for a pipe or as JSON. Decoding refuses
unknown fields, and constructors refuse values out of range. No heavy imports: a front end draws its
first frame before torch is loaded.

One generation yields, in this order: `Started`; `Prefilled` for each chunk of the prompt; for each
sample its `Token` events, then one `Finished`, samples interleaved. `Failed` may come at any point
and is then the last event.
"""

import math
from collections.abc import Generator
from typing import Literal, Protocol, get_args

import msgspec

from gptterm.engine.samplers import ORDERS, SAMPLERS
from gptterm.errors import FailureKind
from gptterm.ranges import Range

SamplerOrder = Literal["transformers", "llama"]
Overflow = Literal["error", "truncate"]
FinishReason = Literal["stop", "eos", "length", "cancelled", "error"]
Role = Literal["system", "user", "assistant"]
Dtype = Literal["auto", "float32", "bfloat16", "float16", "int8"]
KVDtype = Literal["auto", "float32", "float16", "int8"]
KV_DTYPES: tuple[str, ...] = get_args(KVDtype)[1:]
"""Dtypes of a native decoder's KV cache on a CPU."""
Api = Literal["auto", "chat", "completions"]

MOST_WORD = 200
"""Characters of a word that is banned or biased."""


class Data(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """Base of all values: immutable, keyword-only, tagged with the type's name when encoded."""


# ---------------------------------------------------------------------------------- sampling


class SamplingParams(Data, frozen=True, kw_only=True, cache_hash=True):
    """Parameters of the sampler chain: a field for each declared sampler, with its default.

    Raises:
        ValueError: a value is out of range, NaN or infinite; the message names field and range.
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
    """Subtracted once from the logit of each token of the output so far."""
    frequency_penalty: float = 0.0
    """Subtracted once per occurrence in the output so far."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token id, value added to its logit) pairs; -inf bans the token."""
    word_bias: tuple[tuple[str, float], ...] = ()
    """(word, value added to the logit of each token that would complete it) pairs; -inf bans the
    word. See `gptterm.engine.text.word_completions` for what a word is."""
    order: SamplerOrder = "transformers"
    """Order of the steps, named after the library that uses it; see `samplers.ORDERS`."""

    def __post_init__(self) -> None:
        for sampler in SAMPLERS.values():
            _check(sampler.range, sampler.name, getattr(self, sampler.name))
        for _, bias in self.logit_bias:
            if not bias < math.inf:
                raise ValueError(f"logit_bias must be a number or -inf, not {bias:g}")
        for word, bias in self.word_bias:
            if not 0 < len(word) <= MOST_WORD:
                raise ValueError(f"a word has 1 to {MOST_WORD} characters, not {len(word)}")
            if not bias < math.inf:
                raise ValueError(f"word_bias must be a number or -inf, not {bias:g}")


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
    others = declared | {"logit_bias": (), "word_bias": (), "order": get_args(SamplerOrder)[0]}
    if fields != others or get_args(SamplerOrder) != tuple(ORDERS):
        raise LookupError("SamplingParams does not match the declared samplers and orders")


_check_declarations()

NEUTRAL = msgspec.convert({s.name: s.neutral for s in SAMPLERS.values()}, SamplingParams)
"""All samplers neutral: the model's own distribution."""


# ---------------------------------------------------------------------------------- requests


class Message(Data, frozen=True, kw_only=True):
    """One turn of a chat."""

    role: Role
    text: str
    ids: tuple[int, ...] = ()
    """Token ids of the text as this model generated it, fed again verbatim: encoding the text could
    give others and miss the cached prefix. Empty: `text` is encoded."""


class TextPrompt(Data, frozen=True, kw_only=True):
    """Text to continue from its end."""

    text: str


class TokenPrompt(Data, frozen=True, kw_only=True):
    """Token ids to continue."""

    ids: tuple[int, ...]


class Transcript(Data, frozen=True, kw_only=True):
    """Transcript form of a chat, for a model without a chat template."""

    preamble: str = (
        "The following is a conversation between a user and a helpful, friendly assistant."
    )
    user: str = "User"
    assistant: str = "Assistant"


class ChatPrompt(Data, frozen=True, kw_only=True):
    """A chat to answer, rendered by the model's chat template, or as a transcript without one."""

    messages: tuple[Message, ...]
    continue_last: bool = False
    """Continue the last message, which is the assistant's, instead of beginning a new one."""
    transcript: Transcript = Transcript()


class MixedPrompt(Data, frozen=True, kw_only=True):
    """Texts and token ids to continue, one after the other."""

    parts: tuple[TextPrompt | TokenPrompt, ...]
    memory: str = ""
    """Text before the parts."""
    note: str = ""
    """Text before the last tokens of the parts. Truncation keeps it, and the memory."""
    note_depth: int = 0
    """Tokens of the parts after the note."""
    after: str = ""
    """Text behind the place that is continued, which a model reads that fills the middle
    (`ModelInfo.fills_middle`), and others do not."""


Prompt = TextPrompt | TokenPrompt | MixedPrompt | ChatPrompt


class GenerateRequest(Data, frozen=True, kw_only=True):
    """Request for one generation.

    Raises:
        ValueError: a value is out of range; the message names field and range.
    """

    prompt: Prompt
    sampling: SamplingParams = SamplingParams()
    max_tokens: int = 256
    stop: tuple[str, ...] = ()
    """Stop texts: the output ends before the first occurrence of any."""
    until: tuple[str, ...] = ()
    """Ends: the output ends behind the first match of any; see `gptterm.engine.until`."""
    seed: int | None = None
    """Seed of sample 0; sample i uses seed + i. None: a random one, which `Started` reports."""
    samples: int = 1
    """Number of continuations of the prompt, decoded in one batch."""
    logprobs: int | None = None
    """None: off. K: each `Token` carries its logprob and the K best alternatives."""
    overflow: Overflow = "truncate"
    """A prompt too long for the context: drop its oldest tokens, or fail (`prompt_too_long`)."""
    ignore_eos: bool = False
    """Continue after an end-of-text token (benchmarks)."""

    def __post_init__(self) -> None:
        _check(Range(1, integer=True), "max_tokens", self.max_tokens)
        _check(Range(1, integer=True), "samples", self.samples)
        if self.logprobs is not None:
            _check(Range(0, integer=True), "logprobs", self.logprobs)
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be a whole number from 0 to 2^63 - 1, not {self.seed}")
        if "" in self.stop or "" in self.until:
            raise ValueError(f"{'stop' if '' in self.stop else 'until'} must not be an empty text")


# ------------------------------------------------------------------------------------ events


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


# ------------------------------------------------------------------------------------ engine


class RemoteModel(Data, frozen=True, kw_only=True):
    """A model on an OpenAI-compatible server. Never its key."""

    server: str
    """Name of the server in the settings, or its URL."""
    url: str
    """Base address, such as `http://localhost:8000/v1`."""
    model: str
    """The server's name for the model; empty for its only one."""
    api: Api = "auto"
    """`completions`: it can only continue a text; `chat`: it can only answer."""
    dialect: str = ""
    """Key of `gptterm.engine.remote.dialects`; empty if unknown."""
    context_length: int = 0
    """Tokens; 0 if the server does not tell."""


class ModelSource(Data, frozen=True, kw_only=True):
    """Location of a model: files, as resolved by `gptterm.models`, or a server."""

    name: str
    """Name that the user gave."""
    directory: str
    """Folder with config.json, the weights (safetensors) and the tokenizer's files; empty for a
    remote model."""
    revision: str = ""
    """Commit of a Hub snapshot; empty if unknown."""
    gguf_file: str | None = None
    """Name of the .gguf file in `directory`, for a GGUF model."""
    remote: RemoteModel | None = None
    """The model on a server; None for files."""
    notices: tuple[str, ...] = ()
    """Substitutions made while resolving, one line each."""


class AdapterSource(Data, frozen=True, kw_only=True):
    """A LoRA adapter, in a directory as peft saves it."""

    directory: str
    """Absolute."""
    scale: float = 1.0
    """By which its changes are multiplied, beside its own scale."""

    def __str__(self) -> str:
        return self.directory if self.scale == 1 else f"{self.directory}={self.scale:g}"


class LoadRequest(Data, frozen=True, kw_only=True):
    """Request to start an engine with a model."""

    source: ModelSource
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""
    dtype: Dtype = "auto"
    kv_dtype: KVDtype = "auto"
    """Of the KV cache; `auto` is float32 where the weights are, and float16 elsewhere."""
    context: int | None = None
    """The most tokens of prompt and reply together; None is what the model holds."""
    adapters: tuple[AdapterSource, ...] = ()
    """Merged into the weights; several add up."""


class ModelInfo(Data, frozen=True, kw_only=True):
    """Facts of a loaded model."""

    name: str
    """Name by which the user can ask for it again."""
    revision: str
    """Commit of a Hub snapshot, or a digest of a local file; empty if unknown."""
    architecture: str
    decoder: Literal["native", "transformers", "remote", "scripted"]
    device: str
    dtype: str
    parameters: int
    context_length: int
    """Tokens; 0 if a server does not tell, which holds for the other numbers too."""
    vocab_size: int
    has_chat_template: bool
    fills_middle: bool = False
    """It continues a text before another one: its vocabulary has tokens for that."""
    fidelity_kl: float | None = None
    """Mean KL divergence from the model in float32, in nats per token of a fixed text; None if not
    measured."""
    kv_dtype: str = ""
    """Of the KV cache; empty on a server."""
    kv_fidelity_kl: float | None = None
    """As `fidelity_kl`, of the KV cache in int8 from one in float32; None in other dtypes."""
    cache_bytes_per_token: int = 0
    """Of the KV cache; 0 if it is not known beforehand."""
    load_s: float = 0.0
    """Seconds to load the model; for a warm engine, seconds that this front end waited."""
    adapters: tuple[str, ...] = ()
    """LoRA adapters merged into the weights: directories, each with `=SCALE` where it is not 1."""
    warm_pid: int | None = None
    """Process id of a warm engine, which other front ends may use too; None for one's own."""
    notices: tuple[str, ...] = ()
    """Substitutions made while loading, one line each."""


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

"""Request for a generation: a prompt of one of four kinds, and how to continue it."""

from typing import Literal

from gptterm.engine.api.base import Data, check_range
from gptterm.engine.api.sampling_params import SamplingParams
from gptterm.ranges import Range

Overflow = Literal["error", "truncate"]
Role = Literal["system", "user", "assistant"]


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
        check_range(Range(1, integer=True), "max_tokens", self.max_tokens)
        check_range(Range(1, integer=True), "samples", self.samples)
        if self.logprobs is not None:
            check_range(Range(0, integer=True), "logprobs", self.logprobs)
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be a whole number from 0 to 2^63 - 1, not {self.seed}")
        if "" in self.stop or "" in self.until:
            raise ValueError(f"{'stop' if '' in self.stop else 'until'} must not be an empty text")

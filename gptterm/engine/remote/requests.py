"""Requests: the body of a call from a `GenerateRequest`, and what a server has refused so far."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from gptterm.engine.api import (
    ChatPrompt,
    GenerateRequest,
    MixedPrompt,
    Prompt,
    RemoteModel,
    SamplingParams,
    TextPrompt,
    TokenPrompt,
)
from gptterm.engine.prompt.transcript import transcript_parts, transcript_stops
from gptterm.engine.remote.dialects import DIALECTS, Dialect
from gptterm.engine.samplers import SAMPLERS
from gptterm.errors import UsageError
from gptterm.format import shorten

CHAT, TEXT = "chat/completions", "completions"
_BIAS_LIMIT = 100.0
"""OpenAI's range of a bias; -100 bans a token."""
_TEXT_ONLY = re.compile(r"(davinci|babbage|curie|ada)(-|$)|-instruct(-\d+)?$")
"""OpenAI's models that have no chat."""


@dataclass
class Learned:
    """Fields and features that a server has refused."""

    fields: dict[str, str] = field(default_factory=dict)
    """Refused field to the server's reason."""
    values: dict[str, tuple[Any, str]] = field(default_factory=dict)
    """Field to the value that was refused last, and the reason: another value may be taken."""
    max_tokens: str = ""
    """Field of the limit that it asked for; empty for the dialect's."""
    dialect: str = ""
    """Key of the dialect that a refusal gave away; empty if none did."""
    no_chat: bool = False
    """The model has no chat: transcripts are continued instead."""
    no_logprobs: bool = False
    """It accepts the fields, and sends none."""
    count: int = 0
    """Refusals so far."""

    def refusal(self, name: str, value: Any) -> str:
        """Return why a field with this value is refused; empty if it is not."""
        refused, reason = self.values.get(name, (None, ""))
        return self.fields.get(name) or (reason if refused == value else "")


class Call(NamedTuple):
    """A call of the API."""

    path: str
    body: dict[str, Any]
    notices: tuple[str, ...]
    """Settings that are not sent, one line each."""
    stop: tuple[str, ...]
    """Stop texts to watch for, also those that are not sent."""
    strip: bool = False
    """Remove white space before the text: it belongs to the transcript's form."""

    @property
    def wants_logprobs(self) -> bool:
        return "logprobs" in self.body


def answers(remote: RemoteModel) -> bool:
    """Whether the model has a chat, as far as its name and the settings tell."""
    if remote.api != "auto":
        return remote.api == "chat"
    return remote.dialect != "openai" or not _TEXT_ONLY.search(remote.model)


def dialect_of(remote: RemoteModel, learned: Learned) -> Dialect:
    """Return the dialect of a model's server, as far as it is known by now."""
    return DIALECTS[remote.dialect or learned.dialect]


def build(request: GenerateRequest, remote: RemoteModel, learned: Learned, sample: int = 0) -> Call:
    """Build the call for one sample of a request.

    Raises:
        UsageError: the prompt cannot be sent to such a server.
    """
    dialect = dialect_of(remote, learned)
    notices: list[str] = []
    stop = request.stop
    body: dict[str, Any] = {"model": remote.model, "stream": True}
    strip = False
    prompt = request.prompt
    if isinstance(prompt, ChatPrompt) and not learned.no_chat and remote.api != "completions":
        path = CHAT
        body["messages"] = _messages(prompt, dialect, body)
    else:
        path = TEXT
        if remote.api == "chat":
            raise UsageError(
                f'{remote.server} only answers chats (api = "chat"): it continues no text'
            )
        body["prompt"], more, strip = _text(prompt)
        stop = (*stop, *more)
    body |= _sampling(request, dialect, learned, notices)
    body |= _limits(request, path, stop, dialect, learned)
    body |= _extras(request, path, dialect, learned, notices, sample)
    return Call(path, body, tuple(notices), stop, strip)


def _messages(prompt: ChatPrompt, dialect: Dialect, body: dict[str, Any]) -> list[dict[str, str]]:
    messages = [m for m in prompt.messages if m.text.strip() or m is not prompt.messages[-1]]
    if not messages:
        raise UsageError("a chat needs at least one message")
    if prompt.continue_last and messages[-1].role == "assistant" and dialect is DIALECTS["vllm"]:
        # Others continue a last message of the assistant by themselves, or begin a new one.
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    return [{"role": m.role, "content": m.text} for m in messages]


def _text(prompt: Prompt) -> tuple[Any, tuple[str, ...], bool]:
    """Return the text to continue, the stop texts of its form, and whether to strip the reply."""
    match prompt:
        case TextPrompt(text=text):
            return text, (), False
        case TokenPrompt(ids=ids):
            return list(ids), (), False
        case MixedPrompt():
            raise UsageError("a server gets a text, or token ids, not both")
        case ChatPrompt():
            stop = transcript_stops(prompt.transcript)
            return transcript(prompt), stop, not prompt.continue_last


def transcript(prompt: ChatPrompt) -> str:
    """Write a chat as a transcript; white space at a message's end is not sent."""
    parts = transcript_parts(prompt)
    return "".join(part if isinstance(part, str) else f" {part.text}".rstrip() for part in parts)


def _sampling(
    request: GenerateRequest, dialect: Dialect, learned: Learned, notices: list[str]
) -> dict[str, Any]:
    sampling = request.sampling
    body: dict[str, Any] = {}
    for sampler in SAMPLERS.values():
        value = getattr(sampling, sampler.name)
        is_neutral = value == sampler.neutral and sampler.name != "temperature"
        wire = dialect.samplers.get(sampler.name)
        if wire is None:
            if not is_neutral:
                notices.append(
                    f"{sampler.label} {value:g} is not used: {dialect.label} does not take it"
                )
        else:
            sent = wire.convert(value)
            reason = learned.refusal(wire.name, sent)
            if reason and not is_neutral:
                notices.append(f"{sampler.label} {value:g} is not used: {reason}")
            elif sent is not None and not reason and (dialect.neutral or not is_neutral):
                body[wire.name] = sent
    if sampling.order != type(sampling)().order:
        notices.append(f"the sampler order {sampling.order} is not used: a server has its own")
    body |= _words(sampling, dialect, learned, notices)
    if sampling.logit_bias and "logit_bias" not in learned.fields:
        body["logit_bias"] = {
            str(token): max(-_BIAS_LIMIT, min(bias, _BIAS_LIMIT))
            for token, bias in sampling.logit_bias
        }
    return body


def _words(
    sampling: SamplingParams, dialect: Dialect, learned: Learned, notices: list[str]
) -> dict[str, Any]:
    """Ban words, where the server does; it has no biases of words."""
    words, name = sampling.word_bias, dialect.banned_words
    takes = name and name not in learned.fields
    banned = [word for word, value in words if value == -math.inf] if takes else []
    if len(banned) < len(words):
        what = "biased words are" if takes else "banned and biased words are"
        notices.append(f"{what} not used: {dialect.label} knows biases of tokens only")
    return {name: [form for word in banned for form in _cases(word)]} if banned else {}


def _cases(word: str) -> Iterator[str]:
    """Yield a word in the cases that a ban is of: of a lower-case one, in any."""
    yield word
    if word == word.lower():
        yield from sorted({word.capitalize(), word.upper()} - {word})


def _limits(
    request: GenerateRequest,
    path: str,
    stop: tuple[str, ...],
    dialect: Dialect,
    learned: Learned,
) -> dict[str, Any]:
    limit = (learned.max_tokens or dialect.max_tokens) if path == CHAT else "max_tokens"
    body: dict[str, Any] = {limit: request.max_tokens}
    # The stream is watched for all of them; the server's own stop saves tokens.
    sent = list(stop[: dialect.most_stops])
    if sent and not learned.refusal("stop", sent):
        body["stop"] = sent
    if request.ignore_eos and dialect in (DIALECTS["vllm"], DIALECTS["llamacpp"]):
        body["ignore_eos"] = True
    return body


def _extras(
    request: GenerateRequest,
    path: str,
    dialect: Dialect,
    learned: Learned,
    notices: list[str],
    sample: int,
) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if request.seed is not None:
        seed = request.seed + sample
        reason = learned.refusal("seed", seed)
        if not reason:
            body["seed"] = seed
        else:
            notices.append(f"seed {request.seed} is not used: {reason}")
    if dialect.takes_usage and "stream_options" not in learned.fields:
        body["stream_options"] = {"include_usage": True}
    if request.logprobs is not None:
        body |= _logprobs(request.logprobs, path, dialect, learned)
    return body


def _logprobs(wanted: int, path: str, dialect: Dialect, learned: Learned) -> dict[str, Any]:
    most = dialect.chat_logprobs if path == CHAT else dialect.text_logprobs
    if most < 0 or "logprobs" in learned.fields or "top_logprobs" in learned.fields:
        return {}
    if path == CHAT:
        return {"logprobs": True, "top_logprobs": min(wanted, most)}
    return {"logprobs": min(wanted, most)}


def no_logprobs(remote: RemoteModel, learned: Learned) -> str:
    """Return why a server sends no log probabilities; empty as long as it may."""
    for name in ("logprobs", "top_logprobs"):
        if name in learned.fields:
            return learned.fields[name]
    dialect = dialect_of(remote, learned)
    return f"{dialect.label} sends none" if learned.no_logprobs or dialect.chat_logprobs < 0 else ""


# -------------------------------------------------------------------------------- refusals

_BY_VALUE = frozenset(
    {"stop", "seed"}
    | {wire.name for dialect in DIALECTS.values() for wire in dialect.samplers.values()}
)
"""Fields that may be taken with another value."""
_DROPPABLE = (
    _BY_VALUE
    | {"logprobs", "top_logprobs", "stream_options", "logit_bias", "ignore_eos"}
    | {dialect.banned_words for dialect in DIALECTS.values() if dialect.banned_words}
)
_NO_SUCH_FIELD = re.compile(
    r"unrecogni[sz]ed|unsupported|not supported|not support|unexpected|unknown|not permitted"
    r"|not allowed|no such",
    re.IGNORECASE,
)
_TRANSFORMERS = re.compile(r"Unexpected fields in the request: ")
_NO_CHAT = re.compile(r"not a chat model|chat[ _]template|does not support chat", re.IGNORECASE)


def learn_refusal(status: int, message: str, parameter: str, call: Call, learned: Learned) -> bool:
    """Note what a refusal is about; False if a call without it would not help.

    Args:
        message: the server's reason.
        parameter: the field it names; empty if none.
    """
    if status == 404 and call.path == CHAT and _NO_CHAT.search(message):
        learned.no_chat = True
        return True
    if status not in (400, 422):
        return False
    if status == 422 and _TRANSFORMERS.match(message) and not learned.dialect:
        learned.dialect = "transformers"
        return True
    if call.path == CHAT and _NO_CHAT.search(message) and not learned.no_chat:
        learned.no_chat = True
        return True
    for field_name, other in (
        ("max_tokens", "max_completion_tokens"),
        ("max_completion_tokens", "max_tokens"),
    ):
        named = parameter == field_name or _names(message, field_name)
        asks = _names(message, other) or (status == 422 and field_name != "max_tokens")
        is_length = "context length" in message.lower() or "context window" in message.lower()
        if field_name in call.body and named and asks and not is_length and not learned.max_tokens:
            learned.max_tokens = other
            return True
    candidates = [name for name in call.body if name in _DROPPABLE]
    refused = [name for name in candidates if name == parameter]
    refused = refused or [name for name in candidates if _names(message, name)]
    reason = f"the server refuses it ({shorten(message, 120)})" if message else "it is refused"
    for name in refused:
        if name in _BY_VALUE and message and not _NO_SUCH_FIELD.search(message):
            learned.values[name] = (call.body[name], reason)
        else:
            learned.fields[name] = reason
    return bool(refused)


def _names(message: str, name: str) -> bool:
    return re.search(rf"(?<![\w]){re.escape(name)}(?![\w])", message) is not None


def without_oldest(request: GenerateRequest) -> tuple[GenerateRequest, int]:
    """Drop the older half of a chat's messages, but not the system's and the last one.

    Returns:
        The request, and the number of messages dropped; 0 if there is none to drop.
    """
    prompt = request.prompt
    if not isinstance(prompt, ChatPrompt):
        return request, 0
    head = [m for m in prompt.messages[:1] if m.role == "system"]
    rest = prompt.messages[len(head) :]
    kept = 2 if prompt.continue_last else 1
    dropped = (len(rest) - kept + 1) // 2
    # A chat begins with the user.
    while 0 < dropped < len(rest) - kept and rest[dropped].role == "assistant":
        dropped += 1
    if dropped <= 0:
        return request, 0
    messages = (*head, *rest[dropped:])
    shorter = msgspec.structs.replace(prompt, messages=messages)
    return msgspec.structs.replace(request, prompt=shorter), dropped

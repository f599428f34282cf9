"""Dialects of the OpenAI API: which samplers a server takes, under which names, and its limits.

Sources: the servers' request schemas (vLLM's `protocol.py`, llama.cpp's server README, ollama's
`openai.go`, TGI's OpenAPI, transformers' `cli/serving`) and OpenAI's API reference.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from gptterm.engine.samplers import SAMPLERS

Number = float | int


class Field(NamedTuple):
    """A sampler's field in a request."""

    name: str
    convert: Callable[[Number], Number | None] = lambda value: value
    """From our value to the server's; None leaves the field out."""


class Dialect(NamedTuple):
    """The way one kind of server speaks the API."""

    label: str
    samplers: Mapping[str, Field]
    """Sampler to field; a sampler without one is not taken."""
    neutral: bool = False
    """Send neutral values too: the server's own defaults are others."""
    max_tokens: str = "max_tokens"
    """Field of the limit in a chat."""
    most_stops: int | None = None
    chat_logprobs: int = 20
    """Most alternatives a token in a chat; -1: no logprobs at all."""
    text_logprobs: int = 20
    """The same for completions."""
    takes_usage: bool = True
    """Takes `stream_options`."""
    banned_words: str = ""
    """Field of words that are never written, with or without a space before; empty for none."""


def _unless(value: Number) -> Callable[[Number], Number | None]:
    """Leave out one value, which the server refuses."""
    return lambda given: None if given == value else given


_OPENAI = {
    name: Field(name) for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty")
}
_TOP_K = Field("top_k", lambda k: int(k) or -1)

DIALECTS: dict[str, Dialect] = {
    "": Dialect(
        "the server",
        _OPENAI
        | {name: Field(name) for name in ("top_k", "min_p", "typical_p", "repetition_penalty")},
    ),
    "openai": Dialect(
        "OpenAI", _OPENAI, max_tokens="max_completion_tokens", most_stops=4, text_logprobs=5
    ),
    "vllm": Dialect(
        "vLLM",
        _OPENAI
        | {"top_k": _TOP_K, "min_p": Field("min_p")}
        | {"repetition_penalty": Field("repetition_penalty")},
        neutral=True,
        banned_words="bad_words",
    ),
    "llamacpp": Dialect(
        "llama.cpp",
        _OPENAI
        | {name: Field(name) for name in ("top_k", "min_p", "typical_p")}
        | {"repetition_penalty": Field("repeat_penalty")},
        neutral=True,
    ),
    "ollama": Dialect("ollama", _OPENAI, neutral=True),
    "lmstudio": Dialect(
        "LM Studio",
        _OPENAI
        | {"top_k": Field("top_k"), "min_p": Field("min_p")}
        | {"repetition_penalty": Field("repeat_penalty")},
        neutral=True,
    ),
    # Its range for both is open: no 0, no 1.
    "tgi": Dialect(
        "TGI",
        _OPENAI
        | {"temperature": Field("temperature", _unless(0)), "top_p": Field("top_p", _unless(1))},
        chat_logprobs=5,
        text_logprobs=0,
    ),
    # A `generation_config` would take the others, but replaces the model's own end-of-text token.
    "transformers": Dialect(
        "transformers serve",
        {
            "temperature": Field("temperature"),
            "top_p": Field("top_p"),
            "repetition_penalty": Field("frequency_penalty", lambda x: x - 1 if x != 1 else None),
        },
        chat_logprobs=-1,
        text_logprobs=-1,
        takes_usage=False,
    ),
}
"""By key; the empty one is for a server that does not tell what it is."""

_OWNERS = {
    "vllm": "vllm",
    "llamacpp": "llamacpp",
    "library": "ollama",
    "ollama": "ollama",
    "organization_owner": "lmstudio",
    "openai": "openai",
    "openai-internal": "openai",
    "system": "openai",
}


def detect(url: str, headers: Mapping[str, str], models: list[dict[str, object]]) -> str:
    """Return the key of a server's dialect, by its answer to a request for its models.

    Args:
        headers: of the answer, with lower-case names.
        models: the objects of its list.
    """
    if url.startswith("https://api.openai.com/"):
        return "openai"
    if "llama.cpp" in headers.get("server", "").lower():
        return "llamacpp"
    owners = [model.get("owned_by") for model in models]
    if owners and "x-compute-type" in headers:
        return "tgi"
    for owner in owners:
        # A proxy in front of OpenAI lists many; of one's own server the owner alone is enough.
        if isinstance(owner, str) and owner in _OWNERS:
            key = _OWNERS[owner]
            if key != "openai" or "openai-processing-ms" in headers or "openai-version" in headers:
                return key
    if any("max_model_len" in model for model in models):
        return "vllm"
    return ""


def defaults(key: str) -> dict[str, Number]:
    """Return neutral values for the samplers that are not sent unless the user asks for them.

    They are what a reply is sampled with if the server does not take the sampler, and not every
    reply then needs a notice.
    """
    taken = DIALECTS[key].samplers if key else _OPENAI
    return {
        sampler.name: int(sampler.neutral) if sampler.range.integer else sampler.neutral
        for sampler in SAMPLERS.values()
        if sampler.name not in taken
    }

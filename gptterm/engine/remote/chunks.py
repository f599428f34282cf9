"""Chunks: parse one object of a server's stream, in any dialect. No I/O, no state.

A server is untrusted: any field can be missing, null or of another type. What makes no sense counts
as absent.
"""

import json
import math
import re
from collections.abc import Iterable
from typing import NamedTuple

from gptterm.engine.api import NO_ID, Alternative
from gptterm.json_values import Object, as_list, as_object, as_objects, as_text

_MIN_LOGPROB = -9999.0
"""vLLM's bound, which stands for minus infinity."""
_MOST_COUNT = 1 << 40


class TokenInfo(NamedTuple):
    """One token of a chunk, as far as the server tells."""

    piece: bytes
    logprob: float | None
    alternatives: tuple[Alternative, ...]
    id: int = NO_ID


class Counts(NamedTuple):
    """Token counts of the whole reply."""

    prompt: int
    completion: int
    cached: int


class Delta(NamedTuple):
    """One step of a reply."""

    text: str = ""
    reasoning: str = ""
    tokens: tuple[TokenInfo, ...] = ()
    """Tokens of the text, if the server sends logprobs."""
    finish: str = ""
    """The server's finish reason; empty before the end."""
    stop: str | None = None
    """The stop text that ended it, if the server tells."""
    counts: Counts | None = None
    error: str = ""
    """The server failed in the middle of its reply, for this reason."""


_RAW_ERROR = re.compile(r'\{"error": ?"(.*)"\}\s*', re.DOTALL)


def decode(data: str) -> object:
    """Decode an event's data. `transformers serve` writes the text of an error without escapes.

    Raises:
        ValueError: it is not JSON.
        RecursionError: it is nested too deeply.
    """
    try:
        return json.loads(data) if data.strip() else {}
    except ValueError:
        if (error := _RAW_ERROR.fullmatch(data)) is not None:
            return {"error": error[1]}
        raise


def parse(chunk: object) -> Delta:
    """Parse a chunk of a stream, or a whole reply of a server that does not stream.

    Most chunks have a text and nothing else, and a batch gets tens of thousands a second.
    """
    if not isinstance(chunk, dict):
        return Delta(error="it sent something that is not a chunk of a reply")
    error = error_text(chunk)
    if error:
        return Delta(error=error)
    choice: Object = {}
    for each in as_list(chunk.get("choices")):
        if isinstance(each, dict) and not each.get("index"):
            choice = each
            break
    body = as_object(choice.get("delta")) or as_object(choice.get("message"))
    text = as_text(body.get("content")) or as_text(choice.get("text"))
    refusal = as_text(body.get("refusal"))
    tokens: tuple[TokenInfo, ...] = ()
    if choice.get("logprobs"):
        tokens = _logprobs(choice["logprobs"], text)
    if not tokens and "completion_probabilities" in chunk:
        tokens = _probabilities(chunk, text)
    if tokens:
        tokens = _with_ids(tokens, choice.get("token_ids"))
    reason = choice.get("stop_reason")
    return Delta(
        text=text or refusal,
        reasoning=as_text(body.get("reasoning")) or as_text(body.get("reasoning_content")),
        tokens=tokens,
        finish=as_text(choice.get("finish_reason")),
        stop=reason if isinstance(reason, str) else None,
        counts=_counts(chunk["usage"]) if "usage" in chunk else None,
    )


def error_text(chunk: Object) -> str:
    """Return the reason in an error object of any dialect; empty if it is none.

    `{"error": {"message": …}}`, `{"error": "…"}`, `{"object": "error", "message": …}`,
    `{"detail": "…"}`, `{"detail": [{"loc": […], "msg": …}]}`.
    """
    error = chunk.get("error")
    if isinstance(error, str) and error:
        return error
    if isinstance(error, dict):
        return as_text(error.get("message")) or as_text(error.get("type")) or "no reason given"
    if chunk.get("object") == "error" or ("message" in chunk and "choices" not in chunk):
        return as_text(chunk.get("message")) or "no reason given"
    detail = chunk.get("detail")
    if detail is None:
        return ""
    if isinstance(detail, str):
        return detail
    found = [
        f"{'.'.join(map(str, as_list(item.get('loc'))[1:]))}: {as_text(item.get('msg'))}"
        for item in as_objects(detail)
    ]
    return "; ".join(found)


# -------------------------------------------------------------------------------- logprobs


def _logprobs(value: object, text: str) -> tuple[TokenInfo, ...]:
    if isinstance(value, list):  # TGI: one number a token
        numbers = [_number(item) for item in value]
        if len(numbers) == 1:
            return (TokenInfo(text.encode("utf-8", "replace"), numbers[0], ()),)
        return ()
    found = as_object(value)
    if isinstance(found.get("content"), list):  # chat; ollama's completions too
        return tuple(_chat_token(item) for item in as_objects(found["content"]))
    return tuple(_text_tokens(found))


def _chat_token(item: Object) -> TokenInfo:
    alternatives = tuple(
        Alternative(id=_id(other), piece=_piece(other), logprob=logprob)
        for other in as_objects(item.get("top_logprobs"))
        if (logprob := _number(other.get("logprob"))) is not None
    )
    return TokenInfo(_piece(item), _number(item.get("logprob")), alternatives, _id(item))


def _text_tokens(found: Object) -> Iterable[TokenInfo]:
    """The legacy shape: parallel lists."""
    logprobs, tops = as_list(found.get("token_logprobs")), as_list(found.get("top_logprobs"))
    for number, token in enumerate(as_list(found.get("tokens"))):
        if not isinstance(token, str):
            continue
        top = tops[number] if number < len(tops) else None
        alternatives = tuple(
            Alternative(id=NO_ID, piece=_token_bytes(other), logprob=logprob)
            for other, value in as_object(top).items()
            if (logprob := _number(value)) is not None
        )
        logprob = _number(logprobs[number]) if number < len(logprobs) else None
        best = tuple(sorted(alternatives, key=lambda other: -other.logprob))
        yield TokenInfo(_token_bytes(token), logprob, best)


def _probabilities(chunk: Object, text: str) -> tuple[TokenInfo, ...]:
    """llama.cpp's own shape, which older versions use for completions too."""
    found = []
    for item in as_objects(chunk.get("completion_probabilities")):
        if "probs" not in item:
            found.append(_chat_token(item))
            continue
        alternatives = tuple(
            Alternative(
                id=NO_ID, piece=as_text(other.get("tok_str")).encode("utf-8", "replace"),
                logprob=math.log(probability) if probability else _MIN_LOGPROB,
            )
            for other in as_objects(item["probs"])
            if (probability := _number(other.get("prob"))) is not None and 0 <= probability <= 1
        )  # fmt: skip
        piece = (as_text(item.get("content")) or text).encode("utf-8", "replace")
        own = next((other.logprob for other in alternatives if other.piece == piece), None)
        found.append(TokenInfo(piece, own, alternatives))
    return tuple(found)


def _with_ids(tokens: tuple[TokenInfo, ...], ids: object) -> tuple[TokenInfo, ...]:
    """Add vLLM's `token_ids`, if there is one for each token."""
    numbers = as_list(ids)
    if len(numbers) != len(tokens):
        return tokens
    return tuple(
        token._replace(id=_checked_id(number))
        for token, number in zip(tokens, numbers, strict=True)
    )


def _piece(item: Object) -> bytes:
    numbers = item.get("bytes")
    if (
        isinstance(numbers, list)
        and numbers
        and all(type(number) is int and 0 <= number < 256 for number in numbers)
    ):
        return bytes(numbers)
    return _token_bytes(as_text(item.get("token")))


_ESCAPE = re.compile(rb"\\x([0-9a-fA-F]{2})")


def _token_bytes(token: str) -> bytes:
    r"""Return a token's bytes; `bytes:\xe4\xba` is OpenAI's spelling of part of a character."""
    raw = token.encode("utf-8", "replace")
    if raw.startswith(b"bytes:\\x"):
        return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), raw.removeprefix(b"bytes:"))
    return raw


def _id(item: Object) -> int:
    return _checked_id(item.get("id"))


def _checked_id(value: object) -> int:
    return value if type(value) is int and 0 <= value < 1 << 32 else NO_ID


# ---------------------------------------------------------------------------------- fields


def _counts(value: object) -> Counts | None:
    """Read `usage`; zeroes, which some servers send with each chunk, count as absent."""
    usage = as_object(value)
    prompt, completion = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    if not prompt and not completion:
        return None
    details = as_object(usage.get("prompt_tokens_details"))
    return Counts(prompt, completion, min(_count(details.get("cached_tokens")), prompt))


def _count(value: object) -> int:
    return value if type(value) is int and 0 <= value < _MOST_COUNT else 0


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    if math.isnan(number) or number == math.inf:
        return None
    return max(number, _MIN_LOGPROB)

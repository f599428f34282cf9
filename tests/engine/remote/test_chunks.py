"""Chunks of every dialect, damaged ones too, and the events they become."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.engine.api import NO_ID, Event, Finished, Reasoning, Token
from gptterm.engine.remote.chunks import Counts, parse
from gptterm.engine.remote.reply import ReplyStream, ServerFailedError
from tests.support.llm_server import chat, completion, usage


def played(
    *chunks: object, stop: tuple[str, ...] = (), strip: bool = False
) -> tuple[list[Event], Finished]:
    """The events of a stream, and its end."""
    reply = ReplyStream(0, stop, 100, strip=strip, begun=0.0)
    events: list[Event] = []
    for number, chunk in enumerate(chunks, 1):
        events += reply.push(parse(chunk), float(number))
    end = reply.finish(len(chunks) + 1.0)
    return [*events, end], end


def text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token | Finished))


# ------------------------------------------------------------------------------------ text


def test_a_chat_and_a_completion_become_tokens() -> None:
    for make in (chat, completion):
        events, end = played(make("Hel"), make("lo"), make(finish="stop"), usage(5, 2))
        assert text(events) == "Hello"
        assert (end.reason, end.usage.prompt_tokens, end.usage.completion_tokens) == ("eos", 5, 2)
        assert (end.timings.first_token_s, end.timings.tokens_per_s) == (1.0, 1.0)


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_is_apart_from_either_field(name: str) -> None:
    thought = {"choices": [{"index": 0, "delta": {name: "Hm."}}]}
    events, _ = played(thought, chat("Yes"), chat(finish="stop"))
    assert events[0] == Reasoning(sample=0, text="Hm.")
    assert text(events) == "Yes"


def test_a_whole_reply_of_a_server_that_does_not_stream_is_read() -> None:
    whole = {
        "choices": [{"message": {"role": "assistant", "content": "Hi"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
    }
    events, end = played(whole)
    assert (text(events), end.reason, end.usage.prompt_tokens) == ("Hi", "length", 3)


@pytest.mark.parametrize(
    ("halves", "whole"),
    [
        (("a\ud83c", "\udf36b"), "a🌶b"),
        (("\ud83c",), "�"),
        (("\ud83cx", "\udf36"), "�x�"),
    ],
)
def test_a_character_cut_between_chunks_is_joined(halves: tuple[str, ...], whole: str) -> None:
    chunks = [json.loads(json.dumps(chat(half))) for half in halves]
    assert text(played(*chunks, chat(finish="stop"))[0]) == whole


def test_empty_chunks_of_all_kinds_are_no_tokens() -> None:
    empty: tuple[dict[str, Any], ...] = (
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        {"choices": [{"index": 0, "delta": {}, "obfuscation": "xyz"}]},
        {"choices": []},
        {},
        {"choices": None},
        {"choices": [{"index": 1, "delta": {"content": "another sample"}}]},
    )
    events, _ = played(*empty, chat(finish="stop"))
    assert [type(event) for event in events] == [Finished]


# ----------------------------------------------------------------------------------- usage


def test_zeroed_usage_counts_as_none() -> None:
    """ollama sends it with each chunk of a completion."""
    zero = {"prompt_tokens": 0, "completion_tokens": 0}
    chunks = [{**completion(word), "usage": zero} for word in ("a", "b", "c")]
    _, end = played(*chunks, {**completion(finish="stop"), "usage": zero})
    assert end.usage.completion_tokens == 3
    assert parse(usage(4, 0)).counts == Counts(4, 0, 0)
    assert parse(usage(9, 1, prompt_tokens_details={"cached_tokens": 6})).counts == Counts(9, 1, 6)


@pytest.mark.parametrize("value", [None, [], "5", {"prompt_tokens": -1}, {"prompt_tokens": 1.5}])
def test_odd_usage_counts_as_none(value: object) -> None:
    assert parse({"choices": [], "usage": value}).counts is None


# -------------------------------------------------------------------------- finish reasons


@pytest.mark.parametrize(
    ("chunk", "stop", "reason", "matched"),
    [
        (chat(finish="stop"), (), "eos", None),
        (chat(finish="stop"), ("END",), "stop", None),
        (chat(finish="stop", stop_reason="END"), ("END",), "stop", "END"),
        (chat(finish="length"), (), "length", None),
        (completion(finish="eos_token"), ("END",), "eos", None),
        (completion(finish="stop_sequence"), ("END",), "stop", None),
        (chat(finish="stop", stop_reason=151643), (), "eos", None),
    ],
)
def test_finish_reasons_of_all_dialects(
    chunk: dict[str, Any], stop: tuple[str, ...], reason: str, matched: str | None
) -> None:
    _, end = played(chat("a"), chunk, stop=stop)
    assert (end.reason, end.stop) == (reason, matched)


@pytest.mark.parametrize("finish", ["content_filter", "tool_calls", "abort", "error"])
def test_a_reply_that_is_broken_off_is_a_failure(finish: str) -> None:
    with pytest.raises(ServerFailedError):
        played(chat("a"), chat(finish=finish))


def test_a_stop_text_that_the_server_ignores_ends_the_reply_here() -> None:
    events, end = played(chat("one tw"), chat("o three"), chat(finish="length"), stop=("two",))
    assert (text(events), end.reason, end.stop) == ("one ", "stop", "two")


def test_a_transcripts_leading_space_is_removed() -> None:
    assert text(played(completion(" "), completion(" Hi"), strip=True)[0]) == "Hi"


# ----------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        ({"error": {"message": "out of memory", "code": 500}}, "out of memory"),
        ({"error": "raw text"}, "raw text"),
        ({"error": {"type": "overloaded"}}, "overloaded"),
        ({"error": {}}, "no reason given"),
        ({"object": "error", "message": "old vLLM", "code": 400}, "old vLLM"),
        ({"error": "Request failed during generation", "error_type": "generation"},
         "Request failed during generation"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"detail": [{"loc": ["body", "top_k"], "msg": "bad"}]}, "top_k: bad"),
        ([1, 2], "it sent something that is not a chunk of a reply"),
    ],
)  # fmt: skip
def test_an_error_in_mid_stream_is_found_in_every_form(chunk: object, message: str) -> None:
    reply = ReplyStream(0, (), 9, strip=False, begun=0.0)
    shown = text(list(reply.push(parse(chat("so far")), 1.0)))
    with pytest.raises(ServerFailedError, match=f"^{message}$"):
        list(reply.push(parse(chunk), 2.0))
    assert shown == "so far"


def test_a_null_error_is_none() -> None:
    assert parse({**chat("a"), "error": None}).error == ""


# --------------------------------------------------------------------------------- logprobs

BEST = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105]}
OTHER = {"token": "Yo", "logprob": -3.0, "bytes": [89, 111]}
SHAPES: dict[str, dict[str, Any]] = {
    "chat": chat("Hi", logprobs={"content": [{**BEST, "top_logprobs": [BEST, OTHER]}]}),
    "ollama's completions": completion(
        "Hi", logprobs={"content": [{**BEST, "top_logprobs": [BEST, OTHER]}]}
    ),
    "legacy": completion(
        "Hi",
        logprobs={
            "tokens": ["Hi"], "token_logprobs": [-0.1], "text_offset": [0],
            "top_logprobs": [{"Yo": -3.0, "Hi": -0.1}],
        },
    ),
    "llama.cpp": {
        **completion("Hi"),
        "completion_probabilities": [{**BEST, "id": 5, "top_logprobs": [BEST, OTHER]}],
    },
    "old llama.cpp": {
        **completion("Hi"),
        "completion_probabilities": [
            {
                "content": "Hi",
                "probs": [
                    {"tok_str": "Hi", "prob": math.exp(-0.1)},
                    {"tok_str": "Yo", "prob": math.exp(-3)},
                ],
            }
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_logprobs_are_read_in_every_shape(shape: str) -> None:
    (token,) = [e for e in played(SHAPES[shape])[0] if isinstance(e, Token)]
    assert (token.text, token.piece) == ("Hi", b"Hi")
    assert token.logprob == pytest.approx(-0.1)
    assert [other.piece for other in token.alternatives] == [b"Hi", b"Yo"]
    assert token.alternatives[1].logprob == pytest.approx(-3.0)
    assert token.id == (5 if shape == "llama.cpp" else NO_ID)


def test_tgis_numbers_and_vllms_ids_are_read() -> None:
    (token,) = [e for e in played(completion("Hi", logprobs=[-0.5]))[0] if isinstance(e, Token)]
    assert (token.piece, token.logprob, token.alternatives) == (b"Hi", -0.5, ())
    chunk = chat("Hi", logprobs={"content": [BEST]}, token_ids=[42])
    (token,) = [e for e in played(chunk)[0] if isinstance(e, Token)]
    assert token.id == 42


def test_parts_of_a_character_are_tokens_with_their_bytes() -> None:
    parts = [
        {"token": "bytes:\\xe4\\xbd", "logprob": -1.0, "top_logprobs": []},
        {"token": "\\xa0", "bytes": [0xA0], "logprob": -0.5, "top_logprobs": []},
    ]
    events, _ = played(chat("你", logprobs={"content": parts}))
    tokens = [event for event in events if isinstance(event, Token)]
    assert b"".join(token.piece for token in tokens).decode() == "你"
    assert [token.text for token in tokens] == ["", "你"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "0", None, 10**400])
def test_odd_logprobs_count_as_none(value: object) -> None:
    chunk = chat("Hi", logprobs={"content": [{**BEST, "logprob": value}]})
    (token,) = [e for e in played(chunk)[0] if isinstance(e, Token)]
    assert token.logprob is None
    low = chat("Hi", logprobs={"content": [{**BEST, "logprob": float("-inf")}]})
    (token,) = [e for e in played(low)[0] if isinstance(e, Token)]
    assert token.logprob == -9999.0


# -------------------------------------------------------------------------------- anything

KEYS = st.sampled_from(
    [
        "choices", "delta", "message", "content", "text", "reasoning", "logprobs", "tokens",
        "token_logprobs", "top_logprobs", "finish_reason", "stop_reason", "usage", "error",
        "detail", "prompt_tokens", "completion_tokens", "index", "bytes", "token", "logprob",
        "completion_probabilities", "probs", "prob", "token_ids", "loc", "msg", "refusal",
    ]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=5), max_size=5))
def test_any_object_is_a_chunk_or_a_failure(chunks: list[dict[str, Any]]) -> None:
    try:
        events, _ = played(*chunks, stop=("ab",))
    except ServerFailedError:
        return
    text(events).encode()

"""Bodies of requests in each dialect, and what is learned from refusals."""

import math
from typing import Any

import pytest
from msgspec.structs import replace

from gptterm.engine.api import (
    ChatPrompt,
    GenerateRequest,
    Message,
    RemoteModel,
    SamplingParams,
    TextPrompt,
    TokenPrompt,
)
from gptterm.engine.remote.dialects import DIALECTS, defaults, detect
from gptterm.engine.remote.requests import (
    CHAT,
    TEXT,
    Call,
    Learned,
    answers,
    build,
    learn_refusal,
    without_oldest,
)
from gptterm.errors import UsageError

HELLO = ChatPrompt(messages=(Message(role="user", text="Hello"),))
ALL = SamplingParams(
    temperature=0.5, top_k=7, top_p=0.9, min_p=0.1, typical_p=0.7, repetition_penalty=1.2,
    presence_penalty=0.3, frequency_penalty=0.4,
)  # fmt: skip


def model(dialect: str = "", **more: Any) -> RemoteModel:
    values = {"server": "http://h/v1", "url": "http://h/v1", "model": "m", "dialect": dialect}
    return RemoteModel(**(values | more))


def body(dialect: str, request: GenerateRequest, learned: Learned | None = None) -> dict[str, Any]:
    return build(request, model(dialect), learned or Learned()).body


SENT: dict[str, dict[str, Any]] = {
    "": {
        "temperature": 0.5, "top_k": 7, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.7,
        "repetition_penalty": 1.2, "presence_penalty": 0.3, "frequency_penalty": 0.4,
    },
    "openai": {
        "temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.3, "frequency_penalty": 0.4,
    },
    "vllm": {
        "temperature": 0.5, "top_k": 7, "top_p": 0.9, "min_p": 0.1, "repetition_penalty": 1.2,
        "presence_penalty": 0.3, "frequency_penalty": 0.4,
    },
    "llamacpp": {
        "temperature": 0.5, "top_k": 7, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.7,
        "repeat_penalty": 1.2, "presence_penalty": 0.3, "frequency_penalty": 0.4,
    },
    "ollama": {
        "temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.3, "frequency_penalty": 0.4,
    },
    "lmstudio": {
        "temperature": 0.5, "top_k": 7, "top_p": 0.9, "min_p": 0.1, "repeat_penalty": 1.2,
        "presence_penalty": 0.3, "frequency_penalty": 0.4,
    },
    "tgi": {"temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.3, "frequency_penalty": 0.4},
    # It makes repetition_penalty = 1 + x of it.
    "transformers": {"temperature": 0.5, "top_p": 0.9, "frequency_penalty": pytest.approx(0.2)},
}  # fmt: skip
FIELDS = {"temperature", "repeat_penalty", *SENT[""]}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_samplers_go_by_the_names_of_the_dialect_and_the_others_are_told(dialect: str) -> None:
    call = build(GenerateRequest(prompt=HELLO, sampling=ALL), model(dialect), Learned())
    sent = {name: value for name, value in call.body.items() if name in FIELDS}
    assert sent == SENT[dialect]
    taken = DIALECTS[dialect].samplers
    labels = {"top_k": "top-k 7", "min_p": "min-p 0.1", "typical_p": "typical-p 0.7"}
    for name, label in labels.items():
        told = any(note.startswith(f"{label} is not used") for note in call.notices)
        assert told == (name not in taken)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_words_are_banned_where_the_server_does_and_what_is_not_used_is_told(dialect: str) -> None:
    never, less = ("the end", -math.inf), ("NATO", -2.0)
    request = GenerateRequest(prompt=HELLO, sampling=SamplingParams(word_bias=(never, less)))
    call = build(request, model(dialect), Learned())
    forms = ["the end", "THE END", "The end"]
    assert call.body.get("bad_words") == (forms if dialect == "vllm" else None)
    (told,) = (note for note in call.notices if "words are not used" in note)
    assert told.startswith("biased" if dialect == "vllm" else "banned and biased")
    only_banned = replace(request, sampling=SamplingParams(word_bias=(never, ("CIA", -math.inf))))
    call = build(only_banned, model("vllm"), Learned())
    assert (call.body["bad_words"], call.notices) == ([*forms, "CIA"], ())
    # A server of that dialect that does not know the field.
    learned = Learned()
    assert learn_refusal(400, "bad_words: extra fields not permitted", "", call, learned)
    call = build(only_banned, model("vllm"), learned)
    assert "bad_words" not in call.body
    assert len(call.notices) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_defaults_for_a_dialect_need_no_notice(dialect: str) -> None:
    sampling = replace(SamplingParams(), **defaults(dialect))
    call = build(GenerateRequest(prompt=HELLO, sampling=sampling), model(dialect), Learned())
    assert call.notices == ()


def test_neutral_values_are_sent_where_the_servers_own_defaults_are_others() -> None:
    neutral = SamplingParams(temperature=1.0, top_k=0, top_p=1.0)
    request = GenerateRequest(prompt=HELLO, sampling=neutral)
    assert body("vllm", request)["top_k"] == -1
    assert body("llamacpp", request)["repeat_penalty"] == 1.0
    assert set(body("openai", request)) & FIELDS == {"temperature"}
    # Its ranges are open.
    greedy = GenerateRequest(prompt=HELLO, sampling=SamplingParams(temperature=0, top_p=1.0))
    assert not {"temperature", "top_p"} & set(body("tgi", greedy))


@pytest.mark.parametrize(
    ("dialect", "field"),
    [("openai", "max_completion_tokens"), ("vllm", "max_tokens"), ("", "max_tokens")],
)
def test_the_limit_has_the_dialects_name_in_a_chat(dialect: str, field: str) -> None:
    assert body(dialect, GenerateRequest(prompt=HELLO, max_tokens=9))[field] == 9
    text = GenerateRequest(prompt=TextPrompt(text="a"), max_tokens=9)
    assert body(dialect, text)["max_tokens"] == 9


def test_chats_and_texts_have_their_own_paths() -> None:
    system = Message(role="system", text="Be terse.")
    chat = build(
        GenerateRequest(prompt=ChatPrompt(messages=(system, *HELLO.messages))), model(), Learned()
    )
    assert chat.path == CHAT
    assert chat.body["messages"] == [
        {"role": "system", "content": "Be terse."},
        {"role": "user", "content": "Hello"},
    ]
    text = build(GenerateRequest(prompt=TextPrompt(text="Once ")), model(), Learned())
    assert (text.path, text.body["prompt"]) == (TEXT, "Once ")
    ids = build(GenerateRequest(prompt=TokenPrompt(ids=(1, 2))), model(), Learned())
    assert ids.body["prompt"] == [1, 2]
    with pytest.raises(UsageError, match="only answers chats"):
        build(GenerateRequest(prompt=TextPrompt(text="a")), model(api="chat"), Learned())


def test_a_model_without_a_chat_continues_a_transcript() -> None:
    turns = (
        Message(role="user", text="Hi"),
        Message(role="assistant", text="Hello."),
        Message(role="user", text="Who?"),
    )
    request = GenerateRequest(prompt=ChatPrompt(messages=turns), stop=("END",))
    for remote, learned in (
        (model(api="completions"), Learned()),
        (model(), Learned(no_chat=True)),
    ):
        call = build(request, remote, learned)
        assert call.path == TEXT
        assert call.body["prompt"].endswith("\nUser: Hi\nAssistant: Hello.\nUser: Who?\nAssistant:")
        assert call.stop == ("END", "\nUser:", "\nAssistant:")
        assert call.strip


@pytest.mark.parametrize(
    ("name", "is_chat"),
    [
        ("gpt-4.1", True),
        ("o4-mini", True),
        ("gpt-3.5-turbo-instruct", False),
        ("gpt-3.5-turbo-instruct-0914", False),
        ("davinci-002", False),
        ("babbage-002", False),
    ],
)
def test_openais_old_models_have_no_chat(name: str, is_chat: bool) -> None:
    assert answers(model("openai", model=name)) == is_chat
    assert answers(model("vllm", model=name))


def test_stops_beyond_the_servers_bound_are_watched_for_here() -> None:
    request = GenerateRequest(prompt=HELLO, stop=tuple("abcdef"))
    call = build(request, model("openai"), Learned())
    assert call.body["stop"] == list("abcd")
    assert call.stop == tuple("abcdef")
    assert body("tgi", GenerateRequest(prompt=HELLO, stop=("a",)))["stop"] == ["a"]


def test_logprobs_are_asked_for_in_the_form_of_the_path() -> None:
    chat = GenerateRequest(prompt=HELLO, logprobs=50)
    assert body("openai", chat)["top_logprobs"] == 20
    assert body("openai", chat)["logprobs"] is True
    text = GenerateRequest(prompt=TextPrompt(text="a"), logprobs=50)
    assert body("openai", text)["logprobs"] == 5
    assert body("vllm", text)["logprobs"] == 20
    assert "logprobs" not in body("transformers", chat)
    assert "stream_options" not in body("transformers", chat)


def test_each_sample_has_its_seed() -> None:
    request = GenerateRequest(prompt=HELLO, seed=7, samples=3)
    calls = [build(request, model(), Learned(), sample) for sample in range(3)]
    assert [call.body["seed"] for call in calls] == [7, 8, 9]
    assert "seed" not in body("", GenerateRequest(prompt=HELLO))


def test_biases_are_in_openais_range() -> None:
    sampling = SamplingParams(logit_bias=((1, float("-inf")), (2, 3.0)))
    sent = body("openai", GenerateRequest(prompt=HELLO, sampling=sampling))
    assert sent["logit_bias"] == {"1": -100.0, "2": 3.0}


# ------------------------------------------------------------------------------- refusals


def call_with(*fields: str, path: str = CHAT) -> Call:
    return Call(path, dict.fromkeys(fields, 1), (), ())


@pytest.mark.parametrize(
    ("status", "message", "parameter", "refused"),
    [
        (400, "Unrecognized request argument supplied: top_k", "", {"top_k"}),
        (400, "Unsupported value: 'temperature' does not support 0.8", "temperature",
         {"temperature"}),
        (422, "top_k: Extra inputs are not permitted", "", {"top_k"}),
        (400, "logprobs is not supported by this model", "", {"logprobs"}),
    ],
)  # fmt: skip
def test_a_refused_field_is_left_out_from_then_on(
    status: int, message: str, parameter: str, refused: set[str]
) -> None:
    learned = Learned()
    call = call_with("model", "temperature", "top_k", "min_p", "logprobs", "max_tokens")
    assert learn_refusal(status, message, parameter, call, learned)
    assert set(learned.fields) == refused
    request = GenerateRequest(prompt=HELLO, sampling=ALL, logprobs=3)
    again = build(request, model(), learned)
    assert not refused & set(again.body)
    for name in refused - {"logprobs"}:
        label = name.replace("_", "-")
        assert any(label in note and "refuses it" in note for note in again.notices)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "the model is not here"),
        (400, "messages must not be empty"),
        (401, "top_k is not the key"),
        (500, "top_k broke it"),
    ],
)
def test_a_refusal_of_something_else_is_none(status: int, message: str) -> None:
    learned = Learned()
    assert not learn_refusal(status, message, "", call_with("top_k", "messages"), learned)
    assert learned == Learned()


@pytest.mark.parametrize(
    ("message", "taken_later"),
    [
        ("Invalid 'temperature': decimal above maximum value. Expected <= 2, but got 3", True),
        ("`temperature` must be strictly positive", True),
        ("Unsupported value: 'temperature' does not support 3 with this model", False),
    ],
)
def test_a_value_that_is_refused_leaves_the_field_for_others(
    message: str, taken_later: bool
) -> None:
    learned = Learned()
    hot = GenerateRequest(prompt=HELLO, sampling=SamplingParams(temperature=3))
    call = build(hot, model("openai"), learned)
    assert learn_refusal(400, message, "temperature", call, learned)
    again = build(hot, model("openai"), learned)
    assert "temperature" not in again.body
    assert any("temperature 3 is not used: the server refuses it" in n for n in again.notices)
    warm = GenerateRequest(prompt=HELLO, sampling=SamplingParams(temperature=1.5))
    assert ("temperature" in body("openai", warm, learned)) == taken_later


def test_a_refusal_gives_transformers_away() -> None:
    learned = Learned()
    message = "Unexpected fields in the request: {'min_p', 'top_k'}"
    assert learn_refusal(422, message, "", call_with("top_k", "min_p"), learned)
    call = build(GenerateRequest(prompt=HELLO, sampling=ALL), model(), learned)
    sent = {name: value for name, value in call.body.items() if name in FIELDS}
    assert sent == SENT["transformers"]
    assert "top-k 7 is not used: transformers serve does not take it" in call.notices
    # Once: it would say the same of fields of another kind.
    assert not learn_refusal(422, message, "", call_with("model"), learned)


def test_the_limits_other_name_is_used_where_it_is_asked_for() -> None:
    learned = Learned()
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. "
        "Use 'max_completion_tokens' instead."
    )
    assert learn_refusal(400, message, "max_tokens", call_with("max_tokens"), learned)
    assert "max_completion_tokens" in body("", GenerateRequest(prompt=HELLO), learned)
    # Once: else two servers' messages could go round in circles.
    assert not learn_refusal(400, message, "max_tokens", call_with("max_tokens"), learned)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "This is not a chat model and thus not supported in the v1/chat/completions "
         "endpoint. Did you mean to use v1/completions?"),
        (400, "As of transformers v4.44, default chat template is no longer allowed, so you must "
         "provide a chat template if the tokenizer does not define one."),
    ],
)  # fmt: skip
def test_a_model_without_a_chat_is_found_out(status: int, message: str) -> None:
    learned = Learned()
    assert learn_refusal(status, message, "", call_with("messages"), learned)
    assert learned.no_chat


def test_the_oldest_half_of_a_chat_goes_first() -> None:
    roles = ("system", "user", "assistant", "user", "assistant", "user")
    messages = tuple(Message(role=role, text=str(n)) for n, role in enumerate(roles))  # type: ignore[arg-type]
    request = GenerateRequest(prompt=ChatPrompt(messages=messages))
    texts = []
    while True:
        request, dropped = without_oldest(request)
        if not dropped:
            break
        assert isinstance(request.prompt, ChatPrompt)
        texts.append([m.text for m in request.prompt.messages])
    assert texts == [["0", "3", "4", "5"], ["0", "5"]]
    assert without_oldest(GenerateRequest(prompt=TextPrompt(text="a b")))[1] == 0


# ------------------------------------------------------------------------------- dialects


@pytest.mark.parametrize(
    ("url", "headers", "models", "dialect"),
    [
        ("https://api.openai.com/v1", {}, [{"owned_by": "system"}], "openai"),
        ("http://h/v1", {"openai-version": "2020"}, [{"owned_by": "openai"}], "openai"),
        ("http://h/v1", {}, [{"owned_by": "openai"}], ""),
        ("http://h/v1", {"server": "uvicorn"}, [{"owned_by": "vllm"}], "vllm"),
        ("http://h/v1", {}, [{"owned_by": "me", "max_model_len": 4}], "vllm"),
        ("http://h/v1", {}, [{"owned_by": "llamacpp"}], "llamacpp"),
        ("http://h/v1", {"server": "llama.cpp"}, [], "llamacpp"),
        ("http://h/v1", {}, [{"owned_by": "library"}], "ollama"),
        ("http://h/v1", {}, [{"owned_by": "organization_owner"}], "lmstudio"),
        ("http://h/v1", {"x-compute-type": "1-h200"}, [{"owned_by": "m"}], "tgi"),
        ("http://h/v1", {}, [{"owned_by": ["odd"]}], ""),
        ("http://h/v1", {}, [], ""),
    ],
)
def test_servers_are_told_apart(
    url: str, headers: dict[str, str], models: list[dict[str, object]], dialect: str
) -> None:
    assert detect(url, headers, models) == dialect

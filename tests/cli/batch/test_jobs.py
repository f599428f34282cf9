"""Lines to jobs: our form, plain text, OpenAI's batch lines, and what is wrong with others."""

import json
import math
from typing import Any

import pytest

from gptterm.cli.batch.jobs import BadLineError, Job, JobMaker
from gptterm.cli.batch.line_parser import LineParser
from gptterm.cli.batch.reader import Line
from gptterm.config import load_settings
from gptterm.engine.api import ChatPrompt, Message, TextPrompt

CHAT = "/v1/chat/completions"


def parser(answers: bool = False, plain: bool = False, **options: object) -> LineParser:
    settings = load_settings(options, environ={})
    return LineParser(JobMaker(settings, answers=answers, note=lambda _: None), plain=plain)


def job(fields: dict[str, Any], number: int = 1, **options: Any) -> Job:
    found = parser(**options).parse(Line(number, json.dumps(fields).encode()))
    assert found is not None
    return found


def openai_job(url: str = CHAT, **body: Any) -> Job:
    line = {"custom_id": "a", "method": "POST", "url": url, "body": {"model": "m", **body}}
    return job(line)


def reason(data: bytes, **options: Any) -> BadLineError:
    with pytest.raises(BadLineError) as caught:
        parser(**options).parse(Line(1, data))
    return caught.value


def test_a_prompt_is_continued_or_answered_as_the_model_and_the_line_say() -> None:
    asked = {"prompt": "Hi"}
    chat = ChatPrompt(messages=(Message(role="user", text="Hi"),))
    assert job(asked).request.prompt == TextPrompt(text="Hi")
    assert job(asked, answers=True).request.prompt == chat
    assert job({**asked, "form": "chat"}).request.prompt == chat
    assert job({**asked, "form": "raw"}, answers=True).request.prompt == TextPrompt(text="Hi")
    assert job(asked, answers=True, form="raw").request.prompt == TextPrompt(text="Hi")


def test_messages_are_a_chat_with_the_system_text_if_they_have_none() -> None:
    own = [{"role": "developer", "content": "S"}, {"role": "user", "content": "U"}]
    parts = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"text": "b"}]}]
    begun = [{"role": "user", "content": "U"}, {"role": "assistant", "content": "Once"}]
    prompts = [job({"messages": m}, system="T").request.prompt for m in (own, parts, begun)]
    texts = [[(m.role, m.text) for m in p.messages] for p in prompts if isinstance(p, ChatPrompt)]
    assert texts[0] == [("system", "S"), ("user", "U")]
    assert texts[1] == [("system", "T"), ("user", "ab")]
    assert [getattr(prompt, "continue_last", None) for prompt in prompts] == [False, False, True]


def test_a_line_has_settings_of_its_own() -> None:
    own = job(
        {"prompt": "x", "temperature": 0, "max_tokens": 5, "stop": ".", "top_k": 3, "id": 7,
         "logprobs": 2, "overflow": "error", "preset": "creative"},
        temperature=0.5, top_p=0.5,
    )  # fmt: skip
    request = own.request
    assert (own.id, request.max_tokens, request.stop) == (7, 5, (".",))
    assert (request.sampling.temperature, request.sampling.top_k) == (0, 3)
    assert (request.sampling.min_p, request.logprobs, request.overflow) == (0.05, 2, "error")
    assert job({"prompt": "x"}, temperature=0.5).request.sampling.temperature == 0.5


def test_a_seed_of_the_run_is_another_one_for_each_line() -> None:
    assert job({"prompt": "x"}, seed=10).request.seed == 10
    assert job({"prompt": "x"}, number=5, seed=10).request.seed == 14
    assert job({"prompt": "x"}, number=5, seed=2**63 - 1).request.seed == 3
    assert job({"prompt": "x", "seed": 3}, number=5, seed=10).request.seed == 3
    assert job({"prompt": "x"}, number=5).request.seed is None


def test_a_plain_line_is_a_prompt_whatever_it_looks_like() -> None:
    found = parser(plain=True).parse(Line(3, b'{"prompt": "x"} '))
    assert found is not None
    assert found.request.prompt == TextPrompt(text='{"prompt": "x"} ')
    assert "not valid UTF-8 (at byte 1)" in str(reason(b"a\xff", plain=True))


@pytest.mark.parametrize("data", [b"", b"  \t", b"\r"])
def test_a_blank_line_is_skipped(data: bytes) -> None:
    assert parser().parse(Line(1, data)) is None
    assert parser(plain=True).parse(Line(1, data)) is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "not valid JSON"),
        (b'{"prompt": "\xff"}', "not valid UTF-8 (at byte 12)"),
        (b'{"prompt": "Once", "top_k": null}', "not null"),
        (b"[" * 100_000, "not valid JSON"),
        (b'"text"', "no JSON object"),
        (b"{}", 'needs "prompt" or "messages"'),
        (b'{"prompt": "x", "messages": []}', "one of them"),
        (b'{"prompt": " "}', "not blank"),
        (b'{"prompt": 3}', "must be a text"),
        (b'{"prompt": "x", "temprature": 1}', "(did you mean temperature?)"),
        (b'{"prompt": "x", "temperature": -1}', "temperature must be"),
        (b'{"prompt": "x", "top_k": 1e999}', "JSON"),
        (b'{"prompt": "x", "preset": "nosuch"}', "no preset"),
        (b'{"prompt": "x", "model": "gpt2"}', "same for all lines"),
        (b'{"prompt": "x", "logprobs": 1001}', "logprobs must be"),
        (b'{"prompt": "x", "id": []}', "id must be"),
        (b'{"messages": []}', "not empty"),
        (b'{"messages": [3]}', "must be an object"),
        (b'{"messages": [{"role": "tool", "content": "x"}]}', "role"),
        (b'{"messages": [{"role": "user"}]}', "content"),
        (b'{"messages": [{"role": "user", "content": [{"image": 1}]}]}', "no text"),
        (b'{"messages": [{"role": "user", "content": "x"}], "form": "raw"}', "form raw"),
        (b'{"custom_id": 3, "body": {}}', "custom_id"),
        (b'{"custom_id": "a", "url": "/v1/embeddings", "body": {}}', "url must be"),
        (b'{"custom_id": "a", "method": "GET", "url": "/v1/completions"}', "method"),
        (b'{"custom_id": "a", "url": "/v1/completions"}', "body"),
        (b'{"custom_id": "a", "url": "/v1/completions", "body": {"prompt": "x", "n": 0}}',
         "n must be a whole number from 1 to 128"),
        (b'{"custom_id": "a", "url": "/v1/completions", "body": {"prompt": "x", "tools": []}}',
         "tools is not supported"),
    ],
)  # fmt: skip
def test_a_bad_line_says_what_is_wrong_with_it(data: bytes, message: str) -> None:
    error = reason(data)
    assert message in str(error)
    assert "\n" not in str(error)
    assert error.is_openai == (b"custom_id" in data)


def test_a_line_too_long_is_a_bad_line() -> None:
    with pytest.raises(BadLineError, match="longer than 17 MB"):
        parser().parse(Line(1, None))


def test_a_line_of_openai_has_the_settings_of_its_body() -> None:
    found = openai_job(
        messages=[{"role": "user", "content": "Hi"}], max_completion_tokens=9, temperature=0.25,
        stop=["a", "b"], logprobs=True, top_logprobs=4, seed=None, stream=False, n=1, user="u",
        logit_bias={"5": -100, "6": 2},
    )  # fmt: skip
    request = found.request
    assert isinstance(request.prompt, ChatPrompt)
    assert (found.id, found.url, request.max_tokens, request.logprobs) == ("a", CHAT, 9, 4)
    assert (request.sampling.temperature, request.stop) == (0.25, ("a", "b"))
    assert request.sampling.logit_bias == ((5, -math.inf), (6, 2.0))
    text = openai_job("/v1/completions", prompt="Hi", logprobs=3)
    assert (text.request.prompt, text.request.logprobs) == (TextPrompt(text="Hi"), 3)


@pytest.mark.parametrize("seed", [0, 5, 2**63 - 200, 2**63 - 2**31 - 300])
def test_no_two_lines_share_a_seed_whatever_their_numbers_of_choices(seed: int) -> None:
    def seeds(number: int, n: int) -> list[int]:
        line = {"custom_id": "a", "url": "/v1/completions", "body": {"prompt": "x", "n": n}}
        request = job(line, number, seed=seed).request
        assert request.seed is not None
        assert request.samples == n
        return [request.seed + sample for sample in range(n)]

    counts = [1, 3, 2, 128, 1, 1, 127, 2, 64, 1, *[128, 1] * 20]
    drawn = [each for number, n in enumerate(counts, 1) for each in seeds(number, n)]
    assert len({each % 2**32 for each in drawn}) == sum(counts)
    assert seeds(7, 1) == [(seed + 6) % 2**63]
    assert seeds(7, 2) == seeds(7, 3)[:2]

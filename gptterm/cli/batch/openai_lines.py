"""Lines of OpenAI's batch API: requests with a `custom_id`, and the records that answer them.

Source: OpenAI's API reference, "Batch", the request input object and the output object.
"""

import math
import time
from typing import Any

import msgspec

from gptterm.cli.batch.jobs import MOST_SAMPLES, BadLineError, Job, JobMaker, line_logprobs
from gptterm.cli.results import Results, SampleResult, token_logprobs
from gptterm.engine.api import ModelInfo
from gptterm.json_values import as_object

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
_PASSED = {
    name: name
    for name in (
        "temperature", "top_p", "top_k", "min_p", "typical_p", "repetition_penalty",
        "presence_penalty", "frequency_penalty", "stop", "seed", "max_tokens",
    )
} | {"max_completion_tokens": "max_tokens", "repeat_penalty": "repetition_penalty"}  # fmt: skip
"""Fields of a body that are settings."""
_WITHOUT_EFFECT = frozenset({"stream", "stream_options", "user", "metadata", "store"})
_FINISH = {"eos": "stop", "stop": "stop", "length": "length"}


def parse(number: int, fields: dict[str, Any], maker: JobMaker) -> Job:
    """Return the job of a line.

    Raises:
        BadLineError: it cannot be run.
    """
    id_ = fields.get("custom_id")
    try:
        if not isinstance(id_, str) or not id_:
            id_ = None
            raise ValueError("custom_id must be a text, and not empty")
        if fields.get("method", "POST") != "POST":
            raise ValueError("method must be POST")
        url = fields.get("url")
        if url not in (CHAT, TEXT):
            raise ValueError(f"url must be {CHAT} or {TEXT}")
        body = fields.get("body")
        if not isinstance(body, dict):
            raise ValueError("body must be an object")
        return _job(number, id_, url, dict(body), maker)
    except ValueError as error:
        raise BadLineError(str(error), id_, is_openai=True) from None


def _job(number: int, id_: str, url: str, body: dict[str, Any], maker: JobMaker) -> Job:
    key = "messages" if url == CHAT else "prompt"
    asked = {key: body.pop(key)} if key in body else {}
    if (model := body.pop("model", None)) is not None:
        maker.note_model(model)
    samples = body.pop("n", None)
    if samples is None:
        samples = 1
    if type(samples) is not int or not 1 <= samples <= MOST_SAMPLES:
        raise ValueError(f"n must be a whole number from 1 to {MOST_SAMPLES}")
    bias = _bias(body.pop("logit_bias", None))
    logprobs = _logprobs(url, body)
    values: dict[str, Any] = {"form": "chat" if url == CHAT else "raw"}
    for name, value in body.items():
        if name in _PASSED:
            if value is not None:
                values[_PASSED[name]] = value
        elif name not in _WITHOUT_EFFECT:
            raise ValueError(f"{name} is not supported")
    settings = maker.with_fields(values)
    job = maker.job(number, settings, asked, logprobs=logprobs, samples=samples, id_=id_, url=url)
    if bias:
        sampling = msgspec.structs.replace(job.request.sampling, logit_bias=bias)
        job = job._replace(request=msgspec.structs.replace(job.request, sampling=sampling))
    return job


def _bias(value: object) -> tuple[tuple[int, float], ...]:
    pairs = []
    for token, bias in as_object(value).items():
        if not token.isdecimal() or isinstance(bias, bool) or not isinstance(bias, int | float):
            raise ValueError("logit_bias must have numbers by token id")
        pairs.append((int(token), -math.inf if bias <= -100 else float(bias)))
    return tuple(pairs)


def _logprobs(url: str, body: dict[str, Any]) -> int | None:
    wanted, most = body.pop("logprobs", None), body.pop("top_logprobs", None)
    if url == TEXT:
        return line_logprobs(wanted)
    if wanted not in (None, True, False):
        raise ValueError("logprobs must be true or false")
    return (line_logprobs(most) or 0) if wanted else None


def result_record(job: Job, results: Results, info: ModelInfo) -> dict[str, Any]:
    """Return the record of a job that has ended."""
    failure = results.failure
    if failure is not None:
        return error_record(job.line, job.id, failure.kind, failure.message)
    body = _body(job, results, info)
    response = {"status_code": 200, "request_id": f"line-{job.line}", "body": body}
    return _record(job.line, job.id, response, None)


def error_record(line: int, id_: str | int | None, kind: str, message: str) -> dict[str, Any]:
    """Return the record of a line that failed."""
    return _record(line, id_, None, {"code": kind, "message": message})


def _record(line: int, id_: str | int | None, response: Any, error: Any) -> dict[str, Any]:
    return {
        "id": f"batch_req_{line}", "custom_id": id_, "response": response, "error": error,
        "line": line,
    }  # fmt: skip


def _body(job: Job, results: Results, info: ModelInfo) -> dict[str, Any]:
    ends = [sample.end for sample in results.samples if sample.end is not None]
    prompt_tokens = ends[0].usage.prompt_tokens
    completion_tokens = sum(end.usage.completion_tokens for end in ends)
    return {
        "id": f"line-{job.line}",
        "object": "chat.completion" if job.url == CHAT else "text_completion",
        "created": int(time.time()),
        "model": info.name,
        "choices": [_choice(job, index, sample) for index, sample in enumerate(results.samples)],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
        },
    }


def _choice(job: Job, index: int, sample: SampleResult) -> dict[str, Any]:
    assert sample.end is not None
    choice: dict[str, Any] = {"index": index}
    if job.url == CHAT:
        message = {"role": "assistant", "content": sample.text}
        if sample.reasoning:
            message["reasoning"] = sample.reasoning
        choice["message"] = message
    else:
        choice["text"] = sample.text
    choice["finish_reason"] = _FINISH.get(sample.end.reason, sample.end.reason)
    choice["logprobs"] = None
    if job.request.logprobs is not None:
        choice["logprobs"] = {"content": [token_logprobs(token) for token in sample.tokens]}
    return choice

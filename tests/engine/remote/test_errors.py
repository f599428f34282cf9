"""Errors of servers in one line that says what to do."""

import json
import socket
import ssl
from typing import Any

import pytest

from gptterm.engine.api import RemoteModel
from gptterm.engine.remote.errors import Describer, parse_body
from gptterm.engine.remote.servers import Access

KEY = "sk-very-secret-key"
REMOTE = RemoteModel(server="http://gpu:8000/v1", url="http://gpu:8000/v1", model="big")
DESCRIBE = Describer(REMOTE, Access(KEY, "OPENAI_API_KEY"))


def body(error: Any) -> bytes:
    return error if isinstance(error, bytes) else json.dumps(error).encode()


OPENAI_ERROR = {"error": {"message": "It broke.", "type": "x", "param": None, "code": None}}
ROWS: list[tuple[int, Any, str, str]] = [
    # status, body, kind, part of the message
    (307, b"", "model", "gpu:8000 redirects to another address"),
    (400, OPENAI_ERROR, "internal", "gpu:8000 refuses the request (400): It broke"),
    (400, {"error": {"message": "maximum context length is 4096 tokens"}}, "prompt_too_long",
     "too long"),
    (400, {"error": {"code": 400, "type": "exceed_context_size_error", "message": "the request "
     "exceeds", "n_ctx": 512}}, "prompt_too_long", "lower --max-tokens"),
    (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 1024", "error_type":
     "validation"}, "prompt_too_long", "too long"),
    (401, OPENAI_ERROR, "model", "refuses the key of OPENAI_API_KEY: It broke"),
    (401, {"error": {"message": f"Incorrect API key: {KEY}"}}, "model", "Incorrect API key: ***"),
    (403, OPENAI_ERROR, "model", "forbids this"),
    (404, {"error": {"message": "The model `big` does not exist"}}, "model", "has no model big"),
    (404, {"detail": "Not Found"}, "model", "it usually ends in /v1"),
    (404, b"404 page not found", "model", "it usually ends in /v1"),
    (405, b"", "model", "it usually ends in /v1"),
    (407, b"", "model", "proxy"),
    (408, OPENAI_ERROR, "internal", "timed out (408): It broke: try again"),
    (409, OPENAI_ERROR, "internal", "conflict"),
    (413, b"<html><title>413 Too Large</title></html>", "prompt_too_long", "too long"),
    (422, {"detail": [{"loc": ["body", "n"], "msg": "must be 1"}]}, "internal", "n: must be 1"),
    (429, OPENAI_ERROR, "internal", "try again in 20 s"),
    (429, {"error": {"message": "x", "code": "insufficient_quota"}}, "internal", "billing"),
    (500, OPENAI_ERROR, "internal", "failed (500): It broke: try again"),
    (500, {"error": "CUDA error", "error_type": "generation"}, "internal", "CUDA error"),
    (502, b"<!DOCTYPE html><html><head><title>Bad Gateway</title>", "internal",
     "web page 'Bad Gateway'"),
    (503, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}},
     "internal", "still loading its model"),
    (503, OPENAI_ERROR, "internal", "overloaded (503)"),
    (504, b"", "internal", "timed out (504)"),
    (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
     "internal", "overloaded (529)"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "error", "kind", "part"), ROWS)
def test_each_status_has_a_line_that_says_what_to_do(
    status: int, error: Any, kind: str, part: str
) -> None:
    problem = DESCRIBE.status(status, {"retry-after": "20"}, body(error))
    assert problem.kind == kind
    assert part in problem.message
    assert "\n" not in problem.message
    assert KEY not in problem.message


def test_a_missing_key_is_asked_for() -> None:
    without = Describer(REMOTE, Access("", "OPENAI_API_KEY"))
    assert "wants a key: set OPENAI_API_KEY" in without.status(401, {}, b"").message
    unnamed = Describer(REMOTE, Access())
    assert "--api-key" in unnamed.status(401, {}, b"").message


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\xff\xfe", b"null", b"[]", b"[[[[", b'"text"', b'{"error": [1]}', b"{" * 100_000,
        b'{"error": {"message": {"a": 1}}}', b"\x1b[31mred",
    ],
)  # fmt: skip
def test_any_body_gives_a_line(raw: bytes) -> None:
    message = DESCRIBE.status(500, {}, raw).message
    assert message.startswith("gpu:8000 failed (500)")
    assert message.isprintable()
    assert len(parse_body(raw).message) <= 300


def _verification() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("cause", "part"),
    [
        (ConnectionRefusedError(111, "refused"), "nothing listens at gpu:8000"),
        (socket.gaierror(-2, "Name or service not known"), "there is no host gpu:8000"),
        (_verification(), "is not trusted (self-signed certificate)"),
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), "does not speak TLS"),
        (TimeoutError(), "said nothing for 300 s"),
        (OSError(113, "No route to host"), "No route to host"),
    ],
)
def test_what_broke_the_connection_is_named(cause: Exception, part: str) -> None:
    error = RuntimeError("Connection error.")
    error.__cause__ = cause
    assert part in DESCRIBE.exception(error).message


def test_an_error_in_the_stream_is_told_apart_from_a_long_prompt() -> None:
    assert DESCRIBE.in_stream("CUDA out of memory").kind == "internal"
    assert DESCRIBE.in_stream("context size has been exceeded").kind == "prompt_too_long"

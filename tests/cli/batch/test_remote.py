"""`gptterm batch` over a server, through the real command."""

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from tests.cli.batch.test_command import jsonl, objects
from tests.cli.command import finish, handles_signals, run, start, wait_until
from tests.support.llm_server import Answer, LlmServer, Request, chat, refusal, sse, stream, usage

MODELS = [{"id": "qwen", "owned_by": "vllm", "max_model_len": 4096}]


def asked(request: Request) -> str:
    return str(request.body["messages"][-1]["content"])


def echo(request: Request) -> Answer:
    """Answer with what was asked."""
    return Answer(sse(chat(asked(request)), chat(finish="stop"), usage(3, 2)))


class Crowd:
    """A server's handler that holds its answers until `size` requests are there at once."""

    def __init__(self, size: int) -> None:
        self._barrier = threading.Barrier(size)
        self._lock = threading.Lock()
        self._inside = 0
        self.most = 0

    def __call__(self, request: Request) -> Answer:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        self._barrier.wait(30)
        with self._lock:
            self._inside -= 1
        return echo(request)


def prompts(count: int) -> bytes:
    return b"".join(b"prompt %d\n" % number for number in range(count))


def test_as_many_requests_are_in_flight_as_asked_for_and_results_keep_the_order(
    env: dict[str, str],
) -> None:
    crowd = Crowd(5)
    with LlmServer(models=MODELS, respond=crowd) as server:
        result = run(
            ["batch", "--lines", "--server", server.url, "--concurrency", "5"], env, prompts(20)
        )
    assert (result.code, result.stderr) == (0, "")
    assert crowd.most == 5
    found = objects(result.stdout)
    assert [line["text"] for line in found] == [f"prompt {i}" for i in range(20)]
    assert [line["line"] for line in found] == list(range(1, 21))
    assert found[0]["usage"]["completion_tokens"] == 2


def test_a_slow_first_line_holds_back_results_but_not_requests(env: dict[str, str]) -> None:
    others = threading.Event()
    seen: list[str] = []

    def respond(request: Request) -> Answer:
        seen.append(asked(request))
        if len(seen) == 10:
            others.set()
        if asked(request) == "prompt 0":
            others.wait(30)
        return echo(request)

    for unordered in ([], ["--unordered"]):
        seen.clear()
        others.clear()
        with LlmServer(models=MODELS, respond=respond) as server:
            command = ["batch", "--lines", "--server", server.url, "--concurrency", "2"]
            result = run([*command, *unordered], env, prompts(10))
        lines = [line["line"] for line in objects(result.stdout)]
        assert sorted(lines) == list(range(1, 11))
        assert (lines == sorted(lines)) == (not unordered)


def test_a_reader_that_pauses_stops_neither_requests_nor_a_signal(env: dict[str, str]) -> None:
    long = Answer(sse(chat("x" * 2000), chat(finish="stop")))
    with LlmServer(long, models=MODELS) as server:
        command = ["batch", "--lines", "--server", server.url]
        with start(command, env, stdin=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(prompts(100))  # three times what a pipe takes
            process.stdin.close()
            wait_until(lambda: len(server.posts) == 100)
            assert handles_signals(process.pid)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
            lines = objects(process.stdout.read())
        assert [line["line"] for line in lines] == list(range(1, len(lines) + 1))
        assert 10 < len(lines) < 100


def test_a_line_that_the_server_refuses_is_an_error_record(env: dict[str, str]) -> None:
    def respond(request: Request) -> Answer:
        if asked(request) == "prompt 1":
            return refusal(400, {"error": {"message": "no such thing"}})
        if asked(request) == "prompt 2":
            return Answer(sse(chat("half"), done=False))
        return echo(request)

    with LlmServer(models=MODELS, respond=respond) as server:
        result = run(["batch", "--lines", "--server", server.url], env, prompts(4))
    found = objects(result.stdout)
    assert result.code == 1
    assert [("error" in line) for line in found] == [False, True, True, False]
    assert "no such thing" in found[1]["error"]["message"]
    # What came before the cut is kept.
    assert (found[2]["text"], found[2]["finish_reason"]) == ("half", "error")


def test_each_line_has_its_own_settings_and_a_dropped_one_is_told_once(
    env: dict[str, str],
) -> None:
    lines: list[Any] = [
        {"prompt": "prompt 0", "temperature": 0.1},
        *({"prompt": f"prompt {i}", "typical_p": 0.5, "max_tokens": 7} for i in (1, 2)),
    ]
    with LlmServer(models=MODELS, respond=echo) as server:
        result = run(["batch", "--server", server.url, "--concurrency", "1"], env, jsonl(lines))
        bodies = [request.body for request in server.posts]
    assert result.code == 0
    assert [body["max_tokens"] for body in bodies] == [256, 7, 7]
    assert bodies[0]["temperature"] == 0.1
    note = "gptterm: note: typical-p 0.5 is not used: vLLM does not take it\n"
    assert result.stderr == note
    assert [len(line["notices"]) for line in objects(result.stdout)] == [0, 1, 1]


def test_a_server_that_limits_the_rate_is_asked_again_when_it_says(env: dict[str, str]) -> None:
    seen: dict[str, int] = {}

    def respond(request: Request) -> Answer:
        seen[asked(request)] = seen.get(asked(request), 0) + 1
        if seen[asked(request)] <= 5:
            limit = {"error": {"message": "too many requests"}}
            return refusal(429, limit, **{"Retry-After": "0.01"})
        return echo(request)

    with LlmServer(models=MODELS, respond=respond) as server:
        result = run(["batch", "--lines", "--server", server.url], env, prompts(3))
    assert (result.code, result.stderr) == (0, "")
    assert [line["text"] for line in objects(result.stdout)] == [f"prompt {i}" for i in range(3)]
    assert list(seen.values()) == [6, 6, 6]


def test_a_key_is_in_no_record(env: dict[str, str]) -> None:
    key = "sk-very-secret"

    def respond(request: Request) -> Answer:
        return refusal(401, {"error": {"message": f"bad key {request.headers['authorization']}"}})

    with LlmServer(models=MODELS, respond=respond) as server:
        result = run(
            ["batch", "--lines", "--server", server.url], {**env, "OPENAI_API_KEY": key}, prompts(2)
        )
    assert result.code == 1
    assert "refuses the key" in objects(result.stdout)[0]["error"]["message"]
    assert key.encode() not in result.stdout


def test_a_signal_closes_the_connections(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(prompts(4))
    with LlmServer(Answer(sse(chat("half"), done=False), hold=True), models=MODELS) as server:
        command = ["batch", "--lines", "--server", server.url, tmp_path / "in"]
        with start(command, env) as process:
            assert server.arrived.wait(60)
            process.send_signal(signal.SIGINT)
            result = finish(process)
        assert server.disconnected.wait(60)
    assert (result.code, result.stdout) == (130, b"")


def test_a_server_that_is_not_there_is_told_before_any_line(env: dict[str, str]) -> None:
    result = run(["batch", "--lines", "--server", "http://127.0.0.1:9"], env, prompts(3))
    assert (result.code, result.stdout) == (3, b"")
    assert "nothing listens" in result.stderr


def test_lines_of_openai_go_to_the_call_they_name(env: dict[str, str]) -> None:
    line = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "qwen", "messages": [{"role": "user", "content": "Hi"}], "n": 2},
    }
    with LlmServer(stream("Hel", "lo"), models=MODELS) as server:
        result = run(["batch", "--server", server.url, "--seed", "1"], env, jsonl([line]))
        assert [post.body["seed"] - 2**31 for post in server.posts] == [1, 2]
    assert (result.code, result.stderr) == (0, "")
    body = json.loads(result.stdout)["response"]["body"]
    messages = [choice["message"] for choice in body["choices"]]
    assert messages == [{"role": "assistant", "content": "Hello"}] * 2

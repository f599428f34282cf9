"""`gptterm batch` with a model on this machine, through the real command."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import finish, handles_signals, run, spawn, start

LINES: list[dict[str, Any]] = [
    {"prompt": "The king", "id": "k"},
    {"prompt": "The fox", "max_tokens": 3, "temperature": 0},
    {"messages": [{"role": "user", "content": "Who are you?"}]},
    {"prompt": "A", "stop": ["."], "max_tokens": 40},
]


def jsonl(lines: list[Any]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def objects(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def test_each_line_has_its_result_in_input_order(env: dict[str, str]) -> None:
    result = run(["batch", "-m", "tiny", "-n", "8", "--seed", "5"], env, jsonl(LINES))
    assert (result.code, result.stderr) == (0, "")
    one, two, three, four = objects(result.stdout)
    assert [one["line"], two["line"], three["line"], four["line"]] == [1, 2, 3, 4]
    assert (one["id"], one["seed"], four["seed"]) == ("k", 5, 8)
    assert (two["usage"]["completion_tokens"], two["sampling"]["temperature"]) == (3, 0)
    assert three["messages"] == LINES[2]["messages"]
    assert (four["stop"], four["finish_reason"]) == (".", "stop")


def test_the_text_is_that_of_the_prompt_alone(env: dict[str, str]) -> None:
    prompts = ["The king", "The old fox", "One day"]
    together = run(
        ["batch", "--lines", "-m", "tiny", "-n", "12", "--seed", "3"], env,
        "\n".join(prompts).encode(),
    )  # fmt: skip
    texts = [line["text"] for line in objects(together.stdout)]
    for number, prompt in enumerate(prompts):
        alone = run(["-m", "tiny", "-n", "12", "--seed", 3 + number, "--json", prompt], env)
        assert json.loads(alone.stdout)["text"] == texts[number]


def test_bad_lines_get_error_records_in_their_place(env: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_bytes(jsonl(LINES[:1]) + b"\nno json\n\xff\n" + jsonl([{"prompt": "x", "n": 1}]))
    result = run(["batch", "-m", "tiny", "-n", "2", "-v", file], env)
    assert result.code == 1
    assert [line["line"] for line in objects(result.stdout)] == [1, 3, 4, 5]
    good, *bad = objects(result.stdout)
    assert "error" not in good
    assert [line["error"]["kind"] for line in bad] == ["usage"] * 3
    lines = result.stderr.splitlines()
    assert lines[-2].startswith("gptterm: 4 lines in ")
    assert ", 3 failed; 2 tokens" in lines[-2]
    assert lines[-1] == 'gptterm: error: 3 of 4 lines failed: the "error" of each says why'


def test_a_prompt_too_long_fails_alone(env: dict[str, str]) -> None:
    lines = [{"prompt": "word " * 5000, "overflow": "error"}, {"prompt": "Hi"}]
    result = run(["batch", "-m", "tiny", "-n", "2"], env, jsonl(lines))
    long, short = objects(result.stdout)
    assert result.code == 1
    assert (long["finish_reason"], long["error"]["kind"]) == ("error", "prompt_too_long")
    assert "error" not in short


def test_openai_lines_get_openai_records(env: dict[str, str]) -> None:
    def line(id_: str, url: str, **body: Any) -> dict[str, Any]:
        return {"custom_id": id_, "method": "POST", "url": url, "body": {"model": "m", **body}}

    lines = [
        line("a", "/v1/chat/completions", messages=[{"role": "user", "content": "Hi"}]),
        line("b", "/v1/completions", prompt="The king", max_tokens=3, logprobs=1, n=2),
        line("c", "/v1/completions"),
    ]
    result = run(["batch", "-m", "tiny", "-n", "4"], env, jsonl(lines))
    one, two, bad = objects(result.stdout)
    assert result.code == 1
    assert "models that lines name are not used" in result.stderr.splitlines()[0]
    assert [one["custom_id"], two["custom_id"], bad["custom_id"]] == ["a", "b", "c"]
    chat, text = one["response"]["body"], two["response"]["body"]
    assert (chat["object"], chat["choices"][0]["message"]["role"]) == (
        "chat.completion", "assistant",
    )  # fmt: skip
    assert (text["object"], text["choices"][0]["finish_reason"]) == ("text_completion", "length")
    assert text["usage"]["completion_tokens"] == 2 * 3
    assert [choice["index"] for choice in text["choices"]] == [0, 1]
    assert all(len(choice["logprobs"]["content"]) == 3 for choice in text["choices"])
    assert (bad["response"], bad["error"]["code"]) == (None, "usage")


def test_unordered_results_come_as_soon_as_they_are_there(env: dict[str, str]) -> None:
    lines = [{"prompt": "The king", "max_tokens": 200, "temperature": 1.5, "top_p": 1}]
    lines += [{"prompt": f"Fox {i}", "max_tokens": 1} for i in range(3)]
    result = run(["batch", "-m", "tiny", "--unordered", "--seed", "1"], env, jsonl(lines))
    assert [line["line"] for line in objects(result.stdout)] == [2, 3, 4, 1]


def test_a_line_is_answered_before_the_next_one_is_written(env: dict[str, str]) -> None:
    with start(["batch", "-m", "tiny", "-n", "2"], env, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in (1, 2):
            process.stdin.write(jsonl([{"prompt": "The king"}]))
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["line"] == number
        assert finish(process).code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_whole_lines_only(
    number: int, code: int, models: Path, env: dict[str, str]
) -> None:
    lines = [{"prompt": "The king", "max_tokens": 1}]
    lines += [{"prompt": "The king", "max_tokens": 5000}] * 5
    command = ["batch", "-m", models / "slow", "-q"]
    with start(command, env, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(jsonl(lines))
        process.stdin.close()
        first = process.stdout.readline()
        assert handles_signals(process.pid)
        process.send_signal(number)
        rest = process.stdout.read()
        assert process.wait() == code
    assert json.loads(first)["line"] == 1
    assert rest == b""


def test_a_reader_that_leaves_ends_it_silently(env: dict[str, str]) -> None:
    reader, writer = os.pipe()
    with start(["batch", "--lines", "-m", "tiny"], env, stdin=subprocess.PIPE, stdout=writer) as p:
        os.close(writer)
        os.close(reader)
        result = finish(p, b"The king\n" * 50)
    assert (result.code, result.stderr) == (141, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nosuch.jsonl"], "cannot read nosuch.jsonl: No such file"),
        (["/"], "cannot read /: it is a directory"),
        (["--concurrency", "0"], "--concurrency must be"),
        (["--nosuch"], "no such option --nosuch"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], message: str, env: dict[str, str]) -> None:
    result = run(["batch", "-m", "tiny", *arguments], env)
    assert (result.code, result.stdout) == (2, b"")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_empty_input_is_an_empty_batch(env: dict[str, str]) -> None:
    result = run(["batch", "-m", "tiny"], env)
    assert (result.code, result.stdout, result.stderr) == (0, b"", "")


def test_a_terminal_shows_progress_and_is_no_input(env: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "in.txt"
    file.write_text("The king\n" * 20)
    child = spawn(["batch", "--lines", "-m", "tiny", "-n", "5", file], env)
    child.expect(r"20 lines in [\d.]+ m?s, 0 failed; 100 tokens, [\d,.]+ tok/s")
    assert child.before is not None
    assert "/20" in child.before
    child.expect("\r\n")
    child.wait()
    assert child.exitstatus == 0
    child = spawn(["batch", "-m", "tiny"], env)
    child.expect("no input: give a FILE")
    child.wait()
    assert child.exitstatus == 2


def test_a_warm_engine_runs_the_lines(warm: dict[str, str]) -> None:
    command = ["batch", "--lines", "-m", "tiny", "-n", "6", "--seed", "2"]
    prompts = "\n".join(f"The king {i}" for i in range(40)).encode()
    cold = run(command, warm, prompts)
    kept = run([*command, "--keep-alive", "5"], warm, prompts)
    status = run(["engine", "status", "--json"], warm)
    assert (kept.code, kept.stderr) == (0, "")
    assert [o["text"] for o in objects(kept.stdout)] == [o["text"] for o in objects(cold.stdout)]
    assert len(objects(status.stdout)) == 1

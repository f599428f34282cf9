"""`--output --resume` through the real command, killed at any moment."""

import json
import random
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cli.batch.test_remote import MODELS, asked, echo, prompts
from tests.cli.command import COMMAND, finish, run, start, wait_until
from tests.support.llm_server import Answer, LlmServer, Request, refusal

COUNT = 160


def command(server: LlmServer, folder: Path, *more: str) -> list[Any]:
    (folder / "in").write_bytes(prompts(COUNT))
    return [
        "batch", "--lines", "--server", server.url, "--concurrency", "8",
        folder / "in", "--output", folder / "out", "--resume", *more,
    ]  # fmt: skip


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out").read_bytes().splitlines()]


def check_each_line_once(folder: Path, *, ordered: bool) -> None:
    found = records(folder)
    lines = [record["line"] for record in found]
    assert (lines if ordered else sorted(lines)) == list(range(1, COUNT + 1))
    assert all(record["text"] == f"prompt {record['line'] - 1}" for record in found)


def _is_through_or_has(process: subprocess.Popen[bytes], out: Path, size: int) -> bool:
    return process.poll() is not None or (out.exists() and out.stat().st_size >= size)


@pytest.mark.parametrize("order", [[], ["--unordered"]])
def test_killed_as_it_writes_every_line_is_there_once(
    order: list[str], tmp_path: Path, env: dict[str, str]
) -> None:
    dice = random.Random(7)
    out = tmp_path / "out"
    with LlmServer(models=MODELS, respond=echo) as server:
        arguments = command(server, tmp_path, *order)
        for _ in range(3):
            size = dice.randrange(1, 8_000) + (out.stat().st_size if out.exists() else 0)
            with start(arguments, env) as process:
                # It may be through before it is looked at again.
                wait_until(partial(_is_through_or_has, process, out, size))
                process.kill()
        result = run(arguments, env)
        assert (result.code, result.stdout, result.stderr) == (0, b"", "")
        check_each_line_once(tmp_path, ordered=not order)
        asked_for = len(server.posts)
        assert run(arguments, env).code == 0
        assert len(server.posts) == asked_for


@pytest.mark.slow
def test_killed_at_a_hundred_random_moments_every_line_is_there_once(
    tmp_path: Path, env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    def respond(request: Request) -> Answer:
        time.sleep(0.02)  # a server's: else most moments would be of the start
        return echo(request)

    dice = random.Random(11)
    amid = 0
    with LlmServer(models=MODELS, respond=respond) as server:
        (tmp_path / "whole").mkdir()
        begun = time.monotonic()
        assert run(command(server, tmp_path / "whole"), env).code == 0
        whole_s = time.monotonic() - begun
        for number in range(10):
            folder = tmp_path / str(number)
            folder.mkdir()
            order = ["--unordered"] * (number % 2)
            arguments = command(server, folder, *order)
            for _ in range(10):
                with start(arguments, env) as process:
                    try:
                        process.wait(dice.uniform(0, whole_s))
                    except subprocess.TimeoutExpired:
                        process.kill()
                out = folder / "out"
                amid += out.exists() and 0 < out.read_bytes().count(b"\n") < COUNT
            assert run(arguments, env).code == 0
            check_each_line_once(folder, ordered=not order)
    with capsys.disabled():
        print(f"\nof 100 kills {amid} came amid the records")  # noqa: T201
    assert amid >= 10


def test_lines_that_failed_are_run_again_when_asked(tmp_path: Path, env: dict[str, str]) -> None:
    broken = True

    def respond(request: Request) -> Answer:
        if broken and asked(request).endswith("7"):
            return refusal(400, {"error": {"message": "not now"}})
        return echo(request)

    with LlmServer(models=MODELS, respond=respond) as server:
        arguments = command(server, tmp_path)
        first = run(arguments, env)
        assert first.code == 1
        assert f"{COUNT // 10} of {COUNT} lines failed" in first.stderr
        broken = False
        again = run(arguments, env)
        assert again.code == 1
        assert f"{COUNT // 10} lines failed before: --retry-errors runs" in again.stderr
        asked_for = len(server.posts)
        assert run([*arguments, "--retry-errors"], env).code == 0
        assert len(server.posts) == asked_for + COUNT // 10
    check_each_line_once(tmp_path, ordered=False)


def test_a_disk_that_fills_up_loses_nothing(tmp_path: Path, env: dict[str, str]) -> None:
    with LlmServer(models=MODELS, respond=echo) as server:
        arguments = command(server, tmp_path)
        limited = subprocess.run(
            ["sh", "-c", 'ulimit -f 24; exec "$@"', "sh", *COMMAND, *map(str, arguments)],
            env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert limited.returncode == 1
        assert "cannot write" in limited.stderr
        assert "--resume goes on from there" in limited.stderr
        assert run(arguments, env).code == 0
    check_each_line_once(tmp_path, ordered=True)


def test_another_run_is_not_gone_on_with(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "in").write_bytes(prompts(3))
    same = ["batch", "--lines", "-m", "tiny", "-n", "2", tmp_path / "in", "-o", tmp_path / "out"]
    assert run(same, env).code == 0
    kept = (tmp_path / "out").read_bytes()
    resumed = [*same, "--resume"]
    others = {
        "is there already": same,
        "with other settings": [*resumed, "-t", "0.3"],
        "with other model": [*resumed, "--dtype", "bfloat16"],
    }
    for message, arguments in others.items():
        result = run(arguments, env)
        assert (result.code, result.stdout) == (2, b"")
        assert message in result.stderr
    (tmp_path / "in").write_bytes(prompts(4))
    assert "with other input" in run(resumed, env).stderr
    assert (tmp_path / "out").read_bytes() == kept


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume"], "--resume needs --output"),
        (["-o", "out", "--retry-errors"], "--retry-errors needs --resume"),
        (["-o", "out", "--resume"], "--resume needs a FILE"),
    ],
)
def test_what_cannot_be_resumed_is_refused(
    arguments: list[str], message: str, tmp_path: Path, env: dict[str, str]
) -> None:
    words = [tmp_path / word if word == "out" else word for word in arguments]
    with start(["batch", "-m", "tiny", *words], env, stdin=subprocess.PIPE) as process:
        result = finish(process, b"")
    assert result.code == 2
    assert message in result.stderr

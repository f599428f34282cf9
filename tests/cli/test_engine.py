"""`gptterm engine`, and prompts that find an engine warm."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from gptterm.engine.daemon.handshake import EngineStatus
from gptterm.engine.daemon.launcher import list_daemons
from tests.cli.command import finish, run, spawn, start, wait_until
from tests.support.waiting import gone

Env = dict[str, str]


def engines(env: Env) -> list[dict[str, Any]]:
    found = run(["engine", "status", "--json"], env)
    assert (found.code, found.stderr) == (0, "")
    return [json.loads(line) for line in found.text.splitlines()]


def test_start_use_status_stop(warm: Env, models: Path, tmp_path: Path) -> None:
    assert run(["engine", "status"], warm).stderr == "no engine is running\n"
    assert run(["engine", "stop"], warm).stderr == "no engine is running\n"
    model = models / "greeting"
    cold = run(["-m", model, "-t", "0", "-n", "30", "-v"], warm, b"Hello")
    assert "loaded in" in cold.stderr

    started = run(["engine", "start", "-m", model], warm)
    assert started.code == 0
    assert f"{model} on cpu, float32: ready after" in started.text
    assert "runs until" in started.text
    again = run(["engine", "start", "-m", model, "--keep-alive", "30"], warm)
    assert "already running" in again.text
    assert "ends after 30 min without a client" in again.text
    (engine,) = engines(warm)
    assert (engine["model"], engine["state"], engine["keep_alive"]) == (str(model), "idle", 30)
    table = run(["engine", "status"], warm).text
    assert str(engine["pid"]) in table
    assert "in 30 min" in table

    # From another directory, by another name.
    os.symlink(model, tmp_path / "link")
    hot = run(["-m", tmp_path / "link", "-t", "0", "-n", "30", "-v"], warm, b"Hello")
    assert f"warm engine (process {engine['pid']}) ready after " in hot.stderr
    assert hot.stdout == cold.stdout
    answer = json.loads(run(["-m", model, "-n", "3", "--json"], warm, b"Hello").stdout)
    assert answer["model"] == str(model)
    assert answer["timings"]["load_s"] < engine["uptime_s"]
    assert answer["usage"]["reused_tokens"] > 0
    # Another dtype is another engine, and nobody asked for one to be kept.
    other = run(["-m", model, "-n", "3", "-v", "--dtype", "bfloat16"], warm, b"Hello")
    assert "loaded in" in other.stderr
    assert [one["generations"] for one in engines(warm)] == [2]

    assert run(["engine", "stop", models / "random"], warm).stderr.startswith("no engine of ")
    stopped = run(["engine", "stop", tmp_path / "link"], warm)
    assert f"stopped (process {engine['pid']})" in stopped.text
    wait_until(lambda: gone(engine["pid"]))
    assert engines(warm) == []


def test_with_keep_alive_a_prompt_starts_one_and_the_next_finds_it(warm: Env, models: Path) -> None:
    warm |= {"GPTTERM_KEEP_ALIVE": "5"}
    arguments = ["-m", models / "chat", "-t", "0", "-n", "20", "-v"]
    first, second = (run(arguments, warm, b"Hello") for _ in range(2))
    assert first.code == second.code == 0
    assert first.stdout == second.stdout != b""
    (engine,) = engines(warm)
    assert f"process {engine['pid']}" in first.stderr
    assert f"process {engine['pid']}" in second.stderr
    assert (engine["keep_alive"], engine["generations"]) == (5, 2)
    # The line-by-line chat is a client like any other.
    chat = run(["--plain", *arguments], warm, b"Hello\nagain\n")
    assert f"process {engine['pid']}" in chat.stderr
    assert chat.text.splitlines()[0] == first.text.splitlines()[0]


def test_a_prompt_that_waits_says_so_and_can_be_interrupted(warm: Env, models: Path) -> None:
    arguments = ["-m", models / "slow", "--raw"]
    assert run(["engine", "start", *arguments[:2]], warm).code == 0
    (engine,) = engines(warm)
    # As many samples as there are rows.
    with start([*arguments, "-n", "8000", "--samples", "16", "Hello"], warm) as long:
        wait_until(lambda: engines(warm)[0]["state"] == "generating")
        with start([*arguments, "-n", "1", "Hello"], warm) as waiting:
            assert waiting.stderr is not None
            note = waiting.stderr.readline()
            assert b"the engine is busy: 1 prompt ahead of this one" in note
            waiting.send_signal(signal.SIGINT)
            assert finish(waiting).code == 130
        # Whoever generates when the engine is stopped is told, and keeps what there was.
        assert run(["engine", "stop"], warm).code == 0
        ended = finish(long)
    assert ended.code == 1
    assert "the warm engine was asked to end" in ended.stderr
    wait_until(lambda: gone(engine["pid"]))


def test_a_reader_that_leaves_and_one_that_is_killed_free_the_engine(
    warm: Env, models: Path
) -> None:
    arguments = ["-m", models / "slow", "--raw", "-n", "8000"]
    assert run(["engine", "start", *arguments[:2]], warm).code == 0
    for end in ("close", "kill"):
        with start([*arguments, "Hello"], warm) as process:
            assert process.stdout is not None
            process.stdout.read(1)
            if end == "close":
                process.stdout.close()
                assert process.wait(30) == 141
            else:
                process.kill()
        wait_until(lambda: engines(warm)[0]["state"] == "idle")


def test_where_no_engine_can_be_kept_the_prompt_is_answered_all_the_same(
    warm: Env, models: Path, tmp_path: Path
) -> None:
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(0o777)
    warm |= {"XDG_RUNTIME_DIR": str(place), "GPTTERM_KEEP_ALIVE": "forever"}
    done = run(["-m", models / "greeting", "-n", "3"], warm, b"Hello")
    assert done.code == 0
    assert done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("gptterm: note: no warm engine: ")
    assert "can be written by others" in line
    failed = run(["engine", "start", "-m", models / "greeting"], warm)
    assert failed.code == 1
    assert "can be written by others" in failed.stderr
    assert list(place.iterdir()) == []


def test_a_model_that_cannot_be_loaded_fails_as_without(warm: Env, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text('{"model_type": "gpt2"}')
    for more in ([], ["--keep-alive", "1"]):
        assert run(["-m", broken, *more], warm, b"Hello").code == 3
    assert run(["engine", "start", "-m", broken], warm).code == 3
    assert engines(warm) == []


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf", "1e9"])
def test_a_keep_alive_that_is_none_is_refused(env: Env, value: str) -> None:
    done = run(["--keep-alive", value, "Hello"], env)
    assert done.code == 2
    assert "a number of minutes, off or forever" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def loading_pid() -> int:
    """Wait for an engine that loads with its client connected; return its process id."""
    found: list[EngineStatus] = []

    def is_loading() -> bool:
        found[:] = [one.status for one in list_daemons() if one.status is not None]
        return [(one.state, one.clients) for one in found] == [("loading", 1)]

    wait_until(is_loading)
    return found[0].pid


def test_the_first_ctrl_c_ends_engine_start_and_the_engine(warm: Env, models: Path) -> None:
    """While the engine loads, and its client only waits."""
    # The conversion takes a second.
    arguments = ["engine", "start", "-m", models / "slow", "--dtype", "int8"]
    terminal = spawn(arguments, warm)
    pid = loading_pid()
    terminal.sendintr()
    shown = terminal.read()
    terminal.close()
    assert terminal.exitstatus == 130
    assert shown.replace("\x1b[?25h", "").strip() in ("", "^C")
    wait_until(lambda: gone(pid))
    assert engines(warm) == []


def test_the_first_ctrl_c_ends_engine_start_in_warm_up(
    warm: Env, models: Path, tmp_path: Path
) -> None:
    """The first prompt of a chat model renders its template, which here takes all of its budget."""
    endless = tmp_path / "endless"
    shutil.copytree(models / "chat", endless)
    config = endless / "tokenizer_config.json"
    loop = "{% for i in range(9999) %}" * 3 + "x" + "{% endfor %}" * 3
    config.write_text(json.dumps(json.loads(config.read_text()) | {"chat_template": loop}))
    terminal = spawn(["engine", "start", "-m", endless], warm)
    pid = loading_pid()
    terminal.sendintr()
    terminal.read()
    terminal.close()
    assert terminal.exitstatus == 130
    # Unless it was ready just before.
    wait_until(lambda: gone(pid) or [one["state"] for one in engines(warm)] == ["idle"])

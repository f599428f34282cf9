"""`gptterm bench`: numbers that agree with each other, what is cut and refused, Ctrl-C."""

import json
import subprocess
from typing import Any

import pytest

from gptterm.cli.bench import Prompts
from tests.cli.command import finish, run, spawn, start

QUICK = ["bench", "-m", "tiny", "-p", "8", "-n", "4", "--runs", "2"]
UNITS = {
    "load": "s", "prompt of 8 tokens": "tok/s", "first token": "ms", "4 tokens": "tok/s",
    "step": "ms", "peak memory": "MB",
}  # fmt: skip


def measured(stdout: bytes) -> dict[str, Any]:
    """The one object, on one line."""
    assert stdout.count(b"\n") == 1
    found: dict[str, Any] = json.loads(stdout)
    return found


def test_the_rates_are_those_of_the_times(env: dict[str, str]) -> None:
    done = run([*QUICK, "-N", "3", "--kv-dtype", "float16", "--json"], env)
    assert (done.code, done.stderr) == (0, "")
    found = measured(done.stdout)
    prompt, decode = found["prompt"], found["decode"]
    assert (prompt["tokens"], decode["tokens"], decode["samples"]) == (8, 4, 3)
    for part, seconds, tokens in ((prompt, "first_token_s", 8), (decode, "decode_s", 12)):
        rates = [each["tokens_per_s"] for each in part["runs"]]
        assert [rate * each[seconds] for rate, each in zip(rates, part["runs"], strict=True)] == (
            pytest.approx([tokens, tokens])
        )
        assert part["tokens_per_s"] == pytest.approx(sum(rates) / 2)
    assert found["model"] == "tiny"
    assert (found["dtype"], found["kv_dtype"]) == ("float32", "float16")
    assert found["load_s"] > 0
    assert found["peak_memory_bytes"] > 4 * found["parameters"]


def test_a_pipe_gets_columns_below_what_computes(env: dict[str, str]) -> None:
    done = run([*QUICK, "--device", "cpu"], env)
    assert (done.code, done.stderr) == (0, "")
    head, header, *rows = done.text.splitlines()
    assert head.startswith("# tiny: native decoder, cpu, float32, KV cache float32, ")
    assert "thread" in head
    assert header.split("\t") == ["what", "median", "lowest", "highest", "unit"]
    cells = [row.split("\t") for row in rows]
    assert {row[0]: row[-1] for row in cells} == UNITS
    for _, median, lowest, highest, unit in cells:
        assert bool(lowest) == bool(highest) == (unit in ("tok/s", "ms"))
        assert float(lowest or 0) <= float(median) <= float(highest or "inf")


def test_a_terminal_gets_a_table_and_ctrl_c_keeps_what_was_measured(env: dict[str, str]) -> None:
    terminal = spawn([*QUICK[:-1], "1000", "-N", "2"], env)
    terminal.expect("warming up")
    terminal.expect("run 2 of 1000")
    terminal.sendintr()
    shown = terminal.read()
    terminal.close()
    assert terminal.exitstatus == 130
    assert "native decoder" in shown
    for what in ("prompt of 8 tokens", "first token", "4 tokens × 2 samples", "step"):
        assert what in shown
    assert "Traceback" not in shown


def test_what_the_context_does_not_hold_is_cut(env: dict[str, str]) -> None:
    long = ["bench", "-m", "tiny", "--context", "12", "--runs", "1", "--json"]
    done = run([*long, "-p", "500"], env)
    found = measured(done.stdout)
    assert done.code == 0
    assert done.stderr == (
        "gptterm: note: the context has 12 tokens: the prompt is cut to 11, 10 are decoded\n"
    )
    assert found["notices"] == [done.stderr.removeprefix("gptterm: note: ").strip()]
    assert (found["prompt"]["tokens"], found["decode"]["tokens"]) == (11, 10)
    assert run([*long, "-p", "11", "-n", "10"], env).stderr == ""


def test_parts_can_be_left_out(env: dict[str, str]) -> None:
    found = measured(run([*QUICK, "-n", "0", "--json"], env).stdout)
    assert found["decode"] == {"tokens": 0, "samples": 1, "tokens_per_s": None, "runs": []}
    rows = run([*QUICK, "-p", "0"], env).text.splitlines()[2:]
    assert [row.split("\t")[0] for row in rows] == ["load", "4 tokens", "step", "peak memory"]


def test_no_prompt_begins_as_another_and_all_come_again() -> None:
    first, again = ([each.next(5).ids for _ in range(50)] for each in (Prompts(50), Prompts(50)))
    assert first == again
    assert {len(ids) for ids in first} == {5}
    assert sorted(ids[0] for ids in first) == list(range(50))
    assert len({ids[1:] for ids in first}) == 50
    assert all(0 <= i < 50 for ids in first for i in ids)


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["-p", "-1"], 2, "--prompt-tokens must be a whole number, 0 or more, not -1"),
        (["-n", "many"], 2, '--max-tokens must be a whole number, 0 or more, not "many"'),
        (["-N", "0"], 2, "--samples must be a whole number from 1 to 1024, not 0"),
        (["--runs", "0"], 2, "--runs must be a whole number from 1 to 1000, not 0"),
        (["-m", "openai/gpt"], 2, "is on a server"),
        (["-m", "nosuch/model"], 3, "nosuch/model"),
        (["words"], 2, "unexpected extra argument"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], code: int, line: str, env: dict[str, str]
) -> None:
    done = run(["bench", "-m", "tiny", *arguments], env)
    assert (done.code, done.stdout) == (code, b"")
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_goes_away_is_no_error(env: dict[str, str]) -> None:
    process = start([*QUICK, "--runs", "1000"], env, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    done = finish(process)
    assert (done.code, done.stderr) == (141, "")

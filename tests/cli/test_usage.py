"""Wrong calls: one line that says what is wrong, exit 2, and no engine started for it."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, Result, run

OUT_OF_RANGE = [
    ("--temperature", ["-1", "nan", "inf", "-inf", "x", "", "1_0", "１"]),
    ("--top-k", ["-1", "1.5", "nan", "x", "99999999999999999999"]),
    ("--top-p", ["0", "1.01", "-0.5", "nan", "inf"]),
    ("--min-p", ["-0.1", "1.1", "nan"]),
    ("--typical-p", ["0", "2", "nan"]),
    ("--repetition-penalty", ["0", "-1", "nan", "inf"]),
    ("--presence-penalty", ["nan", "inf", "x"]),
    ("--frequency-penalty", ["nan", "-inf", "x"]),
    ("--seed", ["-1", "1.5", "9223372036854775808", "x"]),
    ("--max-tokens", ["0", "-5", "1e3", "99999999999"]),
    ("--samples", ["0", "-1", "1025", "x"]),
    ("--logprobs", ["-1", "1001", "x"]),
    ("--stop", [""]),
    ("--model", ["", "  "]),
    ("--device", ["gpu", "cuda:x", "cuda:", ""]),
    ("--dtype", ["float64", "int4"]),
    ("--overflow", ["shift"]),
    ("--sampler-order", ["random"]),
    ("--preset", ["nosuch"]),
]
CASES = [(option, value) for option, values in OUT_OF_RANGE for value in values]


def assert_one_error_line(result: Result, code: int = 2) -> None:
    assert result.code == code, result
    assert result.stdout == b""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("gptterm: error: ")


@pytest.mark.parametrize(("option", "value"), CASES)
def test_an_option_out_of_range_is_refused(option: str, value: str, env: dict[str, str]) -> None:
    result = run([option, value, "--", "a prompt"], env)
    assert_one_error_line(result)
    assert option in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nosuch", "x"], "no such option --nosuch"),
        (["--temprature", "1", "x"], "did you mean --temperature?"),
        (["--top-k"], "requires an argument"),
        (["x", "--logprobs", "3"], "--logprobs needs --json"),
        (["x", "--json", "--echo"], "--echo is for text"),
        (["x", "--raw", "-s", "terse"], "--system is for a chat"),
        (["-i", "--json", "x"], "--json"),
        (["--plain", "-N", "2"], "--samples"),
        (["--plain", "--inline"], "the drawn chat, which --plain turns off"),
        (["--inline", "x"], "--inline is for a chat"),
        (["--seed", str(2**63 - 1), "-N", "2", "x"], "--seed is too large"),
        (["--temperature", "-1", "x"], "not -1;"),
        (["models", "info"], "NAME is missing; see gptterm models info --help"),
        ([""], "the prompt is empty"),
        (["  ", "\n"], "the prompt is empty"),
        (["--no-stdin"], "no prompt"),
        (["config"], "no command given"),
        (["config", "nosuch"], "no such command 'nosuch'"),
        (["models", "are", "fun"], "put -- before a prompt"),
        (["a\udcff"], "not valid UTF-8"),
        (["--stop", "\udcff", "x"], "not valid UTF-8"),
        (["classify", "--labels", "a\udcff,b"], "not valid UTF-8"),
        (["history", "search", "a\udcff"], "not valid UTF-8"),
        (["tokenize", "--ids", "--json", "x"], "--ids is for a line of text"),
        (["score", "--summary", "--json", "x"], "--summary is for a text"),
        (["classify", "--labels", "a,b", "--show-prompt", "--json"], "leave --json out"),
        (["--task", "summarise", "--show-prompt", "--json", "x"], "leave --json out"),
        (["-m", "tiny", "--adapter", ".=x", "x"], "--adapter .=x: SCALE must be a number, not x"),
        (["-m", "tiny", "--adapter", ".=nan", "x"], "SCALE must be a number, not nan"),
    ],
)
def test_wrong_usage_is_one_line(arguments: list[str], words: str, env: dict[str, str]) -> None:
    result = run(arguments, env)
    assert_one_error_line(result)
    assert words in result.stderr


def test_an_error_is_one_line_whatever_was_given(env: dict[str, str]) -> None:
    result = run(["--device", "a\nb\x1b[31m", "x"], env)
    assert_one_error_line(result)
    assert "\x1b" not in result.stderr


@pytest.mark.parametrize(
    ("stdin", "words"),
    [
        (b"", "stdin is empty"),
        (b" \n\t \n", "stdin has only white space"),
        (b"\n\n", "stdin has only white space"),
        (b"abc\xff\n", "byte 0xff at offset 3"),
        ("né".encode("latin-1"), "byte 0xe9 at offset 1"),
        ("人".encode()[:2], "at offset 0"),
    ],
)
def test_bad_stdin(stdin: bytes, words: str, env: dict[str, str]) -> None:
    result = run([], env, stdin)
    assert_one_error_line(result)
    assert words in result.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [([], b"no prompt"), (["--plain"], b"--plain needs"), (["--plain", "hi"], b"--plain needs")],
)
def test_a_terminal_in_and_a_pipe_out_is_no_hidden_prompt(
    arguments: list[str], problem: bytes, env: dict[str, str]
) -> None:
    master, slave = pty.openpty()
    try:
        result = subprocess.run(
            [*COMMAND, *arguments],
            env=env,
            stdin=slave,
            capture_output=True,
            timeout=180,
            check=False,
        )
    finally:
        os.close(master)
        os.close(slave)
    assert result.returncode == 2
    assert result.stdout == b""
    assert result.stderr.startswith(b"gptterm: error: " + problem)


@pytest.mark.parametrize(
    "name", ["/no/such/model", "nosuch", "someone/nosuch", "a b", "\x1b[31mred"]
)
def test_an_unknown_model_is_exit_3(name: str, env: dict[str, str]) -> None:
    assert_one_error_line(run(["-m", name, "hello"], env), code=3)


def test_a_traceback_only_where_it_is_wanted(env: dict[str, str]) -> None:
    result = run(["--preset", "nosuch", "x"], {**env, "GPTTERM_DEBUG": "1"})
    assert result.code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("gptterm: error: ")


def test_words_after_two_dashes_are_a_prompt(env: dict[str, str]) -> None:
    result = run(["-m", "nosuch", "--", "models", "--are", "fun"], env)
    assert_one_error_line(result, code=3)


def test_a_working_directory_that_is_gone(env: dict[str, str], tmp_path: Path) -> None:
    script = 'cd "$1" && rmdir "$1" && shift && exec "$@"'
    arguments = ["sh", "-c", script, "sh", str(tmp_path / "home"), *COMMAND, "-m", "tiny", "x"]
    done = subprocess.run(
        arguments, env={**env, "PYTHONPATH": os.getcwd()}, stdin=subprocess.DEVNULL,
        capture_output=True, timeout=180, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"gptterm: error: the working directory was deleted; cd to another\n"

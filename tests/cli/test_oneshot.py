"""One prompt through the real command and a real engine, in pipes."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, run, run_measured, start
from tests.cli.conftest import ESCAPES, GREETING

GREEDY = ("--temperature", "0")
"""A rigged model then says its text, from some place in it, over and over."""


def _said(text: str, says: str) -> bool:
    """Whether `text` is what a model rigged to say `says` would say."""
    return text.removesuffix("\n") in says * (2 + len(text) // len(says))


def test_the_main_job(models: Path, env: dict[str, str]) -> None:
    result = run(["-m", models / "greeting", *GREEDY, "-n", "60"], env, b"Once upon a time\n")
    assert result.code == 0
    assert result.stderr == ""
    assert result.text.endswith("\n")
    assert not result.text.endswith("\n\n")
    assert len(result.text) > 20
    assert _said(result.text, GREETING)


def test_sampled_text_repeats_with_its_seed_and_its_model_runs_offline_on_a_read_only_home(
    models: Path, env: dict[str, str]
) -> None:
    # No one, not even root, can make a file or a directory under /proc.
    env = {**env, "HOME": "/proc", "GPTTERM_HOME": "/proc/gptterm", "HF_HOME": "/proc/hf"}
    arguments = ["-m", models / "random", "-t", "1.5", "-n", "20", "--offline", "-v", "a king"]
    first = run(arguments, env)
    assert first.code == 0, first.stderr
    seed = first.stderr.split("seed ")[1].split()[0]
    again = run([*arguments, "--seed", seed], env)
    assert again.stdout == first.stdout
    lines = first.stderr.splitlines()
    assert all(line.startswith("gptterm: ") for line in lines)
    assert "loaded in" in lines[0]
    assert "(0 reused, 0 dropped)" in lines[1]


def test_an_option_wins_over_config_toml_also_where_it_takes_a_value_back(
    env: dict[str, str],
) -> None:
    Path(env["GPTTERM_HOME"], "config.toml").write_text('model = "tiny"\nseed = 7\n')
    arguments = ["--json", "-n", "1", "x"]
    (fixed, drawn) = (
        [json.loads(run([*more, *arguments], env).stdout)["seed"] for _ in range(2)]
        for more in ([], ["--seed", "random"])
    )
    assert fixed == [7, 7]
    assert drawn[0] != drawn[1]


def test_samples_are_printed_whole_and_in_order(models: Path, env: dict[str, str]) -> None:
    arguments = ["-m", models / "greeting", *GREEDY, "-n", "9", "-N", "3", "--echo", "a king"]
    result = run(arguments, env)
    assert result.code == 0
    lines = result.text.splitlines()
    assert len(lines) == 3
    assert all(line == lines[0] and line.startswith("a king") for line in lines)
    assert _said(lines[0].removeprefix("a king"), GREETING)


def test_escape_sequences_pass_a_pipe_as_they_are(models: Path, env: dict[str, str]) -> None:
    # A locale that is not UTF-8 changes nothing.
    env = {**env, "LC_ALL": "C", "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    arguments = ["-m", models / "escapes", *GREEDY, "-n", "120", "--no-stream", "x"]
    result = run(arguments, env)
    assert result.code == 0
    assert b"\x1b[31m" in result.stdout
    assert "\x9b2J rtl \u202e.".encode() in result.stdout
    assert _said(result.text, ESCAPES)


def test_output_that_ends_in_half_a_character(models: Path, env: dict[str, str]) -> None:
    result = run(["-m", models / "halves", *GREEDY, "-n", "4", "x"], env)
    assert result.code == 0
    # Half an é, two thirds of 人, and the first byte of one of them: three characters at most.
    assert set(result.text) == {"\ufffd", "\n"}


def test_a_while_loop_with_no_stdin_sees_every_line(models: Path, env: dict[str, str]) -> None:
    script = (
        "printf 'one\\ntwo\\n' | while read -r line; do "
        f'{" ".join(COMMAND)} --no-stdin -m {models}/greeting -t 0 -n 2 --echo "$line"; done'
    )
    result = subprocess.run(
        ["bash", "-c", script], env=env, capture_output=True, timeout=180, check=True
    )
    assert [line[:3] for line in result.stdout.decode().splitlines()] == ["one", "two"]


def test_ten_megabytes_are_truncated_and_said_so(models: Path, env: dict[str, str]) -> None:
    arguments = ["-m", models / "greeting", *GREEDY, "-n", "8"]
    prompt = b"Once upon a time there was a king. " * 300_000
    result, peak = run_measured(arguments, env, prompt)
    assert result.code == 0, result.stderr
    assert _said(result.text, GREETING)
    assert result.stderr.startswith("gptterm: note: ")
    assert len(result.stderr.splitlines()) == 1
    assert peak < 2 * 10**9


def test_a_prompt_too_long_can_be_an_error(models: Path, env: dict[str, str]) -> None:
    arguments = ["-m", models / "greeting", "--overflow", "error"]
    result = run(arguments, env, b"a king. " * 500)
    assert result.code == 5
    assert result.stdout == b""
    assert result.stderr.startswith("gptterm: error: ")
    assert len(result.stderr.splitlines()) == 1


def test_a_reader_that_leaves_ends_it_silently(models: Path, env: dict[str, str]) -> None:
    with start(["-m", models / "slow", "-n", "8000", "x"], env) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(20)
        process.stdout.close()
        assert process.wait(timeout=180) == 141
        assert process.stderr.read() == b""


def test_a_full_disk_is_one_line(models: Path, env: dict[str, str]) -> None:
    with Path("/dev/full").open("wb") as full:
        process = subprocess.run(
            [*COMMAND, "-m", str(models / "greeting"), "-n", "3", "x"],
            env=env, stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE,
            timeout=180, check=False,
        )  # fmt: skip
    assert process.returncode == 1
    assert process.stderr == b"gptterm: error: cannot write to stdout: No space left on device\n"


def test_stdin_and_words_for_a_chat_model(models: Path, env: dict[str, str]) -> None:
    arguments = ["-m", models / "chat", *GREEDY, "-n", "5", "--echo", "-s", "terse", "in", "short"]
    result = run(arguments, env, b"a text\nof two lines\n")
    assert result.code == 0
    assert result.text.startswith("a text\nof two lines\n\nin short\n\n")


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_a_broken_model_is_exit_3(
    models: Path, env: dict[str, str], tmp_path: Path, file: str
) -> None:
    for original in (models / "random").iterdir():
        (tmp_path / original.name).write_bytes(original.read_bytes())
    broken = tmp_path / file
    broken.write_bytes(broken.read_bytes()[:100])
    result = run(["-m", tmp_path, "hello"], env)
    assert result.code == 3
    assert result.stdout == b""
    assert len(result.stderr.splitlines()) == 1

"""Standard streams that are closed, full or read by nobody, for every command."""

import subprocess

import pytest

from tests.cli.command import COMMAND, run

PRINTING = [
    ["--help"],
    ["--version"],
    ["models", "--help"],
    ["models", "list"],
    ["models", "info", "tiny"],
    ["models", "path", "tiny"],
    ["config", "show"],
    ["config", "path"],
    ["history", "list"],
    ["history", "path"],
    ["doctor", "--offline"],
    ["doctor", "--offline", "--json"],
    ["-m", "tiny", "-n", "2", "x"],
]


def shell(command: str, arguments: list[str], env: dict[str, str]) -> tuple[int, str]:
    """Run gptterm in a shell that does something with its streams: exit code and stderr."""
    done = subprocess.run(
        ["sh", "-c", command, "sh", *COMMAND, *arguments],
        env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_reader_that_left_is_exit_141_and_no_word(
    arguments: list[str], env: dict[str, str]
) -> None:
    assert shell('"$@" >&-', arguments, env) == (141, "")


@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_disk_that_is_full_is_one_line(arguments: list[str], env: dict[str, str]) -> None:
    code, stderr = shell('"$@" >/dev/full', arguments, env)
    assert code == 1
    assert stderr.endswith("No space left on device\n")
    assert stderr.startswith("gptterm: error: ")
    assert stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["history", "rm", "--purge", "last"], 2, "cannot ask for confirmation"),
        (["-m", "tiny"], 2, "stdin is empty"),
        (["--plain", "-m", "tiny"], 0, ""),
        (["-m", "tiny", "-n", "2", "x"], 0, ""),
    ],
)
def test_a_stdin_that_is_closed_is_an_empty_one(
    arguments: list[str], code: int, said: str, env: dict[str, str]
) -> None:
    assert run(["-m", "tiny", "-n", "2", "kept"], env).code == 0
    got, stderr = shell('"$@" <&-', arguments, env)
    assert got == code
    assert said in stderr
    assert "internal error" not in stderr


def test_all_three_closed(env: dict[str, str]) -> None:
    assert shell('"$@" <&- >&- 2>&-', ["-m", "tiny", "-n", "2", "x"], env) == (141, "")
    assert run(["-m", "tiny", "-n", "2", "x"], env).code == 0
    assert shell('"$@" <&- >&- 2>&-', ["history", "rm", "--purge", "last"], env)[0] == 2

"""Any arguments and any stdin: an exit code of the contract, one line of error, no traceback."""

import json
import random
from pathlib import Path

import click
import pytest

from gptterm.cli.options import main_command
from tests.cli.command import run
from tests.test_security import obeyed

CODES = frozenset(range(6))
VALUES = (
    "", " ", "-1", "0", "1", "2", "0.5", "1e308", "-1e308", "1e-320", "nan", "inf", "-inf", "abc",
    "\x1b[31m", "é人", "9" * 50, "0x10", "1_000", "--", "-", "a,b", "true", "auto", "/dev/null",
    "/", "a\nb", "focused", "llama", "\u202e", "~nobody/x", "tiny", "last", "١",
)  # fmt: skip
SUBCOMMANDS = (
    ["history", "list"], ["history", "show"], ["history", "search"], ["history", "export"],
    ["history", "rm"], ["history", "rm", "--purge"], ["history", "import"], ["history"],
    ["models", "list"], ["models", "info"], ["models", "path"], ["models", "rm"],
    ["models", "pull"], ["models", "convert"], ["config", "show"], ["config", "path"], ["config"],
    ["engine", "status"], ["engine", "stop"], ["doctor"], ["nosuch"],
    ["batch", "-m", "tiny", "-n", "1"], ["batch", "-m", "tiny", "-n", "1", "--lines"],
    ["tokenize", "-m", "tiny"], ["score", "-m", "tiny"], ["score", "-m", "tiny", "--table"],
    ["inspect", "-m", "tiny", "--view", "heads"], ["inspect", "-m", "tiny", "--view", "lens"],
)  # fmt: skip


def option_names() -> list[tuple[str, bool]]:
    """The options of the main command, and whether they take a value."""
    command = main_command(lambda *_: 0, {})
    found: list[tuple[str, bool]] = []
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name not in ("keep_alive", "help"):
            found += [(name, not parameter.is_flag) for name in parameter.opts]
    return found


def argument_lists(count: int, seed: int) -> list[list[str]]:
    dice = random.Random(seed)
    options = option_names()
    found: list[list[str]] = []
    while len(found) < count:
        if dice.random() < 0.35:
            words = [*dice.choice(SUBCOMMANDS)]
            for _ in range(dice.randrange(3)):
                name = dice.choice(["--json", "-n", "-f", "--undo", "-a", "-y", "--nosuch", "-q"])
                words.append(dice.choice([name, *dice.choices(VALUES, k=3)]))
        else:
            words = ["-m", dice.choice(["tiny"] * 8 + ["gpt2", "nosuch/model", *VALUES])]
            words += ["-n", "2"]
            for _ in range(dice.randrange(1, 5)):
                name, takes_value = dice.choice(options)
                words.append(name)
                if takes_value and dice.random() < 0.95:
                    words.append(dice.choice(VALUES))
            words += dice.choices(["x", *VALUES], k=dice.randrange(3))
        if not any("\0" in word for word in words):
            found.append(words)
    return found


def payloads(count: int, seed: int) -> list[bytes]:
    dice = random.Random(seed)
    fixed = [
        b"", b" \n\t ", b"\n", b"x", b"\xff", b"ok \xc3", b"\0", b"a\0b", b"\xef\xbb\xbfx",
        b"\xed\xa0\x80", "é人🎉\u202e\u0301".encode(), b"a\r\nb\r\n", b"\x1b[31m", b"[]", b"{}",
        b"[" * 5000, b'{"a":' * 2000, b"x" * 300_000, b"x \n" * 20_000, b"PK\x03\x04" + b"x" * 99,
        b'{"messages": [{"role": "user", "content": "hi"}]}', b"\x80" * 5000, b"<|im_end|>" * 40,
    ]  # fmt: skip
    while len(fixed) < count:
        pieces = dice.choices(fixed[:17], k=dice.randrange(1, 5))
        fixed.append(b"".join(pieces) + dice.randbytes(dice.choice([0, 0, 9])))
    return fixed[:count]


@pytest.fixture
def own(env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment whose warm engines and editor are the test's."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    return {**env, "XDG_RUNTIME_DIR": str(runtime), "VISUAL": "true"}


def check(env: dict[str, str], cases: list[tuple[list[str], bytes]]) -> dict[int, int]:
    """Run the cases; return how often each exit code came."""
    codes: dict[int, int] = {}
    for case in cases:
        code, _, err = run(case[0], env, case[1])
        codes[code] = codes.get(code, 0) + 1
        assert code in CODES, (case, code, err)
        assert "Traceback" not in err, (case, err)
        assert "internal error" not in err, (case, err)
        assert not obeyed(err), (case, err)
        errors = [line for line in err.splitlines() if "error:" in line]
        assert len(errors) <= 1 or case[0][0] == "history", (case, err)
        assert not code or errors or "doctor" in case[0], (case, err)
    return codes


def cases(lists: int, inputs: int, seed: int) -> list[tuple[list[str], bytes]]:
    found = [(words, b"") for words in argument_lists(lists, seed)]
    for number, data in enumerate(payloads(inputs, seed)):
        ways = (["-m", "tiny", "-n", "2", "-t", "0"], ["history", "import"])
        found.append((list(ways[number % 5 == 4]), data))
    return found


def test_some_arguments_and_stdin(own: dict[str, str]) -> None:
    codes = check(own, cases(26, 23, 1))
    assert codes.keys() >= {0, 2}


@pytest.mark.slow
def test_480_argument_lists_and_310_payloads(
    own: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    codes = check(own, cases(480, 310, 2))
    with capsys.disabled():
        print(f"\nexit codes: {json.dumps(codes, sort_keys=True)}")  # noqa: T201

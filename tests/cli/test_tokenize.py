"""`gptterm tokenize`: ids and pieces, bytes exact."""

import json
from pathlib import Path

import pytest

from gptterm.engine.text.tokenizer_files import load_tokenizer
from gptterm.models import bundled
from tests.cli.command import run, spawn

TEXT = "The little fox\tfound 人工智能 🎉\n\nand <|endoftext|>."


def pieces_of(stdout: bytes) -> list[bytes]:
    tokens = json.loads(stdout)["tokens"]
    return [bytes(t["bytes"]) if "bytes" in t else t["text"].encode() for t in tokens]


def test_the_pieces_are_the_bytes_of_the_text(env: dict[str, str]) -> None:
    done = run(["tokenize", "-m", "tiny", "--json"], env, TEXT.encode())
    assert (done.code, done.stderr) == (0, "")
    assert b"".join(pieces_of(done.stdout)) == TEXT.encode()
    ids = [token["id"] for token in json.loads(done.stdout)["tokens"]]
    assert ids == load_tokenizer(Path(bundled().directory)).encode(TEXT)


def test_a_pipe_gets_columns(env: dict[str, str]) -> None:
    done = run(["tokenize", "-m", "tiny", "The fox\n人"], env)
    header, *rows = [line.split("\t") for line in done.text.splitlines()]
    assert header == ["position", "id", "piece", "bytes"]
    assert [row[2] for row in rows] == ["The", " fox", "\\n", "\\xE4", "\\xBA", "\\xBA"]
    assert b"".join(bytes.fromhex(row[3]) for row in rows) == "The fox\n人".encode()


def test_ids_alone(env: dict[str, str]) -> None:
    done = run(["tokenize", "-m", "tiny", "--ids"], env, b"The little fox\n")
    assert done.text.split() == ["292", "438", "1095"]


def test_a_terminal_gets_a_drawing(env: dict[str, str]) -> None:
    child = spawn(["tokenize", "-m", "tiny", "The little fox"], env)
    child.expect("tiny: tokens")
    child.expect("3 tokens, 14 bytes")
    child.close()


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "line"),
    [
        ([], b"", 2, "the text is empty"),
        ([], b"\n", 2, "the text is empty"),
        ([], b"ok \xc3", 2, "stdin is not valid UTF-8"),
        (["-m", "nosuch/model", "x"], b"", 3, "nosuch/model"),
        (["-m", "openai/gpt", "x"], b"", 2, "is on a server"),
        (["--nosuch"], b"", 2, "no such option"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], stdin: bytes, code: int, line: str, env: dict[str, str]
) -> None:
    chosen = [] if "-m" in arguments else ["-m", "tiny"]
    done = run(["tokenize", *chosen, *arguments], env, stdin)
    assert (done.code, done.stdout) == (code, b"")
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_dash_is_stdin(env: dict[str, str]) -> None:
    for command in ("tokenize", "inspect"):
        arguments = [command, "-m", "tiny", "--json"]
        plain = run([*arguments, "The fox"], env)
        assert run([*arguments, "-"], env, b"The fox\n").stdout == plain.stdout
    found = json.loads(run(["tokenize", "-m", "tiny", "--json", "-", "fox"], env).stdout)
    assert found["text"] == "- fox"


def test_white_space_is_text(env: dict[str, str]) -> None:
    done = run(["tokenize", "-m", "tiny", "--json"], env, b" \n\n")
    assert b"".join(pieces_of(done.stdout)) == b" \n"

"""`gptterm score`: numbers that agree with each other and with generation; bad input."""

import json
import math
import os
import signal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.cli.command import finish, run, spawn, start

TEXT = "Once upon a time there was a little fox. The fox found a lantern. 人工智能 🎉\n"


def scored(stdout: bytes) -> dict[str, Any]:
    """The one object, on one line."""
    assert stdout.count(b"\n") == 1
    found: dict[str, Any] = json.loads(stdout)
    return found


def test_the_totals_are_those_of_the_tokens(env: dict[str, str]) -> None:
    done = run(["score", "-m", "tiny", "--json", "--alternatives", "2"], env, TEXT.encode())
    assert (done.code, done.stderr) == (0, "")
    found = scored(done.stdout)
    logprobs = [token["logprob"] for token in found["tokens"]]
    assert found["scored"] == len(logprobs)
    assert found["logprob"] == pytest.approx(sum(logprobs))
    assert found["perplexity"] == pytest.approx(math.exp(-sum(logprobs) / len(logprobs)))
    size = len(TEXT.encode())
    assert found["bytes"] == size
    assert found["bits_per_byte"] == pytest.approx(-sum(logprobs) / math.log(2) / size)
    pieces = [bytes(t["bytes"]) if "bytes" in t else t["text"].encode() for t in found["tokens"]]
    assert b"".join(pieces) == TEXT.encode()
    for token in found["tokens"]:
        best, second = token["alternatives"]
        assert best["logprob"] >= second["logprob"]
        assert (token["rank"] == 1) == (token["id"] == best["id"])


def test_it_agrees_with_what_generation_reports(env: dict[str, str]) -> None:
    prompt = "Once upon a time there was"
    arguments = ["-m", "tiny", "--raw", "-t", "0", "-n", "6", "--json", "--logprobs", "0"]
    made = json.loads(run([*arguments, prompt], env).stdout)
    text = prompt + made["text"]
    found = scored(run(["score", "-m", "tiny", "--json", "--no-start"], env, text.encode()).stdout)
    expected = [token["logprob"] for token in made["logprobs"]]
    assert [t["logprob"] for t in found["tokens"][-6:]] == pytest.approx(expected, abs=1e-4)
    assert {token["rank"] for token in found["tokens"][-6:]} == {1}


def test_a_file_a_pipe_and_a_dash_are_one_text(env: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    outputs = {
        run(["score", "-m", "tiny", *arguments], env, stdin).stdout
        for arguments, stdin in (
            ([file], b""), ([], TEXT.encode()), (["-"], TEXT.encode()),
        )
    }  # fmt: skip
    assert len(outputs) == 1
    header, *lines = outputs.pop().decode().splitlines()
    assert header.split("\t") == ["position", "id", "piece", "logprob", "rank", "entropy_bits"]
    rows, totals = lines[: lines.index("")], lines[lines.index("") + 1 :]
    assert [row.split("\t")[0] for row in rows] == [str(i) for i in range(len(rows))]
    assert dict(line.split("\t") for line in totals)["scored"] == str(len(rows))


def test_without_a_start_token_the_first_one_has_no_score(env: dict[str, str]) -> None:
    found = scored(run(["score", "-m", "tiny", "--json", "--no-start"], env, b"The fox").stdout)
    assert [token["logprob"] is None for token in found["tokens"]] == [True, False]
    assert (found["scored"], found["start_ids"], found["bytes"]) == (1, [], len(" fox"))
    alone = scored(run(["score", "-m", "tiny", "--json", "--no-start"], env, b"The").stdout)
    assert (alone["scored"], alone["perplexity"], alone["bits_per_byte"]) == (0, None, None)
    totals = run(["score", "-m", "tiny", "--summary", "--no-start"], env, b"The")
    assert totals.text.splitlines()[0] == "perplexity\t"
    assert totals.text.splitlines()[-1] == "start_token\t"
    for form in ([], ["--summary"]):
        totals = run(["score", "-m", "tiny", *form], env, b"The")
        assert totals.text.splitlines()[-1] == "start_token\t<|endoftext|>"


def test_a_long_text_is_read_in_windows_and_says_so(env: dict[str, str]) -> None:
    text = b"The little fox ran to the river. " * 150
    found = scored(run(["score", "-m", "tiny", "--json", "--stride", "700"], env, text).stdout)
    assert (found["stride"], found["windows"]) == (700, 2)
    assert found["scored"] == len(found["tokens"]) > 1024


def test_pictures_are_drawn_into_files(env: dict[str, str], tmp_path: Path) -> None:
    svg, html = tmp_path / "a.svg", tmp_path / "a.html"
    arguments = ["score", "-m", "tiny", "--summary", "--svg", svg, "--html", html]
    done = run(arguments, env, b"The fox <b>&</b> \x1b[31m the owl")
    assert done.code == 0
    root = ElementTree.fromstring(svg.read_text())
    texts = "".join(e.text or "" for e in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "␛[31m" in texts
    assert "perplexity" in texts
    assert "&lt;" in html.read_text()
    assert "<b>" not in html.read_text()


@pytest.mark.parametrize("more", [[], ["--table"], ["--by", "rank"], ["--by", "entropy"]])
def test_a_terminal_gets_a_drawing(more: list[str], env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    child = spawn(["score", "-m", "tiny", tmp_path / "text.txt", *more], env)
    child.expect("perplexity .* bits per byte")
    child.expect("endoftext")
    child.close()


def test_a_cancelled_scoring_prints_what_it_has(
    models: Path, env: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text("Hello world, " * 2_000)
    process = start(["score", "-m", models / "slow", "--json", tmp_path / "text.txt"], env)
    assert process.stdout is not None
    head = os.read(process.stdout.fileno(), 2_000)  # the first tokens are there
    process.send_signal(signal.SIGINT)
    done = finish(process)
    assert done.code == 130
    found = scored(head + done.stdout)
    assert 0 < found["scored"] < 6_000
    assert found["perplexity"] > 0


def test_a_reader_that_goes_away_is_no_error(env: dict[str, str]) -> None:
    process = start(["score", "-m", "tiny"], env, stdin=-1)
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    done = finish(process, TEXT.encode())
    assert (done.code, done.stderr) == (141, "")


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "line"),
    [
        ([], b"", 2, "stdin is empty"),
        (["nosuch.txt"], b"", 2, "nosuch.txt: No such file"),
        (["."], b"", 2, "Is a directory"),
        (["/dev/zero"], b"", 2, "is larger than"),
        ([], b"ok \xff", 2, "not valid UTF-8 (byte 0xff at offset 3)"),
        (["--stride", "0"], b"x", 2, "--stride must be"),
        (["--alternatives", "-1"], b"x", 2, "--alternatives must be"),
        (["--svg", "nosuch/a.svg"], b"x", 2, "cannot be written"),
        (["--html", "."], b"x", 2, "cannot be written"),
        (["-m", "openai/gpt"], b"x", 2, "is on a server"),
        (["-m", "nosuch/model"], b"x", 3, "nosuch/model"),
        (["--compare", "openai/gpt"], b"x", 2, "is on a server"),
        (["--compare-dtype", "int3"], b"x", 2, "--compare-dtype must be"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], stdin: bytes, code: int, line: str, env: dict[str, str]
) -> None:
    chosen = [] if "-m" in arguments else ["-m", "tiny"]
    done = run(["score", *chosen, *arguments], env, stdin)
    assert (done.code, done.stdout) == (code, b"")
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_full_disk_is_one_line(env: dict[str, str]) -> None:
    done = run(["score", "-m", "tiny", "--summary", "--svg", "/dev/full"], env, b"The fox")
    assert done.code == 1
    assert "cannot write /dev/full: No space left on device" in done.stderr

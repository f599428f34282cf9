"""`--json`: one object a line, with everything a script needs."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import run

KEYS = [
    "model", "revision", "device", "dtype", "prompt", "text", "finish_reason", "stop", "sample",
    "seed", "sampling", "usage", "timings", "logprobs", "notices",
]  # fmt: skip


def _lines(stdout: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.decode().splitlines()]


def test_every_field(models: Path, env: dict[str, str]) -> None:
    arguments = [
        "-m", models / "random", "--json", "-N", "2", "-n", "4", "--seed", "7", "--logprobs", "3",
        "--top_k", "5", "--min-p", "0.01", "--repeat-penalty", "1.1", "a king",
    ]  # fmt: skip
    result = run(arguments, {**env, "GPTTERM_TEMPERATURE": "0.9"})
    assert result.code == 0
    assert result.stderr == ""
    first, second = _lines(result.stdout)
    assert list(first) == KEYS
    assert first["model"] == str(models / "random")
    assert (first["prompt"], first["finish_reason"], first["stop"]) == ("a king", "length", None)
    assert (first["sample"], second["sample"]) == (0, 1)
    assert (first["seed"], second["seed"]) == (7, 8)
    assert first["sampling"]["temperature"] == 0.9
    assert first["sampling"]["top_k"] == 5
    assert first["sampling"]["repetition_penalty"] == 1.1
    assert first["usage"]["completion_tokens"] == 4
    assert list(first["timings"]) == ["load_s", "first_token_s", "total_s", "tokens_per_s"]
    for token in first["logprobs"]:
        best = [other["logprob"] for other in token["alternatives"]]
        assert len(best) == 3
        assert best == sorted(best, reverse=True)
        assert token["logprob"] <= best[0] <= 0

    # The second sample's seed alone gives the second sample.
    alone = [*(a for a in arguments if a not in ("-N", "2")), "--seed", "8"]
    (line,) = _lines(run(alone, {**env, "GPTTERM_TEMPERATURE": "0.9"}).stdout)
    assert line["text"] == second["text"]


def test_part_of_a_character_has_its_bytes(models: Path, env: dict[str, str]) -> None:
    arguments = ["-m", models / "halves", "-t", "0", "--json", "--logprobs", "0", "-n", "3", "x"]
    (line,) = _lines(run(arguments, env).stdout)
    pieces = [token["bytes"] for token in line["logprobs"]]
    assert sorted(pieces) == [[0xC3], [0xE4], [0xBA]] or [0xE4] in pieces
    assert line["logprobs"][0]["alternatives"] == []


@pytest.mark.parametrize(
    "prompt",
    [
        "人工智能科学家",
        "👩‍🔬 e\u0301 שלום עולם مرحبا",
        "a\0b\x1b[31m\x9b\u202e\u2028",
        "<|endoftext|>",
    ],
)
def test_any_prompt_is_ordinary_text(prompt: str, models: Path, env: dict[str, str]) -> None:
    arguments = ["-m", models / "random", "--json", "-n", "1"]
    result = run(arguments, env, prompt.encode() + b"\r\n")
    assert result.code == 0, result.stderr
    (line,) = _lines(result.stdout)
    assert line["prompt"] == prompt
    if prompt == "<|endoftext|>":
        assert line["usage"]["prompt_tokens"] > 5  # characters, not the one special token
    # Nothing in it that a terminal obeys or that some tools take for the end of a line.
    assert result.stdout.decode().splitlines() == result.stdout.decode().split("\n")[:-1]
    assert not set(result.stdout.decode()) & {"\x1b", "\x9b", "\u202e", "\u2028"}


def test_a_failure_still_prints_its_line(models: Path, env: dict[str, str]) -> None:
    arguments = ["-m", models / "greeting", "--json", "--overflow", "error", "--seed", "3"]
    result = run(arguments, env, b"a king. " * 500)
    assert result.code == 5
    (line,) = _lines(result.stdout)
    assert line["finish_reason"] == "error"
    assert line["text"] == ""
    assert line["seed"] == 3
    assert line["error"]["kind"] == "prompt_too_long"
    assert result.stderr == f"gptterm: error: {line['error']['message']}\n"


def test_a_stop_text_and_the_chat_form_of_a_base_model(models: Path, env: dict[str, str]) -> None:
    arguments = ["-m", models / "greeting", "-t", "0", "--json", "--chat", "--stop", "智", "hi"]
    (line,) = _lines(run([*arguments, "-n", "60"], env).stdout)
    assert line["finish_reason"] == "stop"
    assert line["stop"] == "智"
    assert "智" not in line["text"]
    assert line["usage"]["prompt_tokens"] > 20  # the transcript's preamble and names


def test_log_probabilities_are_kept_with_the_reply(
    models: Path, env: dict[str, str], tmp_path: Path
) -> None:
    asked = ["-m", models / "greeting", "--json", "--logprobs", "2", "-n", "5", "-t", "0", "Hi"]
    told = json.loads(run(asked, env).stdout)["logprobs"]
    assert run(["history", "export", "last", tmp_path / "chat.json"], env).code == 0
    (kept,) = json.loads((tmp_path / "chat.json").read_text())["scores"].values()
    assert [(each["text"], each["logprob"]) for each in kept] == [
        (each["text"], each["logprob"]) for each in told
    ]
    assert [[o["text"] for o in each["alternatives"]] for each in kept] == [
        [o["text"] for o in each["alternatives"]] for each in told
    ]
    assert run(["history", "export", "last", tmp_path / "chat.html"], env).code == 0
    assert "surprisal" in (tmp_path / "chat.html").read_text()

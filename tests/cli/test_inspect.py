"""`gptterm inspect`: what comes next and the text's heat, from any position."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.command import run, spawn

TEXT = "Once upon a time there was a little"


def test_the_next_token_is_what_generation_draws_from(env: dict[str, str]) -> None:
    done = run(["inspect", "-m", "tiny", "--json", "-t", "0", TEXT], env)
    assert (done.code, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    best, *others = found["next"]["distribution"]["candidates"]
    assert best["used"] == 1
    assert {each["cut"] for each in others} == {"greedy"}
    arguments = ["-m", "tiny", "--raw", "-t", "0", "-n", "1", "--json", "--logprobs", "0", TEXT]
    assert json.loads(run(arguments, env).stdout)["logprobs"][0]["id"] == best["id"]


def test_every_position_can_be_looked_from(env: dict[str, str]) -> None:
    arguments = ["inspect", "-m", "tiny", "--json", "--view", "next", "--limit", "3", TEXT]
    scored = run(["score", "-m", "tiny", "--json", "--no-start"], env, TEXT.encode())
    scores = json.loads(scored.stdout)
    for position in (0, 3, -2):
        found = json.loads(run([*arguments, "--position", position], env).stdout)
        after = position % len(found["tokens"])
        assert found["next"]["position"] == after + 1
        assert len(found["next"]["distribution"]["candidates"]) == 3
        expected = scores["tokens"][after + 1]
        assert found["next"]["text"]["rank"] == expected["rank"]
        assert found["next"]["text"]["logprob"] == pytest.approx(expected["logprob"], abs=1e-4)


def test_the_samplers_are_those_of_the_options(env: dict[str, str]) -> None:
    arguments = ["inspect", "-m", "tiny", "--json", "--view", "next", TEXT]
    cut = json.loads(run([*arguments, "--top-k", "2", "--top-p", "1"], env).stdout)
    neutral = json.loads(run([*arguments, "--preset", "neutral"], env).stdout)
    assert cut["next"]["distribution"]["kept"] == 2
    assert cut["next"]["distribution"]["candidates"][2]["cut"] == "top-k"
    found = neutral["next"]["distribution"]
    assert found["kept"] == found["vocab_size"]
    assert found["entropy_bits"] == pytest.approx(found["used_entropy_bits"])


def test_a_pipe_gets_columns_and_a_chat_is_rendered(models: Path, env: dict[str, str]) -> None:
    done = run(["inspect", "-m", "tiny"], env, b"The fox\n")
    first, second = done.text.split("\n\n")
    assert first.splitlines()[1].split("\t") == ["rank", "id", "token", "raw", "used", "cut by"]
    assert [line.split("\t")[1] for line in second.splitlines()[2:]] == ["The", " fox"]
    chat = run(["inspect", "-m", models / "chat", "--chat", "--json", "Hi"], env)
    text = "".join(token["text"] for token in json.loads(chat.stdout)["tokens"])
    assert text == "[user] Hi\n[assistant]"


def test_one_token_is_a_text(env: dict[str, str]) -> None:
    found = json.loads(run(["inspect", "-m", "tiny", "--json", "The"], env).stdout)
    assert found["next"]["position"] == 1
    assert len(found["heat"]) == 1


def test_a_narrow_terminal_and_pictures(env: dict[str, str], tmp_path: Path) -> None:
    svg, html = tmp_path / "a.svg", tmp_path / "a.html"
    child = spawn(["inspect", "-m", "tiny", "--svg", svg, "--html", html, TEXT], env)
    child.expect("next token, after ·little")
    child.expect("surprisal of each token")
    child.wait()
    child.close()
    assert ElementTree.fromstring(svg.read_text()) is not None
    assert "kitten" in html.read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        ([], 2, "the text is empty"),
        (["--position", "1", "The"], 2, "--position must be from -1 to 0, not 1: the text has 1 t"),
        (["--position", "-2", "The"], 2, "--position must be from -1 to 0, not -2"),
        (["--position", "x", "The"], 2, "--position must be"),
        (["--view", "nosuch", "The"], 2, "--view"),
        (["--limit", "0", "The"], 2, "--limit must be"),
        (["--top-p", "2", "The"], 2, "--top-p must be"),
        (["-m", "openai/gpt", "The"], 2, "is on a server"),
        (["-m", "nosuch/model", "The"], 3, "nosuch/model"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], code: int, line: str, env: dict[str, str]
) -> None:
    chosen = [] if "-m" in arguments else ["-m", "tiny"]
    done = run(["inspect", *chosen, *arguments], env, b"")
    assert (done.code, done.stdout) == (code, b"")
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1

"""`gptterm inspect`: what comes next and the text's heat, from any position."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from gptterm.cli.inspect import VIEWS
from gptterm.engine.inspection.answers import HEAD_STATISTICS
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


def test_attention_is_of_the_token_and_adds_up(env: dict[str, str]) -> None:
    arguments = ["inspect", "-m", "tiny", "--json", "--position", "4"]
    views = ["--view", "attention", "--view", "heads", "--view", "map", "--head", "2.1"]
    done = run([*arguments, *views, TEXT], env)
    assert (done.code, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    weights = np.array(found["attention"]["weights"])
    assert weights.shape == (4, 4, 5)
    assert weights.sum(-1) == pytest.approx(1, abs=1e-4)
    row = np.array(found["map"]["weights"])
    assert row.shape == (5, 5)
    assert row[-1] == pytest.approx(weights[2, 1], abs=1e-5)
    assert np.triu(row, 1).max() == 0
    assert set(found["heads"]["statistics"]) == set(HEAD_STATISTICS)
    assert np.array(found["heads"]["statistics"]["max"]).shape == (4, 4)


def test_the_lens_ends_in_what_the_model_says(env: dict[str, str]) -> None:
    found = json.loads(run(["inspect", "-m", "tiny", "--json", "--window", "2", TEXT], env).stdout)
    columns = found["lens"]["columns"]
    assert [column["position"] for column in columns] == [6, 7]
    assert len(columns[0]["cells"]) == len(found["lens"]["rows"]) == 9
    last = columns[-1]["cells"][-1]
    assert (last["rank"], last["kl"]) == (1, pytest.approx(0, abs=1e-6))
    best = found["next"]["distribution"]["candidates"][0]
    assert last["best"][0]["id"] == best["id"]
    assert last["probability"] == pytest.approx(best["raw"], abs=1e-4)
    assert columns[0]["cells"][0]["next_rank"] is not None
    assert columns[1]["cells"][0]["next_rank"] is None


def test_the_first_token_can_be_left_out(env: dict[str, str]) -> None:
    arguments = ["inspect", "-m", "tiny", "--view", "map", "--head", "2.1", TEXT]
    done = run([*arguments, "--hide-first"], env)
    assert done.stderr.count("without the first token") == len(done.stderr.splitlines()) == 1
    assert run(arguments, env).stderr == run([*arguments, "--hide-first", "-q"], env).stderr == ""
    header, *rows = [line.split("\t") for line in done.text.splitlines()]
    assert len(header) == 9
    assert {row[1] for row in rows} == {"0"}
    for index, row in enumerate(rows[1:], 1):
        assert sum(map(float, filter(None, row[1:]))) == pytest.approx(1, abs=1e-4)
        assert row[index + 2 :] == [""] * (7 - index)


def test_a_pipe_gets_columns_and_a_chat_is_rendered(models: Path, env: dict[str, str]) -> None:
    views = ["--view", "next", "--view", "heat"]
    done = run(["inspect", "-m", "tiny", *views], env, b"The fox\n")
    first, second = done.text.split("\n\n")
    assert first.splitlines()[1].split("\t") == ["rank", "id", "token", "raw", "used", "cut by"]
    assert [line.split("\t")[1] for line in second.splitlines()[2:]] == ["The", " fox"]
    chat = run(["inspect", "-m", models / "chat", "--chat", "--json", "Hi"], env)
    text = "".join(token["text"] for token in json.loads(chat.stdout)["tokens"])
    assert text == "[user] Hi\n[assistant]"


def test_one_token_is_a_text(env: dict[str, str]) -> None:
    views = [word for name in VIEWS for word in ("--view", name)]
    done = run(["inspect", "-m", "tiny", "--json", *views, "--head", "0.0", "The"], env)
    found = json.loads(done.stdout)
    assert found["next"]["position"] == 1
    assert len(found["heat"]) == 1
    assert np.array(found["attention"]["weights"]).shape == (4, 4, 1)
    assert found["map"]["weights"] == [[1.0]]


def test_a_narrow_terminal_and_pictures(env: dict[str, str], tmp_path: Path) -> None:
    svg, html = tmp_path / "a.svg", tmp_path / "a.html"
    child = spawn(["inspect", "-m", "tiny", "--svg", svg, "--html", html, TEXT], env)
    child.expect("next token, after ·little")
    child.expect("attention of ·little at 7")
    child.expect("logit lens after ·little")
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
        (["--view", "map", "The"], 2, "add --head LAYER.HEAD"),
        (["--view", "attention", "--head", "9.0", "The"], 2, "the model has 4 layers of 4 heads"),
        (["--view", "map", "--head", "0.9", "The"], 2, "head"),
        (["--head", "x", "The"], 2, "--head must be a layer and a head"),
        (["--window", "0", "The"], 2, "--window must be"),
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


def test_a_choice_that_there_is_not_is_one_sentence(env: dict[str, str]) -> None:
    done = run(["inspect", "-m", "tiny", "--statistic", "foo", "x"], env)
    assert done.code == 2
    assert done.stderr.endswith("'induction'; see gptterm inspect --help\n")
    # No minus zero: the first token looks at itself alone.
    rows = run(["inspect", "-m", "tiny", "x"], env)
    assert rows.code == 0
    assert not re.search(r"-0(\.0+)?\b(?!\.)", rows.text)

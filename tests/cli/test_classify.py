"""`gptterm classify` through the real command and a real engine."""

import json
from pathlib import Path

import pytest

from tests.cli.command import run

LINES = b"The king sleeps.\n\n  \nThe moon is out.\r\n"


def test_every_line_gets_one_of_the_labels(models: Path, env: dict[str, str]) -> None:
    arguments = ["classify", "-m", models / "random", "--labels", "yes, no,maybe so"]
    done = run(arguments, env, LINES)
    assert done.code == 0, done.stderr
    rows = [line.split("\t") for line in done.text.splitlines()]
    assert [row[2] for row in rows] == ["The king sleeps.", "The moon is out."]
    for label, probability, _ in rows:
        assert label in ("yes", "no", "maybe so")
        assert 1 / 3 <= float(probability) <= 1
    objects = [
        json.loads(line) for line in run([*arguments, "--json"], env, LINES).text.splitlines()
    ]
    assert [each["line"] for each in objects] == [1, 4]
    for each, row in zip(objects, rows, strict=True):
        assert each["label"] == row[0] == max(each["probabilities"], key=each["probabilities"].get)
        assert sum(each["probabilities"].values()) == pytest.approx(1)
    calibrated = run([*arguments, "--json", "--calibrate"], env, LINES).text.splitlines()
    assert json.loads(calibrated[0])["probabilities"] != objects[0]["probabilities"]


def test_the_prompt_has_the_labels_and_the_examples(models: Path, env: dict[str, str]) -> None:
    arguments = ["classify", "-m", models / "random", "--labels", "a,b", "--show-prompt"]
    done = run([*arguments, "--example", "first => b"], env, b"second\n")
    assert done.text == (
        "Classify each text as a or b.\n\nText: first\nAnswer: b\n\nText: second\nAnswer:\n"
    )
    chat = run(["classify", "-m", models / "chat", *arguments[3:]], env, b"second\n")
    assert "Answer with the label only." in chat.text


def test_a_task_of_ones_own_brings_its_labels(models: Path, env: dict[str, str]) -> None:
    home = Path(env["GPTTERM_HOME"])
    (home / "config.toml").write_text(
        '[tasks.mood]\nprompt = "{input}\\nMood:"\nlabels = ["glad", "sad"]\n'
    )
    (home / "texts").write_bytes(LINES)
    done = run(["classify", "-m", models / "random", "--task", "mood", home / "texts"], env)
    assert done.code == 0, done.stderr
    assert {line.split("\t")[0] for line in done.text.splitlines()} <= {"glad", "sad"}


def test_a_line_longer_than_the_context_is_said(models: Path, env: dict[str, str]) -> None:
    arguments = ["classify", "-m", models / "random", "--labels", "a,b"]
    text = b"short\n" + b"king " * 300
    done = run(arguments, env, text)
    assert done.code == 0, done.stderr
    assert "line 2 is longer than the context" in done.stderr
    assert len(done.text.splitlines()) == 2
    done = run(arguments, {**env, "GPTTERM_OVERFLOW": "error"}, text)
    assert done.code == 5


@pytest.mark.parametrize(
    ("arguments", "stdin", "problem"),
    [
        ([], b"x", "--labels is missing"),
        (["--labels", "a"], b"x", "two or more different labels"),
        (["--labels", "a,,b"], b"x", "two or more different labels"),
        (["--labels", "a,a"], b"x", "two or more different labels"),
        (["--labels", "a,b", "--example", "x => c"], b"x", '"c" is not one of the labels'),
        (["--labels", "a,b", "--task", "answer"], b"x", "about one passage"),
        (["--labels", "a,b"], b" \n", "the input has no text"),
        (["--labels", "a,b"], b"\xff\n", "not valid UTF-8"),
        (["--labels", "a,b", "nosuch"], b"", "cannot read nosuch"),
        (["--labels", "a,b", "/dev/zero"], b"", "cannot read /dev/zero"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], stdin: bytes, problem: str, env: dict[str, str]
) -> None:
    done = run(["classify", "-m", "tiny", *arguments], env, stdin)
    assert done.code == 2
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == b""

"""`--task`, `--example` and `--show-prompt` through the real command."""

import json
from pathlib import Path

import pytest

from tests.cli.command import run
from tests.cli.conftest import GREETING


def test_the_prompt_is_shown_without_a_text(models: Path, env: dict[str, str]) -> None:
    arguments = ["-m", models / "random", "--task", "translate", "--show-prompt"]
    done = run([*arguments, "--example", "sea => Meer", "the dog"], env)
    assert done.code == 0, done.stderr
    assert done.text == "sea = Meer\nthe dog =\n"
    # A chat model's own wording.
    done = run([*arguments, "--chat", "the dog"], env)
    assert done.text.startswith("Translate the last line")
    # Without a task: what would be the prompt anyway.
    done = run(["-m", models / "random", "--show-prompt", "last"], env, b"first\n")
    assert done.text == "first\nlast\n"


def test_a_task_makes_the_prompt_and_sets_what_options_do_not(
    models: Path, env: dict[str, str]
) -> None:
    arguments = ["-m", models / "greeting", "--json", "-n", "9", "--task", "summarise"]
    done = run(arguments, env, b"A long text.\n")
    assert done.code == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["prompt"] == "A long text.\nTL;DR:"
    assert result["sampling"]["top_k"] == 2
    assert result["usage"]["completion_tokens"] == 9


def test_a_stop_text_of_a_task_ends_the_text_of_a_base_model_only(
    models: Path, env: dict[str, str]
) -> None:
    home = Path(env["GPTTERM_HOME"])
    (home / "config.toml").write_text(
        '[tasks.greet]\nprompt = "{input} says:"\nstop = [","]\ntemperature = 0\n'
    )
    arguments = ["-m", models / "greeting", "--json", "-n", "40", "--task", "greet", "he"]
    reasons = {
        form: json.loads(run([*arguments, form], env).stdout)["finish_reason"]
        for form in ("--raw", "--chat")
    }
    assert "," in GREETING
    assert reasons == {"--raw": "stop", "--chat": "length"}


def test_the_space_after_a_prompt_is_not_printed(models: Path, env: dict[str, str]) -> None:
    arguments = ["-m", models / "greeting", "-n", "60", "-t", "0", "--stop", "@"]
    texts = {
        task: run([*arguments, "--task", task, "he"], env).text
        for task in ("summarise", "continue")
    }
    assert not texts["summarise"].startswith(" ")
    assert texts["summarise"].strip()
    assert texts["continue"].strip()


def test_a_task_with_labels_is_for_classify(env: dict[str, str]) -> None:
    home = Path(env["GPTTERM_HOME"])
    (home / "config.toml").write_text(
        '[tasks.mood]\nprompt = "{input} is"\nlabels = ["good", "bad"]\n'
    )
    done = run(["-m", "tiny", "--task", "mood", "rain"], env)
    assert done.code == 2
    assert "answers by a label: gptterm classify --task mood" in done.stderr
    done = run(["classify", "-m", "tiny", "--task", "mood"], env, stdin=b"rain\n")
    assert done.text.split("\t")[0] in ("good", "bad")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--task", "nosuch", "x"], 'there is no task "nosuch"; there are answer'),
        (["--task", "sumarise", "x"], "did you mean summarise?"),
        (["--task", "answer", "Who?"], "needs a text on stdin and a question"),
        (["--task", "classify", "x"], "needs labels"),
        (["--task", "continue", "--example", "a => b", "x"], "takes no examples"),
        (["--example", "a => b", "x"], "add --task NAME"),
        (["--task", "translate", "--example", "a", "x"], "INPUT => OUTPUT"),
        (["--task", "translate", "--plain", "x"], "do not take --task"),
    ],
)
def test_what_does_not_fit_is_said_in_a_line(
    arguments: list[str], problem: str, env: dict[str, str]
) -> None:
    done = run(["-m", "tiny", *arguments], env)
    assert done.code == 2
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == b""

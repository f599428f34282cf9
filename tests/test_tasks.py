"""Tasks: the prompts they make, their place in config.toml and among the settings."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.config import load_settings
from gptterm.config.tasks import BUILT_IN_TASKS, Arrow, Example, Task, check_task
from gptterm.errors import UsageError


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a config.toml that is not there yet."""
    monkeypatch.setenv("GPTTERM_HOME", str(tmp_path))
    return tmp_path / "config.toml"


def test_the_prompts_of_the_papers() -> None:
    tasks = BUILT_IN_TASKS
    assert tasks["summarise"].render("A long text.") == "A long text.\nTL;DR:"
    pairs = [Example("sea", "mer"), Example("cat", "chat")]
    assert tasks["translate"].render("dog", examples=pairs) == "sea = mer\ncat = chat\ndog ="
    answer = tasks["answer"].render(
        "Who?", passage="A fox came.", examples=[Example("When?", "Today")]
    )
    assert answer == "A fox came.\n\nQ: When?\nA: Today\nQ: Who?\nA:"
    classify = tasks["classify"].render("Goal!", labels=["sport", "art", "war"])
    assert classify == "Classify each text as sport, art or war.\n\nText: Goal!\nAnswer:"
    assert tasks["continue"].render("Once") == "Once"


@pytest.mark.parametrize("name", BUILT_IN_TASKS)
def test_a_built_in_task_is_whole(name: str) -> None:
    task = BUILT_IN_TASKS[name]
    check_task(task)
    assert task.about
    assert "20" in task.source
    for chat in (True, False):
        prompt = task.render("INPUT", chat=chat, passage="PASSAGE", labels=["a", "b"])
        assert prompt.count("INPUT") == 1
        assert prompt.count("PASSAGE") == task.reads_passage
        assert not prompt.endswith(" ")  # a base model begins a word with its space
    # Its values are those that config.toml would take.
    settings = load_settings({}, {}).with_task(name, chat=False)
    assert {key: settings.value(key) for key in task.settings} == task.settings


@given(st.text(), st.text(), st.text())
def test_texts_stand_in_the_prompt_as_they_are(text: str, first: str, second: str) -> None:
    task = Task(prompt="<{examples}|{input}|{other}{}>", example="{input}>{output};")
    prompt = task.render(text, examples=[Example(first, second)])
    assert prompt == f"<{first}>{second};|{text}|{{other}}{{}}>"


def test_examples_are_parsed_at_the_last_arrow() -> None:
    assert Arrow().parse("a => b => c") == Example("a => b", "c")
    for wrong in ("a", "a =>", "=> b", ""):
        with pytest.raises(ValueError, match="INPUT => OUTPUT"):
            Arrow().parse(wrong)


def test_a_users_tasks_and_changes_of_built_in_ones(config: Path) -> None:
    config.write_text(
        '[tasks.tags]\nprompt = "{examples}{input}:"\nexample = "{input}: {output}\\n"\n'
        'examples = [["a", "b"]]\nstop = ["\\n"]\ntemperature = 0.1\n'
        '[tasks.translate]\nexamples = [["sea", "Meer"]]\ntop_k = 5\n'
    )
    settings = load_settings({"min_p": 0.5}, {})
    assert settings.task("tags").render("x") == "a: b\nx:"
    assert settings.task("translate").render("x") == "sea = Meer\nx ="
    assert settings.with_task("tags", chat=False).stop == ("\n",)
    assert settings.with_task("tags", chat=True).stop == ()
    translate = settings.with_task("translate", chat=False)
    assert (translate.sampling.top_k, translate.sampling.temperature) == (5, 0)
    assert translate.origins["top_k"] == "task translate"


def test_options_win_over_a_task_which_wins_over_the_file(config: Path) -> None:
    config.write_text("temperature = 0.9\nmax_tokens = 5\n")
    settings = load_settings({"top_k": 9}, {}).with_task("summarise", chat=False)
    assert settings.sampling.top_k == 9
    assert settings.max_tokens == 100
    preset = load_settings({"preset": "focused"}, {}).with_task("translate", chat=False)
    assert preset.sampling.temperature == 0.3


@pytest.mark.parametrize(
    ("toml", "line", "problem"),
    [
        ('[tasks.x]\nabout = "y"', 1, "[tasks.x] needs a prompt"),
        ('[tasks.x]\nprompt = "no field"', 1, "prompt has no {input}"),
        ('[tasks.x]\nprompt = "{input}"\nexamples = [["a", "b"]]', 1, "examples need {examples}"),
        ('[tasks.x]\nprompt = "{input}"\nexamples = [["a"]]', 3, "a list of pairs of texts"),
        ('[tasks.x]\nprompt = "{input}"\nexample = "{input}"', 1, "example has no {output}"),
        ('[tasks.x]\nprompt = "{input}"\nexmples = []', 3, "did you mean examples?"),
        ('[tasks.x]\nprompt = "{input}"\ntop_k = -1', 3, "top_k must be"),
        ('[tasks.x]\nprompt = ""', 2, "not empty"),
        ("tasks = 1", 1, "must be a table"),
    ],
)
def test_a_bad_task_names_its_line(toml: str, line: int, problem: str, config: Path) -> None:
    config.write_text(toml + "\n")
    with pytest.raises(UsageError) as caught:
        load_settings({}, {})
    assert f"config.toml:{line}: " in str(caught.value)
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)

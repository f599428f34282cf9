"""Names of models, and messages for bad ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.errors import ModelError
from gptterm.models import ALIASES
from gptterm.models.names import BundledModel, HubModel, alias_of, parse, suggestion


@pytest.mark.parametrize(
    ("alias", "repo_id"),
    [
        ("gpt2", "openai-community/gpt2"),
        ("gpt2-medium", "openai-community/gpt2-medium"),
        ("gpt2-large", "openai-community/gpt2-large"),
        ("gpt2-xl", "openai-community/gpt2-xl"),
        ("distilgpt2", "distilbert/distilgpt2"),
    ],
)
def test_aliases(alias: str, repo_id: str) -> None:
    assert ALIASES[alias] == repo_id
    assert parse(alias) == HubModel((repo_id, alias))
    assert parse(repo_id) == HubModel((repo_id, alias))
    assert alias_of(repo_id) == alias_of(alias) == alias


def test_hub_ids_and_their_addresses() -> None:
    assert parse("org/name-1.5_B") == HubModel(("org/name-1.5_B",))
    assert parse("https://huggingface.co/org/name/tree/main") == HubModel(("org/name",))
    assert parse("https://hf.co/org/name?x=1") == HubModel(("org/name",))
    assert parse("bert-base-uncased") == HubModel(("bert-base-uncased",))


def test_the_bundled_model() -> None:
    assert parse("tiny") == BundledModel()


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a b",
        "a--b",
        "a..b",
        "ä",
        "a/b\n",
        "\0",
        "a\0b",
        "x" * 97,
        "\x1b[31mred",
        "-n",
    ],
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ModelError) as failure:
        parse(name)
    assert str(failure.value).isprintable()


@given(st.text(max_size=300))
def test_any_text_is_a_target_or_one_printable_line(name: str) -> None:
    message = ""
    try:
        parse(name)
    except ModelError as failure:
        message = str(failure)
    assert message.isprintable()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("gpt-2", "gpt2"),
        ("GPT2", "gpt2"),
        ("openai/gpt2_xl", "gpt2-xl"),
        ("distill-gpt2", "distilgpt2"),
    ],
)
def test_near_misses(name: str, near: str) -> None:
    assert suggestion(name) == f" (did you mean {near}?)"


@pytest.mark.parametrize("name", ["org/completely-different", "gpt2", "openai-community/gpt2"])
def test_no_suggestion_where_nothing_is_near_or_the_name_is_known(name: str) -> None:
    assert suggestion(name) == ""


def test_a_name_that_is_too_long_for_a_file_is_none() -> None:
    with pytest.raises(ModelError, match="not the name of a model"):
        parse("x" * 300)

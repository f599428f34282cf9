"""Completions in the list over the prompt for a typed line."""

import pytest

from gptterm.config import Settings, load_settings
from gptterm.conversation.commands import COMMANDS, ChangeSetting, parse_line
from gptterm.tui.state.completions import Completion, Present, complete
from gptterm.tui.state.fuzzy import match


@pytest.fixture(scope="module")
def settings() -> Settings:
    """Ours, without what a user set."""
    return load_settings({"temperature": 0.3})


@pytest.fixture
def present(settings: Settings) -> Present:
    """A chat with gpt2."""
    models = [("tiny", "bundled"), ("gpt2", "548 MB"), ("org/gpt2-chat", "1 GB")]
    return Present(settings, "gpt2", "be brief", "moon", 42, models)


def names(line: str, present: Present) -> list[str]:
    """Rows of the list."""
    return [row.name for row in complete(line, present).rows]


def rows(line: str, present: Present) -> dict[str, Completion]:
    """Rows of the list, by their names."""
    return {row.name: row for row in complete(line, present).rows}


def test_stop_texts_are_offered_as_they_are_typed() -> None:
    texts = ("END", "\n", 'a "b"')
    present = Present(load_settings({"stop": list(texts)}))
    (offered,) = (row for row in complete("/stop ", present).rows if row.value == "in use")
    assert parse_line(offered.line) == ChangeSetting("stop", texts)


def test_every_command_is_listed_with_its_present_value(present: Present) -> None:
    listed = rows("/", present)
    assert list(listed) == [f"/{spec.name}" for spec in COMMANDS]
    assert listed["/temperature"].value == "0.3"
    assert listed["/min-p"].value == "off"
    assert listed["/model"].value == "gpt2"
    assert listed["/system"].value == "be brief"
    assert listed["/stop"].value == "off"
    assert listed["/seed"].value == "random"
    assert listed["/temperature"].line == "/temperature "
    assert not listed["/temperature"].is_whole
    assert listed["/edit"].is_whole


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("/re", "/repetition-penalty"),
        ("/rege", "/regenerate"),
        ("/TEMP", "/temperature"),
        ("/temp", "/temperature"),
        ("/q", "/quit"),
        ("/save", "/export"),
        ("/exprt", "/export"),
        ("/penalty", "/repetition-penalty"),
        ("/top_p", "/top-p"),
    ],
)
def test_the_nearest_command_is_first(present: Present, line: str, first: str) -> None:
    assert names(line, present)[0] == first


def test_what_is_no_command_completes_to_nothing(present: Present) -> None:
    for line in ("", "hello", "//", "//help", "/a\nb", "/zzz ", "/zzz", "/new "):
        assert not complete(line, present).rows


def test_values_are_valid_and_say_what_is_in_use(present: Present) -> None:
    for spec in COMMANDS:
        for row in complete(f"/{spec.name} ", present).rows:
            if row.is_whole:
                parse_line(row.line, presets=present.settings.presets)
    listed = rows("/temperature ", present)
    assert [name for name, row in listed.items() if row.value == "in use"] == ["0.3"]
    assert listed["0.3"].help == "preset focused"
    assert listed["0.8"].help == "built in"
    assert rows("/model ", present)["gpt2"].value == "loaded"
    assert names("/seed ", present) == ["random", "42"]
    assert names("/export ", present)[0] == "moon.md"


def test_enter_takes_what_cannot_be_meant_otherwise(present: Present) -> None:
    assert complete("/preset foc", present).preferred == ""
    assert complete("/temperature 0", present).preferred is None
    assert complete("/export m", present).preferred is None
    assert complete("/model ", present).preferred == "/model gpt2"
    assert complete("/model gp", present).preferred == ""
    # A Hub id, and what only occurs in a name.
    assert complete("/model org/gpt2", present).preferred is None
    assert complete("/model chat", present).preferred is None
    assert complete("/copy ", present).preferred is None


def test_the_preset_in_use(present: Present) -> None:
    settings = present.settings.with_values({"preset": "creative"}, "option")
    assert rows("/", Present(settings))["/preset"].value == "creative"
    assert complete("/preset ", Present(settings)).preferred == "/preset creative"


@pytest.mark.parametrize(
    ("query", "text", "rank", "positions"),
    [
        ("", "abc", 0, ()),
        ("ab", "Abc", 0, (0, 1)),
        ("cd", "ab cd", 1, (3, 4)),
        ("p", "top-p", 1, (4,)),
        ("bc", "abc", 2, (1, 2)),
        ("ac", "abc", 3, (0, 2)),
        ("x", "abc", 4, ()),
        ("ab x", "abc", 4, (0, 1)),
        ("İ", "aİb", 2, (1,)),
    ],
)
def test_matches(query: str, text: str, rank: int, positions: tuple[int, ...]) -> None:
    found = match(query, text, "and x")
    assert found == (rank, positions)
    assert match("zq", text, "and x") is None

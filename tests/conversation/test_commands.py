"""Commands at the prompt: what is meant, and what is said when nothing can be meant."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.config.definitions import SETTINGS
from gptterm.conversation.command_help import help_lines
from gptterm.conversation.commands import (
    COMMANDS,
    ChangeSetting,
    ContinueReply,
    CopyReply,
    EditMessage,
    ExportChat,
    NewChat,
    ParsedLine,
    Quit,
    Regenerate,
    SendMessage,
    SetSystem,
    ShowHelp,
    ShowStats,
    TogglePlain,
    UseModel,
    UsePreset,
    parse_line,
)
from gptterm.engine.api import SamplingParams
from gptterm.errors import UsageError


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("hello /help", SendMessage("hello /help")),
        ("", SendMessage("")),
        (" /help", SendMessage(" /help")),
        ("//etc/passwd\nsecond", SendMessage("/etc/passwd\nsecond")),
        ("//", SendMessage("/")),
        ("///", SendMessage("//")),
        ("/help", ShowHelp()),
        ("/help top_k", ShowHelp("top-k")),
        ("/help /temp", ShowHelp("temperature")),
        ("/HELP", ShowHelp()),
        ("/new ", NewChat()),
        ("/model  ~/my models/gpt2 ", UseModel("~/my models/gpt2")),
        ("/system be kind\nand brief", SetSystem("be kind\nand brief")),
        ('/system ""', SetSystem("")),
        ('/system "a\\nb"', SetSystem("a\nb")),
        ('/system "a" is a letter', SetSystem('"a" is a letter')),
        ("/temperature 0", ChangeSetting("temperature", 0.0)),
        ("/temp 1.5", ChangeSetting("temperature", 1.5)),
        ("/top-k 40", ChangeSetting("top_k", 40)),
        ("/top_k off", ChangeSetting("top_k", 0)),
        ("/top-p 1", ChangeSetting("top_p", 1.0)),
        ("/top-p OFF", ChangeSetting("top_p", 1.0)),
        ("/min-p 0.05", ChangeSetting("min_p", 0.05)),
        ("/typical-p off", ChangeSetting("typical_p", 1.0)),
        ("/repetition-penalty off", ChangeSetting("repetition_penalty", 1.0)),
        ("/repeat-penalty 1.2", ChangeSetting("repetition_penalty", 1.2)),
        ("/presence-penalty -1", ChangeSetting("presence_penalty", -1.0)),
        ("/frequency-penalty 2e-1", ChangeSetting("frequency_penalty", 0.2)),
        ("/sampler-order LLAMA", ChangeSetting("sampler_order", "llama")),
        ("/max-tokens 1", ChangeSetting("max_tokens", 1)),
        ("/max_new_tokens 5", ChangeSetting("max_tokens", 5)),
        ("/seed 7", ChangeSetting("seed", 7)),
        ("/seed Random", ChangeSetting("seed", None)),
        ("/stop ###", ChangeSetting("stop", ("###",))),
        ('/stop "\\n" "User: "', ChangeSetting("stop", ("\n", "User: "))),
        ('/stop "unfinished', ChangeSetting("stop", ('"unfinished',))),
        ("/stop off", ChangeSetting("stop", ())),
        ('/stop "off"', ChangeSetting("stop", ("off",))),
        ("/preset Neutral", UsePreset("neutral")),
        ("/regenerate", Regenerate()),
        ("/again", Regenerate()),
        ("/continue", ContinueReply()),
        ("/edit", EditMessage()),
        ("/edit another\nversion", EditMessage("another\nversion")),
        ("/export my chat.md", ExportChat(Path("my chat.md"))),
        ('/export " a.json"', ExportChat(Path(" a.json"))),
        ("/save --overwrite a.TXT", ExportChat(Path("a.TXT"), overwrite=True)),
        ("/export --overwritten.md", ExportChat(Path("--overwritten.md"))),
        ("/copy", CopyReply()),
        ("/copy code", CopyReply(code=True)),
        ("/stats", ShowStats()),
        ("/plain", TogglePlain()),
        ("/quit", Quit()),
        ("/q", Quit()),
    ],
)
def test_what_is_meant(line: str, meant: ParsedLine) -> None:
    assert parse_line(line) == meant


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("/", "type a command after the slash"),
        ("/ help", "type a command after the slash"),
        ("/tempp 1", "did you mean /temp?"),
        ("/tem 1", "did you mean /temperature?"),
        ("/reg", "did you mean /regenerate?"),
        ("/zzz", "/help lists them"),
        ("/usr/bin/python", "type //"),
        ("/help zzz", "there is no command /zzz"),
        ("/new chat", "/new takes no argument, not chat"),
        ("/quit now", "/quit takes no argument"),
        ("/model", "/model needs the name of a model"),
        ("/system", "/system needs a text"),
        ('/system "a" "b"', "/system takes one text, not 2"),
        ("/temperature", "/temperature needs a number, 0 or more"),
        ("/temp hot", '/temperature must be a number, 0 or more, not "hot"'),
        ("/temp -1", "/temperature must be a number, 0 or more, not -1"),
        ("/temp nan", "/temperature must be a number, 0 or more"),
        ("/temp inf", "/temperature must be a number, 0 or more"),
        ("/temp off", "/temperature must be a number"),
        ("/temp 1 2", "/temperature must be a number"),
        ("/top-k 1.5", "/top-k must be a whole number, 0 or more"),
        ("/top-k -1", "/top-k must be a whole number, 0 or more"),
        ("/top-p 0", "/top-p must be a number above 0, up to 1"),
        ("/top-p 1.01", "/top-p must be a number above 0, up to 1"),
        ("/min-p", "/min-p needs a number from 0 to 1"),
        ("/repetition-penalty 0", "/repetition-penalty must be a number above 0"),
        ("/sampler-order mine", "transformers or llama"),
        ("/max-tokens 0", "/max-tokens must be a whole number, 1 or more, not 0"),
        ("/max-tokens off", "/max-tokens must be a whole number"),
        ("/seed -1", "/seed must be a whole number from 0 to"),
        (f"/seed {2**63}", "/seed must be a whole number from 0 to"),
        ("/stop", "/stop needs a text"),
        ("/stop \n", "/stop needs a text"),
        ('/stop ""', "/stop must not be an empty text"),
        ('/stop "a" ""', "/stop must not be an empty text"),
        ("/preset", "/preset needs the name of a preset: base, creative"),
        ("/preset focussed", "did you mean focused?"),
        ("/preset zzz", "there are base, creative, focused, neutral"),
        ("/export", "/export needs the name of a file"),
        ("/export --overwrite", "/export needs the name of a file"),
        ("/export chat.pdf", "must end in .md"),
        ("/export chat", "must end in .md"),
        ("/export ~nobody-of-that-name/a.md", "/export"),
        ("/copy everything", "/copy takes code or no argument"),
        ("/\x1b[31m\u202e", "there is no command /␛[31m‹202E›"),
        (f"/{'x' * 10_000}", "there is no command /xxxx"),
    ],
)
def test_what_cannot_be_meant(line: str, says: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_line(line)
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 250


def test_the_users_presets_count() -> None:
    assert parse_line("/preset Mine", presets=["Mine"]) == UsePreset("Mine")
    with pytest.raises(UsageError, match="there are Mine"):
        parse_line("/preset neutral", presets=["Mine"])


@given(st.text())
def test_any_line_means_something_or_is_refused_in_a_line(line: str) -> None:
    refusal = ""
    try:
        parse_line(line)
    except UsageError as error:
        refusal = str(error)
    assert len(refusal.splitlines()) <= 1
    assert line.startswith("/") or not refusal


@given(st.text())
def test_every_message_can_be_said(text: str) -> None:
    assert parse_line(f"/{text}" if text.startswith("/") else text) == SendMessage(text)


@given(st.sampled_from(COMMANDS), st.text(max_size=10))
def test_a_value_that_is_taken_is_one_that_the_engine_takes(spec: object, text: str) -> None:
    assert isinstance(spec, type(COMMANDS[0]))
    try:
        meant = parse_line(f"/{spec.name} {text}")
    except UsageError:
        return
    if isinstance(meant, ChangeSetting) and meant.setting in SamplingParams.__struct_fields__:
        SamplingParams(**{meant.setting: meant.value})  # type: ignore[arg-type]


def test_every_sampling_setting_has_a_command() -> None:
    commanded = {spec.setting for spec in COMMANDS}
    assert {name for name, setting in SETTINGS.items() if setting.sampling} <= commanded


def test_names_are_unique_and_help_knows_all() -> None:
    names = [name for spec in COMMANDS for name in (spec.name, *spec.aliases)]
    assert len(names) == len(set(names))
    for spec in COMMANDS:
        assert any(line.startswith(spec.usage) for line in help_lines())
        assert help_lines(spec.name)[0].startswith(spec.usage)
    assert help_lines("temp")[0] == "/temperature X (also /temp)"

"""Slash commands: one table and one parser for the TUI and `--plain`.

A line is a message, or a command such as `/temperature 0.7`. `//` at its start sends one slash.
The parser returns the parsed command, or raises an error with what is allowed; it has no effects.
Values of settings are parsed by their definitions, as for options and config.toml.
"""

import difflib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gptterm.config.definitions import BUILT_IN_PRESETS, SETTINGS
from gptterm.config.file import unknown_preset
from gptterm.conversation.export import format_of
from gptterm.engine.samplers import SAMPLERS
from gptterm.errors import UsageError
from gptterm.format import shorten
from gptterm.terminal import one_line

# --------------------------------------------------------------------------- parsed lines


@dataclass(frozen=True)
class SendMessage:
    """A message for the model."""

    text: str


@dataclass(frozen=True)
class ShowHelp:
    """Show all commands, or one."""

    topic: str | None = None


@dataclass(frozen=True)
class NewChat:
    """Start a chat."""


@dataclass(frozen=True)
class UseModel:
    """Switch to another model."""

    name: str


@dataclass(frozen=True)
class SetSystem:
    """Set the system text of the chat; empty removes it."""

    text: str


@dataclass(frozen=True)
class ChangeSetting:
    """Set a setting, by the name of its definition, to a valid value."""

    setting: str
    value: object


@dataclass(frozen=True)
class UsePreset:
    """Apply a preset's sampler values."""

    name: str


@dataclass(frozen=True)
class Regenerate:
    """Generate a sibling of the last reply."""


@dataclass(frozen=True)
class ContinueReply:
    """Continue the last reply where it stopped."""


@dataclass(frozen=True)
class EditMessage:
    """Replace the last message by another version; None opens it for editing."""

    text: str | None = None


@dataclass(frozen=True)
class ExportChat:
    """Write the chat to a file, in the format of its suffix."""

    path: Path
    overwrite: bool = False


@dataclass(frozen=True)
class CopyReply:
    """Copy the last reply, or only its last code block."""

    code: bool = False


@dataclass(frozen=True)
class ShowSettings:
    """Show the settings of config.toml, to be changed."""


@dataclass(frozen=True)
class ShowStats:
    """Show counts and rates."""


@dataclass(frozen=True)
class TogglePlain:
    """Go on in the plain chat, line by line."""


@dataclass(frozen=True)
class Quit:
    """Quit the program."""


Command = (
    ShowHelp | NewChat | UseModel | SetSystem | ChangeSetting | UsePreset | Regenerate
    | ContinueReply | EditMessage | ExportChat | CopyReply
    | ShowSettings | ShowStats | TogglePlain | Quit
)  # fmt: skip
ParsedLine = SendMessage | Command

# --------------------------------------------------------------------------------- the table


class CommandSpec(NamedTuple):
    """One row of the table, as `/help` and the completion show it."""

    name: str
    argument: str
    """As shown in the help: `[...]` if optional; empty for none."""
    help: str
    aliases: tuple[str, ...] = ()
    setting: str | None = None
    """The setting it sets."""

    @property
    def usage(self) -> str:
        """`/top-k N`."""
        return f"/{self.name} {self.argument}".rstrip()


_SETTING_ALIASES = {
    **{sampler.name: sampler.aliases for sampler in SAMPLERS.values()},
    "max_tokens": ("max-new-tokens", "predict"),
}
_SET_BY_COMMAND = (*SAMPLERS, "sampler_order", "max_tokens", "seed")


def _setting(name: str) -> CommandSpec:
    setting = SETTINGS[name]
    return CommandSpec(
        name.replace("_", "-"),
        setting.type.metavar,
        setting.help,
        _SETTING_ALIASES.get(name, ()),
        name,
    )


COMMANDS: tuple[CommandSpec, ...] = (
    CommandSpec("help", "[COMMAND]", "list the commands, or explain one"),
    CommandSpec("new", "", "start a new chat"),
    CommandSpec("model", "NAME", "switch to another model: a Hub id, an alias, a directory, tiny"),
    CommandSpec("system", "TEXT", 'the system text of this chat; "" for none'),
    *map(_setting, _SET_BY_COMMAND),
    CommandSpec(
        "stop", "TEXT", 'end a reply before TEXT; several as "a" "b\\n"; off for none',
        (), "stop",
    ),
    CommandSpec(
        "until", "TEXT", 'end a reply behind TEXT, /REGEX/, a sentence, paragraph or line; off',
        (), "until",
    ),
    CommandSpec("preset", "NAME", "a named set of sampler values"),
    CommandSpec("regenerate", "", "generate another version of the last reply", ("regen", "again")),
    CommandSpec("continue", "", "continue the last reply where it stopped"),
    CommandSpec("edit", "[TEXT]", "edit your last message; the old version stays"),
    CommandSpec(
        "export", "[--overwrite] FILE", "export the chat: .md, .html, .json (everything) or .txt",
        ("save",),
    ),
    CommandSpec("copy", "[code]", "copy the last reply, or its last code block"),
    CommandSpec("settings", "", "change what config.toml sets, and save it"),
    CommandSpec("stats", "", "show token counts and rates"),
    CommandSpec("plain", "", "go on in the plain line-by-line chat"),
    CommandSpec("quit", "", "quit gptterm", ("exit", "q")),
)  # fmt: skip

COMMANDS_BY_NAME: dict[str, CommandSpec] = {
    name: spec for spec in COMMANDS for name in (spec.name, *spec.aliases)
}
"""Including aliases."""
_WITHOUT_ARGUMENT: dict[str, Command] = {
    "new": NewChat(),
    "regenerate": Regenerate(),
    "continue": ContinueReply(),
    "settings": ShowSettings(),
    "stats": ShowStats(),
    "plain": TogglePlain(),
    "quit": Quit(),
}

# -------------------------------------------------------------------------------- the parser


def parse_line(line: str, *, presets: Collection[str] = tuple(BUILT_IN_PRESETS)) -> ParsedLine:
    """Parse a line typed at the prompt.

    Args:
        line: one message or command; both may span several lines.
        presets: names of the presets.

    Raises:
        UsageError: unknown command, missing or unexpected argument, or a value out of range. The
            message is one line with what is allowed.
    """
    if not line.startswith("/"):
        return SendMessage(line)
    if line.startswith("//"):
        return SendMessage(line[1:])
    head, _, argument = split_command(line)
    spec = find_command(head)
    argument = argument.strip()
    if not argument and spec.argument and not spec.argument.startswith("["):
        raise UsageError(f"/{spec.name} needs {_expected_argument(spec, presets)}")
    return _parse_command(spec, argument, presets)


def split_command(line: str) -> tuple[str, str, str]:
    """Split a line into the command's name, the white space after it, and the argument."""
    found = re.match(r"/(\S*)(\s*)(.*)", line, re.DOTALL)
    assert found is not None
    head, gap, argument = found.groups()
    return head, gap, argument


def canonical_name(typed: str) -> str:
    """Return a command's name as in the table: lower case, with dashes."""
    return typed.lower().replace("_", "-")


def find_command(name: str) -> CommandSpec:
    """Return the command of a name or alias, in any case and with `_` or `-`.

    Raises:
        UsageError: unknown command; the message suggests the nearest one.
    """
    wanted = canonical_name(name).removeprefix("/")
    if spec := COMMANDS_BY_NAME.get(wanted):
        return spec
    if not wanted:
        raise UsageError("type a command after the slash: /help lists them")
    begun = [known for known in COMMANDS_BY_NAME if known.startswith(wanted)]
    near = begun[:1] or difflib.get_close_matches(wanted, COMMANDS_BY_NAME, n=1, cutoff=0.6)
    hint = f"did you mean /{near[0]}?" if near else "/help lists them"
    raise UsageError(
        f"there is no command /{shorten(name, 40)}: {hint} (to send a message that "
        "starts with /, type //)"
    )


def _expected_argument(spec: CommandSpec, presets: Collection[str]) -> str:
    """Return the allowed range of a command's argument, in words."""
    match spec.name:
        case "model":
            return "the name of a model"
        case "system":
            return 'a text; "" removes the system text'
        case "stop":
            return "a text; off for none"
        case "until":
            return "a text, a /regular expression/, sentence, paragraph or line; off for none"
        case "preset":
            return f"the name of a preset: {', '.join(sorted(presets))}"
        case "export":
            return "the name of a file that ends in .md, .html, .json or .txt"
    assert spec.setting is not None
    return SETTINGS[spec.setting].type.expected


def _parse_command(spec: CommandSpec, argument: str, presets: Collection[str]) -> Command:
    if simple := _WITHOUT_ARGUMENT.get(spec.name):
        if argument:
            raise UsageError(f"/{spec.name} takes no argument, not {shorten(argument, 40)}")
        return simple
    match spec.name:
        case "help":
            return ShowHelp(find_command(argument).name if argument else None)
        case "model":
            return UseModel(argument)
        case "system":
            return SetSystem(_parse_text(spec, argument))
        case "stop" | "until":
            return ChangeSetting(spec.name, _parse_texts(spec, argument))
        case "preset":
            return UsePreset(_parse_preset(argument, presets))
        case "edit":
            return EditMessage(argument or None)
        case "export":
            return _parse_export(argument)
        case "copy":
            if argument not in ("", "code"):
                raise UsageError(f"/copy takes code or no argument, not {shorten(argument, 40)}")
            return CopyReply(code=argument == "code")
    assert spec.setting is not None
    return ChangeSetting(spec.setting, _parse_setting(spec, spec.setting, argument))


def _parse_setting(spec: CommandSpec, setting: str, argument: str) -> object:
    sampler = SAMPLERS.get(setting)
    if sampler is not None and argument.lower() == sampler.neutral_word:
        return sampler.neutral
    try:
        return SETTINGS[setting].type.parse(argument)
    except ValueError as error:
        raise UsageError(one_line(f"/{spec.name} {error}")) from None


def _parse_preset(argument: str, presets: Collection[str]) -> str:
    name = argument.lower() if argument not in presets else argument
    if name in presets:
        return name
    raise UsageError(one_line(unknown_preset(shorten(argument, 40), presets)))


def _parse_export(argument: str) -> ExportChat:
    flag, rest = re.match(r"(--overwrite(?:\s+|$))?(.*)", argument, re.DOTALL).groups()  # type: ignore[union-attr]
    if not rest:
        raise UsageError("/export needs the name of a file that ends in .md, .html, .json or .txt")
    name = quoted_strings(rest)
    path = Path(rest if name is None else name[0])
    format_of(path)
    try:
        return ExportChat(path.expanduser(), overwrite=bool(flag))
    except RuntimeError as error:
        raise UsageError(f"/export: {one_line(str(error))}") from None


def _parse_text(spec: CommandSpec, argument: str) -> str:
    quoted = quoted_strings(argument)
    if quoted is None:
        return argument
    if len(quoted) > 1:
        raise UsageError(f"/{spec.name} takes one text, not {len(quoted)}")
    return quoted[0]


def _parse_texts(spec: CommandSpec, argument: str) -> tuple[str, ...]:
    if argument.lower() == "off":
        return ()
    texts = quoted_strings(argument)
    try:
        checked = SETTINGS[spec.name].type.validate([argument] if texts is None else texts)
    except ValueError as error:
        raise UsageError(one_line(f"/{spec.name} {error}")) from None
    assert isinstance(checked, tuple)
    return checked


def quoted_strings(argument: str) -> list[str] | None:
    r"""Parse JSON strings such as `"a" "b\n"`; None for anything else."""
    texts: list[str] = []
    decoder = json.JSONDecoder()
    at = 0
    while at < len(argument):
        if argument[at] != '"':
            return None
        try:
            text, end = decoder.raw_decode(argument, at)
        except json.JSONDecodeError:
            return None
        texts.append(text)
        at = end + len(argument[end:]) - len(argument[end:].lstrip())
    return texts or None

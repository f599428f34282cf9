"""Completions of what is typed at the prompt: commands, then their values."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gptterm.config import Settings
from gptterm.config.definitions import SETTINGS
from gptterm.conversation.commands import (
    COMMANDS,
    COMMANDS_BY_NAME,
    CommandSpec,
    canonical_name,
    split_command,
)
from gptterm.engine.samplers import ORDERS, SAMPLERS
from gptterm.format import setting_value, shorten
from gptterm.tui.fields import quote
from gptterm.tui.state.fuzzy import Match, best
from gptterm.tui.state.presets import preset_details, preset_in_use

SHOWN_VALUE = 24
"""Characters of a present value."""
_EXPORTS = (
    (".md", "Markdown"),
    (".html", "one page"),
    (".json", "everything, with token ids"),
    (".txt", "text"),
)


class Completion(NamedTuple):
    """One row of the list over the prompt."""

    line: str
    """The prompt's text once it is taken."""
    name: str
    argument: str = ""
    help: str = ""
    value: str = ""
    """The present value, or a mark of what is in use."""
    is_whole: bool = True
    """It can be sent as it is."""
    matched: tuple[int, ...] = ()
    """Characters of the name that were typed."""


class Completions(NamedTuple):
    """The rows that fit a line."""

    rows: Sequence[Completion] = ()
    preferred: str | None = ""
    """Line of the row that Enter takes; empty: the first; None: none, what is typed is valid."""


@dataclass(frozen=True)
class Present:
    """The values that commands would change, as they are now."""

    settings: Settings
    model: str = ""
    """The loaded model."""
    system: str = ""
    file_name: str = "chat"
    """Of an export, without its suffix."""
    last_seed: int | None = None
    models: Sequence[tuple[str, str]] = ()
    """Models at hand, and what is known of each."""


def complete(line: str, present: Present) -> Completions:
    """Return what a line may become: commands by their names, then known values of one.

    Args:
        line: The typed text; only one that begins with one slash and has one line is a command.
        present: The present values.
    """
    if not line.startswith("/") or line.startswith("//") or "\n" in line:
        return Completions()
    head, gap, argument = split_command(line)
    if not gap:
        return Completions(_commands(head, present))
    spec = COMMANDS_BY_NAME.get(canonical_name(head))
    return Completions() if spec is None else _values(spec, argument, present)


def _commands(head: str, present: Present) -> list[Completion]:
    wanted = canonical_name(head)
    found = best(wanted, COMMANDS, lambda spec: (spec.name, " ".join(spec.aliases)))
    exact = COMMANDS_BY_NAME.get(wanted)
    if exact is not None:
        found.sort(key=lambda pair: pair[0] is not exact)
    return [
        Completion(
            f"/{spec.name}{' ' if spec.argument else ''}",
            f"/{spec.name}",
            spec.argument,
            spec.help,
            shorten(_value(spec, present), SHOWN_VALUE),
            not spec.argument or spec.argument.startswith("["),
            # After the slash.
            tuple(position + 1 for position in hit.positions),
        )
        for spec, hit in found
    ]


def _value(spec: CommandSpec, present: Present) -> str:
    """Return the present value of what a command sets; empty where it sets nothing."""
    if spec.setting is not None:
        return _shown(spec.setting, present.settings.value(spec.setting))
    match spec.name:
        case "model":
            return present.model
        case "system":
            return present.system
        case "preset":
            return preset_in_use(present.settings)
    return ""


def _shown(setting: str, value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(quote, value)) or "off"
    if value is None:
        return "random"
    sampler = SAMPLERS.get(setting)
    if sampler is not None and value == sampler.neutral and sampler.neutral_word:
        return sampler.neutral_word
    return setting_value(value)


def _values(spec: CommandSpec, argument: str, present: Present) -> Completions:
    """Return the known values of a command's argument.

    Free texts are never replaced by Enter; the names of a closed set are.
    """
    known = list(_known_values(spec, present))
    found = _fitting(spec, argument, known)
    rows = [
        Completion(
            f"/{spec.name} {value}", value, "", about, mark, value.strip() == value, hit.positions
        )
        for (value, about, mark), hit in found
    ]
    is_name = spec.name == "model" and bool(argument)
    is_begun = bool(found) and found[0][1].rank == 0 and "/" not in argument
    if spec.name not in _CLOSED or (is_name and not is_begun):
        return Completions(rows, None)
    in_use = next((row.line for row in rows if row.value), "")
    # An optional argument stays optional.
    first = None if spec.argument.startswith("[") and not argument else in_use
    return Completions(rows, "" if argument else first)


_TYPED = ("max-tokens", "seed", "stop", "until", "export", "system")
"""Commands whose values are typed as they are."""
_CLOSED = ("preset", "sampler-order", "help", "copy", "model")
"""Commands whose values are all known; a model may have a name that is not."""
_Value = tuple[str, str, str]
"""A value, what it means, and a mark if it is in use."""


def _fitting(
    spec: CommandSpec, argument: str, known: Sequence[_Value]
) -> list[tuple[_Value, Match]]:
    if spec.setting in SAMPLERS or spec.name in _TYPED:
        # Another number is no spelling of this one.
        return [(item, Match(0)) for item in known if item[0].startswith(argument)]
    return best(argument, known, lambda item: (item[0], item[1]))


def _known_values(spec: CommandSpec, present: Present) -> Iterator[_Value]:
    settings = present.settings
    match spec.name:
        case "help":
            yield from ((other.name, other.help, "") for other in COMMANDS)
        case "model":
            for name, about in present.models:
                yield name, about, "loaded" if name == present.model else ""
        case "preset":
            in_use = preset_in_use(settings)
            for name in settings.presets:
                details = preset_details(settings, name)
                yield name, details, "in use" if name == in_use else ""
        case "sampler-order":
            for name in ORDERS:
                yield name, "", "in use" if name == settings.sampling.order else ""
        case "seed":
            yield "random", "another one each time", "in use" if settings.seed is None else ""
            if present.last_seed is not None:
                yield str(present.last_seed), "the one of the last reply", ""
        case "system":
            if present.system:
                yield '""', "no system text", ""
        case "copy":
            yield "code", "the last code block of the reply", ""
        case "export":
            yield from ((f"{present.file_name}{suffix}", about, "") for suffix, about in _EXPORTS)
            yield "--overwrite ", "replace the file that follows", ""
        case _ if spec.setting is not None:
            yield from _setting_values(spec.setting, settings)


def _setting_values(setting: str, settings: Settings) -> Iterator[_Value]:
    """Yield the present value, the neutral, the built-in, and those of the presets."""
    present = settings.value(setting)
    meanings: dict[str, list[str]] = {}
    meanings.setdefault(_shown(setting, present), [])
    if (sampler := SAMPLERS.get(setting)) is not None:
        meanings.setdefault(_shown(setting, sampler.neutral), []).append("neutral")
    default = _shown(setting, SETTINGS[setting].default)
    meanings.setdefault(default, []).append("built in")
    for name, values in settings.presets.items():
        if setting in values and name != "neutral":
            meanings.setdefault(_shown(setting, values[setting]), []).append(f"preset {name}")
    for value, about in meanings.items():
        yield value, ", ".join(about), "in use" if value == _shown(setting, present) else ""

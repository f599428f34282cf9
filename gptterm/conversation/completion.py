"""Help, hints and completion of the commands at the prompt."""

import os.path
from collections.abc import Iterable
from typing import NamedTuple

from gptterm.config.definitions import SETTINGS
from gptterm.conversation.commands import (
    COMMANDS,
    COMMANDS_BY_NAME,
    CommandSpec,
    canonical_name,
    find_command,
    split_command,
)
from gptterm.terminal import one_line

HINTS = 6
"""Commands that are named while the beginning of one is typed."""


class Completion(NamedTuple):
    """One way to go on with a line."""

    line: str
    """The whole line with it."""
    help: str


def completions(
    line: str, *, presets: Iterable[str] = (), models: Iterable[str] = ()
) -> tuple[Completion, ...]:
    """How an unfinished command can go on: names after the slash, then the known arguments."""
    if not line.startswith("/") or line.startswith("//") or "\n" in line:
        return ()
    head, gap, argument = split_command(line)
    if not gap:
        return tuple(
            Completion(f"/{name}{' ' if spec.argument else ''}", f"{spec.usage}: {spec.help}")
            for name, spec in _matching_commands(head)
        )
    spec = COMMANDS_BY_NAME.get(canonical_name(head))
    if spec is None:
        return ()
    return tuple(
        Completion(f"/{head} {value}", about)
        for value, about in _known_arguments(spec, presets, models)
        if value.startswith(argument) and value != argument
    )


def complete(line: str, *, presets: Iterable[str] = ()) -> str | None:
    """The line, completed as far as it is certain how; None where it cannot go on."""
    found = [way.line for way in completions(line, presets=presets)]
    common = os.path.commonprefix(found)  # noqa: RUF071 - of strings, no paths
    return common if len(common) > len(line) else None


def hint(line: str) -> str:
    """Completions of the line typed so far: commands, or a command's argument."""
    head, gap, _ = split_command(line)
    if gap:
        spec = COMMANDS_BY_NAME.get(canonical_name(head))
        return "" if spec is None else f"{spec.usage}   {spec.help}"
    found = _matching_commands(head)
    if not found:
        return f"there is no command /{one_line(head)[:40]}; // sends a slash"
    if len(found) == 1:
        ((_, spec),) = found
        return f"{spec.usage}   {spec.help}"
    names = "  ".join(f"/{name}" for name, _ in found[:HINTS])
    more = "  …" if len(found) > HINTS else ""
    return f"{names}{more}{'  (tab)' if complete(line) else ''}"


def _matching_commands(head: str) -> list[tuple[str, CommandSpec]]:
    """The commands that begin so, each by its name or else by an alias that does."""
    wanted = canonical_name(head)
    if (exact := COMMANDS_BY_NAME.get(wanted)) is not None:
        return [(exact.name, exact)]
    begun = []
    for spec in COMMANDS:
        names = (name for name in (spec.name, *spec.aliases) if name.startswith(wanted))
        if (name := next(names, None)) is not None:
            begun.append((name, spec))
    return begun


def _known_arguments(
    spec: CommandSpec, presets: Iterable[str], models: Iterable[str]
) -> list[tuple[str, str]]:
    match spec.name:
        case "help":
            return [(other.name, other.help) for other in COMMANDS]
        case "model":
            return [(name, "") for name in models]
        case "preset":
            return [(name, "") for name in presets]
        case "sampler-order":
            return [(name, "") for name in SETTINGS["sampler_order"].type.metavar.split("|")]
        case "seed":
            return [("random", "a new one each time")]
        case "copy":
            return [("code", "its last block of code")]
        case "export":
            return [("--overwrite ", "an existing file")]
    return []


def command_help() -> list[tuple[str, str]]:
    """Every command and what it does."""
    return [(spec.usage, spec.help) for spec in COMMANDS]


def help_lines(topic: str | None = None) -> list[str]:
    """Text of `/help`: a line a command, or the help of one.

    Raises:
        UsageError: no such command.
    """
    if topic is not None:
        spec = find_command(topic)
        others = f" (also {', '.join(f'/{alias}' for alias in spec.aliases)})"
        return [f"{spec.usage}{others if spec.aliases else ''}", spec.help]
    width = max(len(usage) for usage, _ in command_help())
    lines = [f"{usage:<{width}}  {does}" for usage, does in command_help()]
    return [*lines, f"{'//TEXT':<{width}}  a message that starts with one slash"]

"""Help, hints and completion of slash commands."""

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
"""Commands listed in a hint."""


class Completion(NamedTuple):
    """One completion of a line."""

    line: str
    """The completed line."""
    help: str


def completions(
    line: str, *, presets: Iterable[str] = (), models: Iterable[str] = ()
) -> tuple[Completion, ...]:
    """Return the completions of a line: names after the slash, then known arguments."""
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
    """Return the line extended by the common prefix of its completions; None without one."""
    found = [way.line for way in completions(line, presets=presets)]
    common = os.path.commonprefix(found)  # noqa: RUF071 - of strings, no paths
    return common if len(common) > len(line) else None


def hint(line: str) -> str:
    """Return the hint for a partial command: matching commands, or the argument of one."""
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
    """Return the commands that start with `head`, each by its name or else a matching alias."""
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
            return [("code", "its last code block")]
        case "export":
            return [("--overwrite ", "replace an existing file")]
    return []


def command_help() -> list[tuple[str, str]]:
    """Return every command's usage and help."""
    return [(spec.usage, spec.help) for spec in COMMANDS]


def help_lines(topic: str | None = None) -> list[str]:
    """Return the output of `/help`: a line a command, or the details of one.

    Raises:
        UsageError: unknown command.
    """
    if topic is not None:
        spec = find_command(topic)
        others = f" (also {', '.join(f'/{alias}' for alias in spec.aliases)})"
        return [f"{spec.usage}{others if spec.aliases else ''}", spec.help]
    width = max(len(usage) for usage, _ in command_help())
    lines = [f"{usage:<{width}}  {does}" for usage, does in command_help()]
    return [*lines, f"{'//TEXT':<{width}}  send a message that starts with a slash"]

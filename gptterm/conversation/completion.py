"""What `/help` shows, and how a command that is being typed can go on."""

from collections.abc import Iterable
from typing import NamedTuple

from gptterm.config.table import SETTINGS
from gptterm.conversation.commands import BY_NAME, COMMANDS, CommandSpec, find, split


class Completion(NamedTuple):
    """One way to go on with a line."""

    line: str
    """The whole line with it."""
    help: str


def complete(
    line: str, *, presets: Iterable[str] = (), models: Iterable[str] = ()
) -> tuple[Completion, ...]:
    """How an unfinished command can go on: names after the slash, then the known arguments."""
    if not line.startswith("/") or line.startswith("//") or "\n" in line:
        return ()
    head, gap, argument = split(line)
    if not gap:
        wanted = head.lower().replace("_", "-")
        return tuple(
            Completion(f"/{spec.name}{' ' if spec.argument else ''}", f"{spec.usage}: {spec.help}")
            for spec in COMMANDS
            if any(name.startswith(wanted) for name in (spec.name, *spec.aliases))
        )
    spec = BY_NAME.get(head.lower().replace("_", "-"))
    if spec is None:
        return ()
    return tuple(
        Completion(f"/{head} {value}", about)
        for value, about in _arguments(spec, presets, models)
        if value.startswith(argument) and value != argument
    )


def _arguments(
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
            return [(name, "") for name in SETTINGS["sampler_order"].rule.metavar.split("|")]
        case "seed":
            return [("random", "a new one each time")]
        case "copy":
            return [("code", "its last block of code")]
        case "export":
            return [("--overwrite ", "an existing file")]
    return []


def help_lines(topic: str | None = None) -> list[str]:
    """What `/help` shows: a line a command, or what there is to say about one.

    Raises:
        UsageError: no such command.
    """
    if topic is not None:
        spec = find(topic)
        others = f" (also {', '.join(f'/{alias}' for alias in spec.aliases)})"
        return [f"{spec.usage}{others if spec.aliases else ''}", spec.help]
    width = max(len(spec.usage) for spec in COMMANDS)
    lines = [f"{spec.usage:<{width}}  {spec.help}" for spec in COMMANDS]
    return [*lines, f"{'//TEXT':<{width}}  a message that starts with one slash"]

"""Help of slash commands: all of them, one, and what one expects while it is typed."""

from gptterm.conversation.commands import (
    COMMANDS,
    COMMANDS_BY_NAME,
    canonical_name,
    find_command,
    split_command,
)


def hint(line: str) -> str:
    """Return what the command of a line expects, once a space follows its name; else nothing."""
    head, gap, _ = split_command(line)
    spec = COMMANDS_BY_NAME.get(canonical_name(head)) if gap else None
    return "" if spec is None else f"{spec.usage}   {spec.help}"


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

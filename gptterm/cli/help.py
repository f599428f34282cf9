"""`gptterm --help`: options by section, and notes for scripts."""

from typing import Any

import click

from gptterm.engine.samplers import ORDERS, SAMPLERS


def _order(name: str) -> str:
    return ", ".join(["penalties", *(SAMPLERS[step].label for step in ORDERS[name])])


EXAMPLES = [
    ("gptterm", "chat at the terminal"),
    ("gptterm Once upon a time", "continue a text; several words need no quotes"),
    ('echo "Once upon a time" | gptterm', "the same"),
    ("gptterm -m tiny -n 40 --seed 7 The king", "the bundled model: nothing to download"),
    ("gptterm -- models are fun", "-- marks a prompt that begins with a command's name"),
]

NOTES = [
    (
        "Input",
        "PROMPT, or stdin, or both: a chat gets stdin, a blank line and PROMPT; a continuation "
        "gets stdin, then PROMPT on a line of its own. One newline at the end of stdin alone is "
        "dropped (LF or CR LF); every other byte counts.",
    ),
    (
        "Samplers",
        f"Order: {_order('transformers')}. With --sampler-order llama: {_order('llama')}. "
        "Presets: neutral (all off), focused, creative, base, and [presets.NAME] of config.toml.",
    ),
    (
        "Settings",
        "Options override GPTTERM_* variables (GPTTERM_MODEL, GPTTERM_TOP_K, ...), these override "
        "config.toml, that overrides the model's generation_config.json. See `gptterm config "
        "show`. GPTTERM_HOME puts config.toml, history and cache in one folder.",
    ),
    (
        "Exit codes",
        "0 done, 1 failed while running, 2 wrong usage or prompt, 3 no such model, 4 out of "
        "memory, 5 prompt too long with --overflow error, 130 interrupted, 141 stdout closed "
        "by its reader. GPTTERM_DEBUG=1 shows tracebacks.",
    ),
]


class SectionedCommand(click.Command):
    """A command whose help groups the options by `section`."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list for each section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and record is not None:
                # Only click's own `--help` has no section.
                section = getattr(parameter, "section", "Other")
                sections.setdefault(section, []).append(record)
        for section, records in sections.items():
            with formatter.section(section):
                formatter.write_dl(records)


class MainCommand(SectionedCommand):
    """The command `gptterm`, with examples, subcommands and notes in its help."""

    def __init__(self, name: str, *, commands: dict[str, str], **attributes: Any) -> None:
        self._commands = commands
        super().__init__(name, **attributes)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write both usage lines."""
        formatter.write_usage("gptterm", "[OPTIONS] [PROMPT]...")
        formatter.write_usage("gptterm", "COMMAND [ARGS]...", prefix="       ")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the description and the examples."""
        formatter.write_paragraph()
        formatter.write_text(
            "Chat, write and look inside language models from the terminal. With a prompt it "
            "prints the model's text and exits; without one, at a terminal, it opens a chat."
        )
        with formatter.section("Examples"):
            formatter.write_dl(EXAMPLES)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the subcommands."""
        super().format_options(ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl(list(self._commands.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the notes."""
        for title, text in NOTES:
            with formatter.section(title):
                formatter.write_text(text)

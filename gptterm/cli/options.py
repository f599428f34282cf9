"""The options of `gptterm` itself, grouped as `--help` shows them, and the command they make."""

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from gptterm.cli.help import SectionedCommand
from gptterm.config.definitions import SETTINGS
from gptterm.config.value_types import Integer, Text, ValueType
from gptterm.engine.samplers import SAMPLERS
from gptterm.ranges import Range


class RunOptions(NamedTuple):
    """What only this run is told: everything that is no setting."""

    words: tuple[str, ...]
    samples: int
    echo: bool
    stream: bool
    json: bool
    logprobs: int | None
    use_stdin: bool
    interactive: bool
    plain: bool
    inline: bool
    mouse: bool
    continue_last: bool
    conversation: str | None
    quiet: bool
    verbose: bool


if TYPE_CHECKING:
    _ParamType = click.ParamType[object]
else:
    _ParamType = click.ParamType  # before click 8.5 it takes no parameter


class ValueParamType(_ParamType):
    """A click parameter type that parses by a `ValueType`."""

    def __init__(self, value_type: ValueType) -> None:
        self._value_type = value_type
        self.name = value_type.metavar

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        if not isinstance(value, str):
            return value
        try:
            return self._value_type.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class SectionedOption(click.Option):
    """An option that knows its section of the help."""

    def __init__(self, names: Sequence[str], section: str, **attributes: object) -> None:
        self.section = section
        super().__init__(names, **attributes)  # type: ignore[arg-type]


def _setting(section: str, name: str, *names: str, shown: str | None = None) -> SectionedOption:
    """An option that gives a setting its value; `shown` stands for the default in the help."""
    setting = SETTINGS[name]
    default = setting.default if shown is None else shown
    return SectionedOption(
        [*names, name],
        section,
        type=ValueParamType(setting.type),
        metavar=setting.type.metavar,
        multiple=name == "stop",
        help=f"{setting.help}  [{default}]",
    )


def _flag(section: str, *names: str, text: str, **attributes: object) -> SectionedOption:
    return SectionedOption(names, section, is_flag=True, help=text, **attributes)


SAMPLES = Integer(Range(1, 1024, integer=True))
LOGPROBS = Integer(Range(0, 1000, integer=True))

MODEL, SAMPLING, LENGTH, INPUT, HISTORY, OUTPUT, MACHINE, OTHER = (
    "Model", "Sampling", "Length and stopping", "Prompt", "History", "Output", "Machine", "Other",
)  # fmt: skip


def _options() -> list[click.Parameter]:
    """All options, in the order of the help."""
    return [
        _setting(MODEL, "model", "-m", "--model"),
        _setting(MODEL, "system", "-s", "--system", shown="none"),
        _flag(
            MODEL, "--raw/--chat", "raw", default=None,
            text="raw: the model continues the prompt; chat: it answers, by its chat template or "
            "a transcript  [chat if the model has a chat template]",
        ),
        *(_setting(SAMPLING, sampler.name, *sampler.options) for sampler in SAMPLERS.values()),
        _setting(SAMPLING, "sampler_order", "--sampler-order"),
        _setting(SAMPLING, "preset", "--preset", shown="none"),
        _setting(SAMPLING, "seed", "--seed", shown="random, reported by -v and --json"),
        _setting(LENGTH, "max_tokens", "-n", "--max-tokens", "--max-new-tokens", "--predict"),
        _setting(LENGTH, "stop", "--stop", shown="none"),
        SectionedOption(
            ["-N", "--samples", "samples"], LENGTH, type=ValueParamType(SAMPLES), default=1,
            metavar="N",
            help="N continuations of one prompt, 1 to 1024, decoded together  [1]",
        ),
        _setting(LENGTH, "overflow", "--overflow"),
        _flag(INPUT, "--no-stdin", "no_stdin", text="do not read stdin (for `while read` loops)"),
        _flag(INPUT, "-i", "--interactive", text="go on from the prompt at the terminal"),
        _flag(INPUT, "--plain", text="chat line by line, without drawing"),
        _flag(INPUT, "--inline", text="draw the chat under the shell's prompt, which stays"),
        _flag(INPUT, "--no-mouse", "no_mouse", text="leave the mouse to the terminal"),
        _flag(
            HISTORY, "-c", "--continue", "continue_last",
            text="go on with the chat that was written in last, with its model if none is named",
        ),
        SectionedOption(
            ["--conversation", "conversation"], HISTORY, metavar="ID",
            help="go on with this one: the beginning of an id of `gptterm history list`",
        ),
        _flag(
            HISTORY, "--save/--no-save", "save", default=None,
            text="whether prompt and text are kept in the history  [--save]",
        ),
        _flag(OUTPUT, "--echo", text="print the prompt before the text"),
        _flag(OUTPUT, "--no-stream", "no_stream", text="print nothing before the end"),
        _flag(OUTPUT, "--json", text="one JSON object a line, one line a result"),
        SectionedOption(
            ["--logprobs", "logprobs"], OUTPUT, type=ValueParamType(LOGPROBS), metavar="K",
            help="with --json: each token's log probability and the K best alternatives, 0 to "
            "1000  [off]",
        ),
        _flag(OUTPUT, "-q", "--quiet", text="no notices"),
        _flag(OUTPUT, "-v", "--verbose", text="statistics and the seed, on stderr"),
        _setting(MACHINE, "device", "--device"),
        _setting(MACHINE, "dtype", "--dtype"),
        _setting(MACHINE, "keep_alive", "--keep-alive"),
        _flag(MACHINE, "--offline", default=None, text=SETTINGS["offline"].help),
        SectionedOption(
            ["--version"], OTHER, is_flag=True, is_eager=True, expose_value=False,
            callback=_print_version, help="the version of gptterm",
        ),
        click.Argument(["words"], nargs=-1, type=ValueParamType(Text()), metavar="PROMPT"),
    ]  # fmt: skip


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from gptterm import __version__

        click.echo(f"gptterm {__version__}")
        ctx.exit()


def main_command(
    run: Callable[[dict[str, object], RunOptions], int], commands: dict[str, str]
) -> click.Command:
    """Make the command `gptterm [OPTIONS] [PROMPT]...`.

    Args:
        run: does the work, given the settings that options set and everything else.
        commands: names and one-line descriptions of the subcommands, for the help.
    """

    def callback(**values: object) -> int:
        settings, options = _split(values)
        return run(settings, options)

    return SectionedCommand(
        "gptterm",
        commands=commands,
        params=_options(),
        callback=callback,
        context_settings={
            "help_option_names": ["-h", "--help"],
            # --top_k, for those who come from GPT-2 scripts.
            "token_normalize_func": lambda name: name.replace("_", "-"),
            "max_content_width": 100,
        },
    )


def _split(values: dict[str, object]) -> tuple[dict[str, object], RunOptions]:
    """Part what the options set into settings and the rest."""
    raw = values.pop("raw")
    source = click.get_current_context().get_parameter_source
    settings = {}
    for name in SETTINGS:
        if name in values:
            value = values.pop(name)
            # Not by the value: `--seed random` is None, and wins over a seed of config.toml.
            if source(name) is click.core.ParameterSource.COMMANDLINE:
                settings[name] = value
    if raw is not None:
        settings["form"] = "raw" if raw else "chat"
    stops = settings.get("stop")
    if isinstance(stops, tuple):
        # `TextList` makes a list of one of each, as it does of a variable's text.
        settings["stop"] = tuple(itertools.chain.from_iterable(stops))
    values["stream"] = not values.pop("no_stream")
    values["mouse"] = not values.pop("no_mouse")
    values["use_stdin"] = not values.pop("no_stdin")
    return settings, RunOptions(**values)  # type: ignore[arg-type]

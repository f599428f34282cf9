"""The options of the main command, by section of its help, and the command itself."""

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from gptterm.cli.help import MainCommand
from gptterm.config.definitions import SETTINGS
from gptterm.config.tasks import BUILT_IN_TASKS, Arrow, Example
from gptterm.config.value_types import Integer, Text, TextList, ValueType
from gptterm.engine.samplers import SAMPLERS
from gptterm.ranges import Range

CONTEXT: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    # --top_k, as in GPT-2 scripts.
    "token_normalize_func": lambda name: name.replace("_", "-"),
    "max_content_width": 100,
}
"""click's settings of a command that takes these options."""


class RunOptions(NamedTuple):
    """Options of one run that are not settings."""

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
    task: str | None
    examples: tuple[Example, ...]
    show_prompt: bool
    api_key: str
    quiet: bool
    verbose: bool


F = TypeVar("F", bound=Callable[..., object])

if TYPE_CHECKING:
    _ParamType = click.ParamType[object]
else:
    _ParamType = click.ParamType  # not generic before click 8.5


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
    """An option with a section of the help."""

    def __init__(self, names: Sequence[str], section: str, **attributes: object) -> None:
        self.section = section
        super().__init__(names, **attributes)  # type: ignore[arg-type]


def _setting(section: str, name: str, *names: str, shown: str | None = None) -> SectionedOption:
    """Make the option of a setting; `shown` replaces its default in the help."""
    setting = SETTINGS[name]
    default = setting.default if shown is None else shown
    return SectionedOption(
        [*names, name],
        section,
        type=ValueParamType(setting.type),
        metavar=setting.type.metavar,
        multiple=isinstance(setting.type, TextList),
        help=f"{setting.help}  [{default}]",
    )


def flag_option(section: str, *names: str, text: str, **attributes: object) -> SectionedOption:
    """Make an option without a value."""
    return SectionedOption(names, section, is_flag=True, help=text, **attributes)


def setting_option(name: str, *names: str, target: str = "", text: str = "") -> Callable[[F], F]:
    """Decorate a subcommand with an option for a setting; None is the setting's own value.

    Args:
        target: the parameter, if not the setting's name; `text` its help.
    """
    setting = SETTINGS[name]
    value_type = setting.type
    return click.option(
        *names,
        target or name,
        type=ValueParamType(value_type),
        metavar=value_type.metavar,
        help=text or setting.help,
    )


def adapter_option(command: F) -> F:
    """Decorate a subcommand with `--adapter`; None is the setting's own value."""

    def parsed(
        _ctx: click.Context, _param: click.Parameter, given: tuple[tuple[str, ...], ...]
    ) -> tuple[str, ...] | None:
        return tuple(itertools.chain.from_iterable(given)) or None

    setting = SETTINGS["adapter"]
    return click.option(
        "--adapter", "adapter", type=ValueParamType(setting.type), metavar=setting.type.metavar,
        multiple=True, callback=parsed, help=setting.help,
    )(command)  # fmt: skip


def sampler_options(command: F) -> F:
    """Decorate a subcommand with the options of the samplers."""
    command = setting_option("preset", "--preset")(command)
    command = setting_option("sampler_order", "--sampler-order")(command)
    for sampler in reversed(SAMPLERS.values()):
        command = setting_option(sampler.name, *sampler.options)(command)
    return command


SAMPLES = Integer(Range(1, 1024, integer=True))
LOGPROBS = Integer(Range(0, 1000, integer=True))

MODEL, SAMPLING, LENGTH, INPUT, HISTORY, OUTPUT, MACHINE, OTHER = (
    "Model", "Sampling", "Length and stopping", "Prompt", "History", "Output", "Machine", "Other",
)  # fmt: skip


def model_options() -> list[click.Parameter]:
    """Return the options that choose the model and the form of its prompts."""
    return [
        _setting(MODEL, "model", "-m", "--model"),
        _setting(MODEL, "server", "--server", shown="none"),
        SectionedOption(
            ["--api-key", "api_key"], MODEL, metavar="KEY", default="",
            help="the server's key; other users can see it here, unlike in OPENAI_API_KEY or in "
            "key_env of [servers.NAME]  [OPENAI_API_KEY]",
        ),
        _setting(MODEL, "adapter", "--adapter", shown="none"),
        _setting(MODEL, "system", "-s", "--system", shown="none"),
        flag_option(
            MODEL, "--raw/--chat", "raw", default=None,
            text="raw: the model continues the prompt; chat: it answers, with its chat template "
            "or a transcript  [chat if the model has a chat template]",
        ),
    ]  # fmt: skip


def sampling_options() -> list[click.Parameter]:
    """Return the options of the samplers, the seed and the end of a text."""
    return [
        *(_setting(SAMPLING, each.name, *each.options) for each in SAMPLERS.values()),
        _setting(SAMPLING, "sampler_order", "--sampler-order"),
        _setting(SAMPLING, "preset", "--preset", shown="none"),
        _setting(SAMPLING, "seed", "--seed", shown="random, reported by -v and --json"),
        _setting(LENGTH, "max_tokens", "-n", "--max-tokens", "--max-new-tokens", "--predict"),
        _setting(LENGTH, "stop", "--stop", shown="none"),
        _setting(LENGTH, "until", "--until", shown="none"),
        _setting(LENGTH, "overflow", "--overflow"),
    ]


def engine_options() -> list[click.Parameter]:
    """Return the options of the machine that the model runs on."""
    return [
        _setting(MACHINE, "device", "--device"),
        _setting(MACHINE, "dtype", "--dtype"),
        _setting(MACHINE, "kv_dtype", "--kv-dtype"),
        _setting(MACHINE, "context", "--context", shown="what the model holds"),
        _setting(MACHINE, "keep_alive", "--keep-alive"),
        flag_option(MACHINE, "--offline", default=None, text=SETTINGS["offline"].help),
    ]


def logprobs_option(text: str) -> SectionedOption:
    """Make the option of the log probabilities."""
    return SectionedOption(
        ["--logprobs", "logprobs"], OUTPUT, type=ValueParamType(LOGPROBS), metavar="K", help=text
    )


def _options() -> list[click.Parameter]:
    """All options, in the order of the help."""
    return [
        *model_options(),
        *sampling_options(),
        SectionedOption(
            ["-N", "--samples", "samples"], LENGTH, type=ValueParamType(SAMPLES), default=1,
            metavar="N",
            help="N continuations of one prompt, 1 to 1024, decoded together  [1]",
        ),
        SectionedOption(
            ["--task", "task"], INPUT, metavar="NAME",
            help=f"make the prompt by a task: {', '.join(BUILT_IN_TASKS)}, or one of [tasks.NAME] "
            "in config.toml",
        ),
        SectionedOption(
            ["--example", "examples"], INPUT, type=ValueParamType(Arrow()), multiple=True,
            metavar="'IN => OUT'",
            help="an example for the task, instead of its own; repeatable",
        ),
        flag_option(INPUT, "--show-prompt", "show_prompt", text="print the prompt, and no text"),
        flag_option(
            INPUT, "--no-stdin", "no_stdin", text="do not read stdin (for `while read` loops)"
        ),
        flag_option(INPUT, "-i", "--interactive", text="continue at the terminal after the prompt"),
        flag_option(INPUT, "--plain", text="chat line by line, without drawing"),
        flag_option(
            INPUT, "--inline", text="draw the chat below the shell's prompt, not full-screen"
        ),
        flag_option(INPUT, "--no-mouse", "no_mouse", text="leave the mouse to the terminal"),
        flag_option(
            HISTORY, "-c", "--continue", "continue_last",
            text="continue the last chat, with its model if none is named",
        ),
        SectionedOption(
            ["--conversation", "conversation"], HISTORY, metavar="ID",
            help="continue this chat: the beginning of an id of `gptterm history list`",
        ),
        flag_option(
            HISTORY, "--save/--no-save", "save", default=None,
            text="whether to save prompt and text in the history  [--save]",
        ),
        flag_option(OUTPUT, "--echo", text="print the prompt before the text"),
        flag_option(OUTPUT, "--no-stream", "no_stream", text="print nothing before the end"),
        flag_option(OUTPUT, "--json", text="one JSON object a line, one line a result"),
        logprobs_option(
            "with --json: each token's log probability and the K best alternatives, 0 to 1000  "
            "[off]"
        ),
        flag_option(OUTPUT, "-q", "--quiet", text="no notices"),
        flag_option(OUTPUT, "-v", "--verbose", text="statistics and the seed, on stderr"),
        *engine_options(),
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
        run: runs it, given the settings that options set and the other options.
        commands: names and one-line descriptions of the subcommands, for the help.
    """

    def callback(**values: object) -> int:
        settings, options = _split(values)
        return run(settings, options)

    return MainCommand(
        "gptterm",
        commands=commands,
        params=_options(),
        callback=callback,
        context_settings=CONTEXT,
    )


def _split(values: dict[str, object]) -> tuple[dict[str, object], RunOptions]:
    """Split option values into settings and the rest."""
    settings = given_settings(values)
    values["stream"] = not values.pop("no_stream")
    values["mouse"] = not values.pop("no_mouse")
    values["use_stdin"] = not values.pop("no_stdin")
    return settings, RunOptions(**values)  # type: ignore[arg-type]


def given_settings(values: dict[str, object]) -> dict[str, object]:
    """Remove the settings from a command's values; return those that options have set."""
    raw = values.pop("raw")
    source = click.get_current_context().get_parameter_source
    settings = {}
    for name in SETTINGS:
        if name in values:
            value = values.pop(name)
            # By source, not value: `--seed random` is None and overrides config.toml.
            if source(name) is click.core.ParameterSource.COMMANDLINE:
                settings[name] = value
    if raw is not None:
        settings["form"] = "raw" if raw else "chat"
    for name, value in settings.items():
        # `TextList` parses each into a list, as it does a variable.
        if isinstance(SETTINGS[name].type, TextList) and isinstance(value, tuple):
            settings[name] = tuple(itertools.chain.from_iterable(value))
    return settings

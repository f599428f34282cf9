"""The command `gptterm batch`: its options and its help."""

import click

from gptterm.cli.batch.options import BatchOptions
from gptterm.cli.help import SectionedCommand
from gptterm.cli.options import (
    CONTEXT,
    INPUT,
    MACHINE,
    OUTPUT,
    SectionedOption,
    ValueParamType,
    engine_options,
    flag_option,
    given_settings,
    logprobs_option,
    model_options,
    sampling_options,
)
from gptterm.cli.signals import Signals
from gptterm.config.value_types import Integer
from gptterm.ranges import Range

_CONCURRENCY = Integer(Range(1, 1024, integer=True))

_HELP = """Run many prompts.

FILE, or stdin, has one JSON object a line: "prompt" or "messages", and perhaps an "id" and
settings of its own (temperature, max_tokens, seed, stop, form, ...). Lines of OpenAI's batch API
(custom_id, url, body) are taken, too. Each line gets one line of JSON, the object of --json with
the number of its line; with --seed N, line 1 has the seed N, line 2 the seed N + 1, and a line that
wants several choices seeds that no other line has. A line that fails gets an "error", and the exit
code at the end is 1.
"""


def _parameters() -> list[click.Parameter]:
    return [
        *model_options(),
        *sampling_options(),
        flag_option(INPUT, "--lines", "plain", text="every line is a prompt: plain text, not JSON"),
        SectionedOption(
            ["-o", "--output", "output"], OUTPUT, metavar="FILE",
            help="write here, with a FILE.manifest that says what of  [stdout]",
        ),
        flag_option(
            OUTPUT, "--resume", text="go on with --output: skip the lines that are done; refused "
            "if model, settings or input have changed",
        ),
        flag_option(
            OUTPUT, "--retry-errors", text="with --resume: run lines that failed again; their "
            "results come at the end",
        ),
        flag_option(OUTPUT, "--unordered", text="write each result when it is there"),
        logprobs_option(
            "each token's log probability and the K best alternatives, 0 to 1000  [off]"
        ),
        flag_option(OUTPUT, "-q", "--quiet", text="no notices, no progress"),
        flag_option(OUTPUT, "-v", "--verbose", text="counts and speed at the end, on stderr"),
        *engine_options(),
        SectionedOption(
            ["--concurrency", "concurrency"], MACHINE, type=ValueParamType(_CONCURRENCY),
            metavar="N",
            help="lines at work at once, 1 to 1024: decoded together here, or requests to a "
            "server  [64 here, 16 to a server or a warm engine]",
        ),
        click.Argument(["file"], required=False, metavar="[FILE]"),
    ]  # fmt: skip


@click.pass_obj
def _start(signals: Signals, /, **values: object) -> int:
    from gptterm.cli.batch.start import start

    settings = given_settings(values)
    return start(settings, BatchOptions(**values), signals)  # type: ignore[arg-type]


batch = SectionedCommand(
    "batch", help=_HELP, params=_parameters(), callback=_start, context_settings=CONTEXT
)

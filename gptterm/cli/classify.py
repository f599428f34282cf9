"""`gptterm classify`: one of a few labels for each line, by its probability."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import click

from gptterm.cli.console import json_line
from gptterm.cli.dispatch import require_directory
from gptterm.cli.help import SectionedCommand
from gptterm.cli.options import (
    CONTEXT,
    INPUT,
    OUTPUT,
    SectionedOption,
    ValueParamType,
    engine_options,
    flag_option,
    given_settings,
    model_options,
)
from gptterm.cli.prompt import decoded, read_stdin
from gptterm.cli.run import find_model, has_chat_template, load_model
from gptterm.cli.signals import EXIT_BASE, Signals
from gptterm.cli.streams import ReaderGoneError, Streams, configure_libraries
from gptterm.config import Settings, load_settings
from gptterm.config.tasks import Arrow, Example, Task
from gptterm.config.value_types import Text
from gptterm.conversation.label_scorer import (
    CONTENT_FREE,
    Asking,
    LabelScorer,
    LabelScores,
    Result,
)
from gptterm.engine.api import Failed
from gptterm.engine.inspection.answers import InspectionEvent, is_last
from gptterm.engine.inspection.requests import InspectableEngine, InspectionRequest
from gptterm.errors import PromptTooLongError, UsageError, error_of
from gptterm.format import escaped
from gptterm.regular_files import read_regular
from gptterm.terminal import one_line

_MOST_BYTES = 1 << 28

_HELP = """Give each line one of a few labels.

Each line of FILE, or of stdin, is a text. It is put into a prompt (--show-prompt), and the label
that the model gives the highest probability as its continuation is printed with that probability
and the line, separated by tabs. A model can say nothing else, however small it is: add --example
for what small ones do not understand, and --calibrate against their leanings.
"""


class ClassifyOptions(NamedTuple):
    """Options that are not settings."""

    file: str | None
    labels: str | None
    task: str
    examples: tuple[Example, ...]
    calibrate: bool
    show_prompt: bool
    as_json: bool
    api_key: str
    quiet: bool


def _parameters() -> list[click.Parameter]:
    return [
        *model_options(),
        SectionedOption(
            ["--labels", "labels"], INPUT, type=ValueParamType(Text()), metavar="A,B,...",
            help="the labels, two or more  [those of the task]",
        ),
        SectionedOption(
            ["--task", "task"], INPUT, metavar="NAME", default="classify",
            help="make the prompts by this task, perhaps one of [tasks.NAME]  [classify]",
        ),
        SectionedOption(
            ["--example", "examples"], INPUT, type=ValueParamType(Arrow()), multiple=True,
            metavar="'TEXT => LABEL'", help="an example for the prompt; repeatable",
        ),
        flag_option(
            INPUT, "--calibrate",
            text="divide by what the model says to texts without content (Zhao et al., 2021)",
        ),
        flag_option(INPUT, "--show-prompt", "show_prompt", text="print the prompts, and no labels"),
        flag_option(OUTPUT, "--json", "as_json", text="one JSON object a line, with all labels"),
        flag_option(OUTPUT, "-q", "--quiet", text="no notices"),
        *engine_options(),
        click.Argument(["file"], required=False, metavar="[FILE]"),
    ]  # fmt: skip


@click.pass_obj
def _start(signals: Signals, /, **values: object) -> int:
    settings = given_settings(values)
    options = ClassifyOptions(**values)  # type: ignore[arg-type]
    require_directory()
    streams = Streams(quiet=options.quiet)
    signals.stderr = streams.err
    configure_libraries()
    if streams.reader_gone():
        raise ReaderGoneError
    loaded = load_settings(settings, api_key=options.api_key)
    return _Classification(loaded, options, streams, signals).run()


classify = SectionedCommand(
    "classify", help=_HELP, params=_parameters(), callback=_start, context_settings=CONTEXT
)


class _Classification:
    """The steps of one run of the command."""

    def __init__(
        self, settings: Settings, options: ClassifyOptions, streams: Streams, signals: Signals
    ) -> None:
        self._settings = settings
        self._options = options
        self._streams = streams
        self._signals = signals
        self._task: Task = settings.task(options.task)
        self._labels = _labels(options.labels, self._task)
        for example in options.examples:
            if example.output not in self._labels:
                raise UsageError(
                    f'--example: "{one_line(example.output)}" is not one of the labels'
                )
        if options.show_prompt and options.as_json:
            raise UsageError("--show-prompt prints texts: leave --json out")
        if self._task.reads_passage:
            raise UsageError(f"the task {options.task} is about one passage, not about lines")

    def run(self) -> int:
        lines = list(_lines(self._options.file))
        source, self._settings = find_model(self._settings, self._streams, self._signals)
        for notice in (*self._settings.notices, *source.notices):
            self._streams.note(notice)
        form = self._settings.form
        if self._options.show_prompt:
            chat = form == "chat" or (form == "auto" and has_chat_template(source))
            for _, text in lines:
                self._streams.write(f"{self._prompt(text, chat)}\n")
            return 0
        if source.remote is not None:
            raise UsageError(
                f"{one_line(source.name)} is on a server, which does not tell the probability of a "
                "given text: name a model on this machine"
            )
        engine = load_model(self._settings, source, self._streams, self._signals)
        for notice in engine.info.notices:
            self._streams.note(notice)
        assert isinstance(engine, InspectableEngine)
        chat = engine.info.has_chat_template if form == "auto" else form == "chat"
        self._signals.cancel_mode()
        scorer = LabelScorer(
            self._labels,
            chat=chat,
            system=(self._settings.system or "") if chat else "",
            transcript=self._settings.transcript,
        )
        try:
            self._classify(engine, scorer, lines, chat)
        except KeyboardInterrupt:
            return EXIT_BASE + (self._signals.pending or 2)
        return 0

    def _classify(
        self,
        engine: InspectableEngine,
        scorer: LabelScorer,
        lines: list[tuple[int, str]],
        chat: bool,
    ) -> None:
        with self._streams.silenced():
            if self._options.calibrate:
                prompts = [self._prompt(text, chat) for text in CONTENT_FREE]
                self._answer(engine, scorer.calibrate(prompts))
            for number, text in lines:
                scores = self._answer(engine, scorer.score(self._prompt(text, chat)))
                if scores.cut:
                    self._cut(number)
                self._print(number, text, scores)

    def _answer(self, engine: InspectableEngine, asking: Asking[Result]) -> Result:
        """Return the result of what asks the engine."""
        try:
            request = next(asking)
            while True:
                request = asking.send(self._ask(engine, request))
        except StopIteration as end:
            result: Result = end.value
            return result

    def _ask(self, engine: InspectableEngine, request: InspectionRequest) -> InspectionEvent:
        """Return the last event of a request.

        Raises:
            KeyboardInterrupt: there was a signal meanwhile.
        """
        with closing(engine.inspect(request)) as events:
            for event in events:
                if self._signals.pending is not None:
                    raise KeyboardInterrupt
                if isinstance(event, Failed):
                    raise error_of(event.kind, event.message)
                if is_last(event):
                    return event
        raise AssertionError("a request without a result")

    def _prompt(self, text: str, chat: bool) -> str:
        return self._task.render(
            text, chat=chat, examples=self._options.examples, labels=self._labels
        )

    def _cut(self, number: int) -> None:
        problem = f"line {number} is longer than the context: the beginning of its prompt"
        if self._settings.overflow == "error":
            raise PromptTooLongError(f"{problem} would not be read")
        self._streams.note(f"{problem} is not read")

    def _print(self, number: int, text: str, scores: LabelScores) -> None:
        label, probability = self._labels[scores.best], scores.probabilities[scores.best]
        if not self._options.as_json:
            self._streams.write(f"{label}\t{probability:.4f}\t{text}\n")
            return
        self._streams.write_bytes(
            json_line(
                {
                    "line": number,
                    "text": text,
                    "label": label,
                    "probabilities": dict(zip(self._labels, scores.probabilities, strict=True)),
                    "logprobs": dict(zip(self._labels, scores.logprobs, strict=True)),
                }
            )
        )


def _labels(given: str | None, task: Task) -> tuple[str, ...]:
    """The labels of the option, else of the task.

    Raises:
        UsageError: there are not two different ones.
    """
    labels = task.labels if given is None else tuple(part.strip() for part in given.split(","))
    if given is None and not labels:
        raise UsageError("--labels is missing: gptterm classify --labels A,B; see --help")
    if "" in labels or len(set(labels)) < max(2, len(labels)):
        raise UsageError("--labels must be two or more different labels, separated by commas")
    return labels


def _lines(file: str | None) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers from 1.

    Raises:
        UsageError: there is none, it cannot be read, or is not valid UTF-8.
    """
    if file is not None and file != "-":
        try:
            data = read_regular(Path(file), _MOST_BYTES)
        except OSError as error:
            raise UsageError(f"cannot read {escaped(file)}: {error.strerror}") from None
        text = decoded(data, escaped(file))
    elif os.isatty(0):
        raise UsageError("no texts: give a FILE, or lines on stdin; see gptterm classify --help")
    else:
        text = read_stdin()
    lines = text.removeprefix("\ufeff").split("\n")
    found = [(i, line.removesuffix("\r")) for i, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise UsageError("the input has no text: give a FILE, or lines on stdin")
    return iter(found)

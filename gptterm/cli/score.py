"""`gptterm score`: how a model sees a text, or how two do."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from msgspec.structs import replace

from gptterm.cli.inspection import (
    Pictures,
    ask,
    drawing_options,
    encode,
    engine_options,
    load_inspectable,
    local_model,
    print_figure,
    read_document,
)
from gptterm.cli.options import ValueParamType, setting_option
from gptterm.cli.run import load_here
from gptterm.cli.score_form import ScoreForm
from gptterm.cli.signals import EXIT_BASE, Signals
from gptterm.cli.streams import COLUMNS, Streams
from gptterm.config.value_types import Integer
from gptterm.engine.api import ModelSource, TextPrompt, TokenPrompt
from gptterm.engine.inspection.answers import ScoreSummary, TokenScores
from gptterm.engine.inspection.requests import (
    MOST_ALTERNATIVES,
    InspectableEngine,
    ScoreRequest,
)
from gptterm.errors import GpttermError, UsageError
from gptterm.ranges import Range

if TYPE_CHECKING:
    from gptterm.cli.score_output import ScoreOutput
    from gptterm.config import Settings

_ALTERNATIVES = ValueParamType(Integer(Range(0, MOST_ALTERNATIVES, integer=True)))
_STRIDE = ValueParamType(Integer(Range(1, integer=True)))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", required=False, metavar="[FILE]")
@engine_options
@click.option(
    "--by", "measure", type=click.Choice(["surprisal", "rank", "entropy"]), default="surprisal",
    help="What tints the text.  [surprisal]",
)  # fmt: skip
@click.option("--table", "as_table", is_flag=True, help="Draw the tokens in rows, with numbers.")
@click.option("--summary", "totals", is_flag=True, help="Only perplexity and bits per byte.")
@click.option(
    "--alternatives", type=_ALTERNATIVES, default=0, metavar="K",
    help="The K most probable tokens in each one's place.  [0]",
)  # fmt: skip
@click.option(
    "--stride", type=_STRIDE, metavar="N",
    help="Tokens scored by each window but the first, where the text is longer than the context.  "
    "[half of the context]",
)  # fmt: skip
@click.option("--no-start", is_flag=True, help="Put no start token before the text.")
@setting_option(
    "model", "--compare", target="compare",
    text="Score by this model, too, without adapters: KL divergence a token, and where they "
    "disagree most.",
)  # fmt: skip
@setting_option(
    "dtype", "--compare-dtype", target="compare_dtype",
    text="The other model's dtype; without --compare: of the same model.",
)  # fmt: skip
@drawing_options
@click.pass_obj
def score(
    signals: Signals,
    /,
    file: str | None,
    quiet: bool,
    svg: str | None,
    html: str | None,
    model: str | None,
    adapter: tuple[str, ...] | None,
    device: str | None,
    dtype: str | None,
    offline: bool | None,
    **form: Any,
) -> int:
    """Score the text of FILE, or of stdin: each token's log probability, rank and entropy.

    Every byte counts, a newline at the end too. The first token is scored if the model has a start
    token to put before it; which was done is reported. A terminal gets the text, tinted; a pipe
    gets tab-separated lines, and the summary below an empty one.
    """
    pictures = Pictures(svg, html)
    pictures.check()
    if form["as_json"] and form["totals"]:
        raise UsageError("--summary is for a text: the object of --json has the totals anyway")
    text = read_document(file, "score")
    given: dict[str, object] = {
        "model": model, "adapter": adapter, "device": device, "dtype": dtype, "offline": offline,
    }  # fmt: skip
    scoring = _Scoring(text, ScoreForm(pictures=pictures, **form), Streams(quiet=quiet), signals)
    scoring.run(given)
    return 0 if signals.pending is None else EXIT_BASE + signals.pending


class _Scoring:
    """The steps from a text to its scores."""

    def __init__(self, text: str, form: ScoreForm, streams: Streams, signals: Signals) -> None:
        self._text = text
        self._size = len(text.encode())
        self._form = form
        self._streams = streams
        self._signals = signals

    def run(self, given: dict[str, object]) -> None:
        """Score by the model that options and settings name, and by another if one is asked for.

        Raises:
            GpttermError: it failed; what was scored by then is shown.
        """
        form = self._form
        source, settings = local_model(given, "score", self._streams, self._signals)
        if form.compare is not None or form.compare_dtype is not None:
            # Beside the adapted model, the one that was adapted.
            other = given | {
                "model": form.compare or settings.model,
                "dtype": form.compare_dtype,
                "adapter": () if form.compare else given["adapter"],
            }
            self._compare(
                (source, settings), local_model(other, "score", self._streams, self._signals)
            )
            return
        engine = load_inspectable(source, settings, self._streams, self._signals)
        notices = (*settings.notices, *engine.info.notices)
        self._score(engine, self._outputs(engine, notices))

    def _request(self, engine: InspectableEngine) -> ScoreRequest:
        prompt = TextPrompt(text=self._text)
        encoded = encode(engine, prompt, self._signals, self._streams)
        return ScoreRequest(
            ids=tuple(each.id for each in encoded.pieces[encoded.start_tokens :]),
            alternatives=self._form.alternatives,
            stride=self._form.stride,
            start_token=not self._form.no_start,
        )

    def _outputs(self, engine: InspectableEngine, notices: Sequence[str]) -> "list[ScoreOutput]":
        """Where the scores go: stdout, and the files that are to be drawn."""
        from gptterm.cli import score_output

        form, streams, info = self._form, self._streams, engine.info
        output: ScoreOutput
        if form.as_json:
            output = score_output.JsonScores(streams, info, notices)
        elif form.totals:
            output = score_output.Totals(streams)
        elif not streams.out_is_terminal:
            output = score_output.PlainScores(streams)
        elif form.as_table:
            output = score_output.FigureOfScores(
                info, form.measure, lambda figure: print_figure(streams, figure), as_table=True
            )
        else:
            output = score_output.DrawnScores(streams, info, form.measure, streams.width or COLUMNS)
        if not form.pictures:
            return [output]
        save = form.pictures.save
        drawn = score_output.FigureOfScores(info, form.measure, save, as_table=form.as_table)
        return [output, drawn]

    def _score(self, engine: InspectableEngine, outputs: "Sequence[ScoreOutput]") -> None:
        """Score, to the end of the text or until a signal."""
        from gptterm.cli.score_output import Outcome

        request = self._request(engine)
        summary = ScoreSummary(
            scored=0, logprob=0.0, piece_bytes=0, start_ids=(), windows=1, stride=0
        )
        error: GpttermError | None = None
        try:
            for event in ask(engine, request, self._signals, self._streams):
                if isinstance(event, TokenScores):
                    summary = _added(summary, event)
                    for output in outputs:
                        output.add(event.first, event.tokens)
                elif isinstance(event, ScoreSummary):
                    summary = event
        except GpttermError as failure:
            error = failure
        count = self._size if summary.scored == len(request.ids) else None
        start = self._start_text(engine, summary.start_ids)
        for output in outputs:
            output.finish(Outcome(summary, count, start, error))
        if error is not None:
            raise error

    def _compare(self, *models: "tuple[ModelSource, Settings]") -> None:
        """Score by two models, both in this process: warm engines give no whole distributions."""
        from gptterm.cli.score_comparison import compare, outputs

        one, other = (load_here(settings, source, self._streams) for source, settings in models)
        self._signals.cancel_mode()
        request = replace(self._request(one), alternatives=max(1, self._form.alternatives))
        compare(
            one.compare(other, request),
            self._size,
            outputs(self._form, (one.info, other.info), self._streams),
            self._streams,
            self._signals,
        )

    def _start_text(self, engine: InspectableEngine, ids: tuple[int, ...]) -> str:
        """Text of the start tokens."""
        from gptterm.charts.cells import piece_text

        if not ids:
            return ""
        encoded = encode(engine, TokenPrompt(ids=ids), self._signals, self._streams)
        return "".join(piece_text(each.piece) for each in encoded.pieces)


def _added(summary: ScoreSummary, event: TokenScores) -> ScoreSummary:
    """Summary of the scores so far, which the engine's own replaces at the end."""
    scored = [token for token in event.tokens if token.logprob is not None]
    return replace(
        summary,
        scored=summary.scored + len(scored),
        logprob=summary.logprob + sum(token.logprob or 0.0 for token in scored),
        piece_bytes=summary.piece_bytes + sum(len(token.piece) for token in scored),
    )

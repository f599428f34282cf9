"""`gptterm inspect`: why a model says what it says."""

from typing import TYPE_CHECKING, Any

import click

from gptterm.cli.console import json_line
from gptterm.cli.inspection import (
    Pictures,
    drawing_options,
    encode,
    engine_options,
    given_text,
    load_inspectable,
    local_model,
    print_figure,
)
from gptterm.cli.inspection_json import pieces_object
from gptterm.cli.options import ValueParamType, sampler_options
from gptterm.cli.signals import EXIT_BASE, Interrupted, Signals
from gptterm.cli.streams import Streams
from gptterm.config.value_types import MAX_INTEGER, Integer, Text, Word
from gptterm.engine.api import ChatPrompt, Message, ModelInfo, Piece, Prompt, TextPrompt
from gptterm.engine.inspection.answers import HEAD_STATISTICS
from gptterm.engine.inspection.requests import (
    MOST_ALTERNATIVES,
    MOST_MAP_ROWS,
    InspectableEngine,
)
from gptterm.errors import ModelError, UsageError
from gptterm.format import plural
from gptterm.ranges import Range

if TYPE_CHECKING:
    from gptterm.charts.figure import Figure
    from gptterm.cli.inspection_views import Found, Inspection
    from gptterm.config import Settings

VIEWS = ("next", "heat", "attention", "heads", "map", "lens")
OVERVIEW = ("next", "attention", "lens")
_WORD = ValueParamType(Text())
_POSITION = ValueParamType(Integer(Range(-MAX_INTEGER, MAX_INTEGER, integer=True)))
_LIMIT = ValueParamType(Integer(Range(1, MOST_ALTERNATIVES, integer=True)))
_WINDOW = ValueParamType(Integer(Range(1, MOST_MAP_ROWS, integer=True)))
_HEAD = ValueParamType(Word("LAYER.HEAD", "a layer and a head, as in 2.1", r"\d{1,4}\.\d{1,4}"))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("words", nargs=-1, type=_WORD, metavar="[TEXT]...")
@engine_options
@click.option(
    "--view", "views", multiple=True, type=click.Choice(VIEWS),
    help="What to show; may be given again.  [next, attention and lens]",
)  # fmt: skip
@click.option(
    "--position", type=_POSITION, default=-1, metavar="N",
    help="The token to look from, counted from 0; -1 is the last.  [-1]",
)  # fmt: skip
@click.option("--head", type=_HEAD, metavar="LAYER.HEAD", help="For attention and map: one head.")
@click.option(
    "--statistic", type=click.Choice(HEAD_STATISTICS), default="induction",
    help="For heads.  [induction]",
)  # fmt: skip
@click.option(
    "--by", "measure", type=click.Choice(["surprisal", "rank", "entropy"]), default="surprisal",
    help="For heat.  [surprisal]",
)  # fmt: skip
@click.option("--hide-first", is_flag=True, help="Leave the first token out of attention.")
@click.option("--window", type=_WINDOW, metavar="N", help="Positions of map and lens.  [48, 6]")
@click.option(
    "--limit", type=_LIMIT, default=10, metavar="K", help="Tokens of next and lens.  [10]"
)
@click.option("--chat", is_flag=True, help="TEXT is a message, in the model's chat template.")
@sampler_options
@drawing_options
@click.pass_obj
def inspect(
    signals: Signals,
    /,
    words: tuple[str, ...],
    views: tuple[str, ...],
    position: int,
    chat: bool,
    svg: str | None,
    html: str | None,
    as_json: bool,
    quiet: bool,
    **given: Any,
) -> int:
    """Look into a model as it reads TEXT, or stdin (-) without its last newline.

    \b
    next       what comes next: raw and used probabilities, the filter that cut each token
    heat       the text, tinted by surprisal, rank or entropy
    attention  what one token attends to, in all heads or one
    heads      a statistic of every head
    map        one head's attention, token by token
    lens       what each layer would have said (the logit lens)
    """
    streams = Streams(quiet=quiet)
    pictures = Pictures(svg, html)
    pictures.check()
    shown = {name: given.pop(name) for name in _SHOWN}
    if "map" in views and shown["head"] is None:
        raise UsageError("--view map is of one head: add --head LAYER.HEAD")
    text = given_text(words, "inspect")
    source, settings = local_model(given, "inspect", streams, signals)
    engine = load_inspectable(source, settings, streams, signals)
    try:
        pieces = encode(engine, _prompt(text, settings, chat=chat), signals, streams).pieces
        inspection = _inspection(engine, pieces, position, settings, shown, streams, signals)
        found = {
            name: _view(inspection, name, streams, asked_for=bool(views))
            for name in views or OVERVIEW
        }
    except Interrupted:
        return EXIT_BASE + (signals.pending or 0)
    from gptterm.charts.figure import Figure

    figure = Figure(source.name, [each for view in found.values() for each in view.sections])
    pictures.save(figure)
    if as_json:
        notices = (*settings.notices, *engine.info.notices)
        objects = {name: view.object for name, view in found.items()}
        streams.write_bytes(json_line(_object(engine.info, pieces, objects, notices)))
    else:
        print_figure(streams, figure)
        _note_hidden(figure, streams)
    return 0


_SHOWN = ("head", "statistic", "measure", "hide_first", "window", "limit")


def _note_hidden(figure: "Figure", streams: Streams) -> None:
    """Say beside plain numbers what a drawing says below them: that the first token is left out."""
    from gptterm.charts.views.attention import WITHOUT_FIRST

    hides = any(WITHOUT_FIRST in section.notes for section in figure.sections)
    if hides and not streams.out_is_terminal:
        streams.note(f"attention is {WITHOUT_FIRST}: the weights of the others sum to 1")


def _prompt(text: str, settings: "Settings", *, chat: bool) -> Prompt:
    if not chat:
        return TextPrompt(text=text)
    message = Message(role="user", text=text)
    return ChatPrompt(messages=(message,), transcript=settings.transcript)


def _inspection(
    engine: InspectableEngine,
    pieces: tuple[Piece, ...],
    position: int,
    settings: "Settings",
    shown: dict[str, Any],
    streams: Streams,
    signals: Signals,
) -> "Inspection":
    from gptterm.cli.inspection_views import Inspection, Look

    count = len(pieces)
    if not -count <= position < count:
        raise UsageError(
            f"--position must be from {-count} to {count - 1}, not {position}: the text has "
            f"{plural(count, 'token')}"
        )
    head = shown.pop("head")
    look = Look(
        pieces=pieces,
        position=position % count,
        sampling=settings.sampling,
        head=None if head is None else (int(head.split(".")[0]), int(head.split(".")[1])),
        **shown,
    )
    return Inspection(engine, look, streams, signals)


def _view(inspection: "Inspection", name: str, streams: Streams, *, asked_for: bool) -> "Found":
    """A view; what the model does not have is said in its place, unless it alone was asked for."""
    from gptterm.charts.figure import Section
    from gptterm.cli.inspection_views import Found

    try:
        return inspection.view(name)
    except (ModelError, UsageError) as error:
        if asked_for:
            raise
        if not streams.out_is_terminal:
            streams.note(f"{name}: {error}")
        return Found({"error": str(error)}, [Section(name, None, (str(error),))])


def _object(
    info: ModelInfo, pieces: tuple[Piece, ...], views: dict[str, Any], notices: tuple[str, ...]
) -> dict[str, Any]:
    return {
        "model": info.name,
        "revision": info.revision,
        "device": info.device,
        "dtype": info.dtype,
        "tokens": pieces_object(pieces),
        **views,
        "notices": notices,
    }

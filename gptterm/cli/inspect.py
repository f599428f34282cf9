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
from gptterm.config.value_types import MAX_INTEGER, Integer, Text
from gptterm.engine.api import ChatPrompt, Message, ModelInfo, Piece, Prompt, TextPrompt
from gptterm.engine.inspection.requests import (
    MOST_ALTERNATIVES,
    InspectableEngine,
)
from gptterm.errors import UsageError
from gptterm.format import plural
from gptterm.ranges import Range

if TYPE_CHECKING:
    from gptterm.cli.inspection_views import Inspection
    from gptterm.config import Settings

VIEWS = ("next", "heat")
_WORD = ValueParamType(Text())
_POSITION = ValueParamType(Integer(Range(-MAX_INTEGER, MAX_INTEGER, integer=True)))
_LIMIT = ValueParamType(Integer(Range(1, MOST_ALTERNATIVES, integer=True)))


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("words", nargs=-1, type=_WORD, metavar="[TEXT]...")
@engine_options
@click.option(
    "--view", "views", multiple=True, type=click.Choice(VIEWS),
    help="What to show; may be given again.  [both]",
)  # fmt: skip
@click.option(
    "--position", type=_POSITION, default=-1, metavar="N",
    help="The token to look from, counted from 0; -1 is the last.  [-1]",
)  # fmt: skip
@click.option(
    "--by", "measure", type=click.Choice(["surprisal", "rank", "entropy"]), default="surprisal",
    help="For heat.  [surprisal]",
)  # fmt: skip
@click.option("--limit", type=_LIMIT, default=10, metavar="K", help="Tokens of next.  [10]")
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
    """Look into a model as it reads TEXT, or stdin without its last newline.

    \b
    next  what comes next: raw and used probabilities, the filter that cut each token
    heat  the text, tinted by surprisal, rank or entropy
    """
    streams = Streams(quiet=quiet)
    pictures = Pictures(svg, html)
    pictures.check()
    shown = {name: given.pop(name) for name in _SHOWN}
    text = given_text(words, "inspect")
    source, settings = local_model(given, "inspect", streams, signals)
    engine = load_inspectable(source, settings, streams, signals)
    try:
        pieces = encode(engine, _prompt(text, settings, chat=chat), signals, streams).pieces
        inspection = _inspection(engine, pieces, position, settings, shown, streams, signals)
        found = {name: inspection.view(name) for name in views or VIEWS}
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
    return 0


_SHOWN = ("measure", "limit")


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
    look = Look(
        pieces=pieces,
        position=position % count,
        sampling=settings.sampling,
        **shown,
    )
    return Inspection(engine, look, streams, signals)


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

"""`gptterm tokenize`: the tokens of a text. Loads the tokenizer alone, not the weights."""

from pathlib import Path

import click

from gptterm.cli.console import json_line
from gptterm.cli.inspection import given_text, local_model, model_options, print_figure
from gptterm.cli.inspection_json import pieces_object
from gptterm.cli.options import ValueParamType
from gptterm.cli.signals import Signals
from gptterm.cli.streams import Streams
from gptterm.config.value_types import Text
from gptterm.engine.api import Piece
from gptterm.errors import UsageError

WORD = ValueParamType(Text())


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("words", nargs=-1, type=WORD, metavar="[TEXT]...")
@model_options
@click.option("--ids", "ids_only", is_flag=True, help="Only the ids, on one line.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
def tokenize(
    signals: Signals,
    /,
    words: tuple[str, ...],
    quiet: bool,
    ids_only: bool,
    as_json: bool,
    **given: object,
) -> None:
    """Show the tokens of TEXT, or of stdin (-): position, id, and the piece of the text that it is.

    One newline at the end of stdin is dropped, every other byte counts. The name of a special token
    in a text is ordinary characters. In a pipe: tab-separated, with \\n, \\t, \\r, \\\\, and \\xE4
    for bytes that are not a whole character.
    """
    streams = Streams(quiet=quiet)
    if ids_only and as_json:
        raise UsageError("--ids is for a line of text: the object of --json has the ids anyway")
    text = given_text(words, "tokenize")
    source, _ = local_model(given, "tokenize", streams, signals)
    pieces, start_ids = _encode(source.directory, source.gguf_file, text)
    kept = b"".join(each.piece for each in pieces)
    if kept != text.encode("utf-8", "replace"):
        streams.note("the model's tokenizer changes the text: the pieces are what it keeps")
    if ids_only:
        streams.write_bytes((" ".join(str(each.id) for each in pieces) + "\n").encode())
    elif as_json:
        streams.write_bytes(
            json_line(
                {
                    "model": source.name,
                    "revision": source.revision,
                    "text": text,
                    "start_ids": start_ids,
                    "tokens": pieces_object(pieces),
                }
            )
        )
    else:
        from gptterm.charts.views.tokens import tokens_figure

        print_figure(streams, tokens_figure(source.name, pieces, len(kept)))


def _encode(
    directory: str, gguf_file: str | None, text: str
) -> tuple[tuple[Piece, ...], tuple[int, ...]]:
    """The tokens of a text, and the ids that are put before it when the model reads it."""
    from gptterm.engine.gguf.reader import read_header
    from gptterm.engine.text.tokenizer_files import load_tokenizer

    folder = Path(directory)
    gguf = None if gguf_file is None else read_header(folder / gguf_file)
    tokenizer = load_tokenizer(folder, gguf)
    ids = tokenizer.encode(text)
    pieces = [tokenizer.first_piece(i) for i in ids[:1]] + [tokenizer.piece(i) for i in ids[1:]]
    found = tuple(Piece(id=i, piece=piece) for i, piece in zip(ids, pieces, strict=True))
    return found, tokenizer.start_ids

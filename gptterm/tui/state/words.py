"""Words as the loaded model's tokens: those that are one token can be banned or biased."""

from typing import NamedTuple

from gptterm.charts.cells import piece_text
from gptterm.engine.api import Piece, TextPrompt
from gptterm.engine.inspection.answers import Encoded
from gptterm.engine.inspection.requests import EncodeRequest
from gptterm.tui.state.asking import ask
from gptterm.tui.state.engine_manager import Client


class Spellings(NamedTuple):
    """A word alone and behind a space, as it is typed and with a capital letter."""

    single: dict[int, bytes]
    """Tokens that are one of these, by id."""
    several: tuple[str, ...]
    """The others, with dots between their tokens."""


async def spellings(client: Client, word: str) -> Spellings:
    """Encode the spellings of a word.

    Raises:
        GpttermError: the model cannot be asked.
    """
    texts = {word, f" {word}", word.capitalize(), f" {word.capitalize()}"}
    if word != word.lower():
        texts = {word, f" {word}"}
    single, several = dict[int, bytes](), list[str]()
    for text in sorted(texts):
        found = await ask(client, EncodeRequest(prompt=TextPrompt(text=text)), Encoded)
        pieces: tuple[Piece, ...] = found.pieces[found.start_tokens :]
        if len(pieces) == 1:
            single[pieces[0].id] = pieces[0].piece
        else:
            several.append("|".join(piece_text(piece.piece) for piece in pieces))
    return Spellings(single, tuple(several))

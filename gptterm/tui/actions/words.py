"""Words that a document never has, or has more or less often."""

import math
import re

from gptterm.charts.cells import piece_text
from gptterm.document.biases import biases_of, set_bias
from gptterm.errors import UsageError
from gptterm.format import plural
from gptterm.terminal import one_line
from gptterm.tui.actions.tokens import BIAS_MOST
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.dialogs.input import InputDialog, InputRequest
from gptterm.tui.state.words import Spellings, spellings

_FORCED = " !"
_ENTRY = re.compile(r"(.*?)(?:\s+([+-]?\d{1,3}(?:\.\d{1,3})?))?", re.DOTALL)
HINT = "WORD: never · WORD +2, WORD -2: more, less often · WORD 0: as it was · WORD !: here, and on"


def ask_word(screen: WriteView) -> None:
    """Ask for a word, and ban or bias the tokens that spell it."""
    info = screen.writing.controller.engine.info
    if info is None or screen.writing.controller.engine.is_remote:
        screen.show_notice("info", "words are banned once a model on this machine is loaded")
        return
    biased = len(biases_of(screen.writing.document, info))
    hint = f"{HINT} · {plural(biased, 'token')} so far" if biased else HINT

    async def submit(entry: str) -> str:
        return entry if entry.endswith(_FORCED) else await change_word(screen, entry)

    def done(said: str | None) -> None:
        if said is not None and said.endswith(_FORCED):
            force_word(screen, said.removesuffix(_FORCED).strip())
        elif said is not None:
            screen.show_notice("info", said)

    screen.app.push_screen(
        InputDialog(InputRequest("a word of this text", "set", hint), submit), done
    )


def force_word(screen: WriteView, word: str) -> None:
    """Write a word at the cursor, as another version, and continue behind it."""
    place, document = screen.area.place, screen.writing.document
    before = document.text[:place][-1:]
    text = word if not before or before.isspace() else f" {word}"
    if word:
        screen.writing.edit(place, place, text)
        screen.grow_on(place + len(text))


async def change_word(screen: WriteView, entry: str) -> str:
    """Ban or bias a word; return a line that says which tokens.

    Raises:
        GpttermError: there is no such word, or no token spells it.
    """
    controller, document = screen.writing.controller, screen.writing.document
    found = _ENTRY.fullmatch(entry.strip())
    info = controller.engine.info
    if found is None or not found[1] or info is None:
        raise UsageError("type a word")
    value = -math.inf if found[2] is None else float(found[2])
    if abs(value) > BIAS_MOST and value != -math.inf:
        raise UsageError(f"a bias is from -{BIAS_MOST:g} to +{BIAS_MOST:g}")
    spelled: Spellings = await spellings(controller.engine.client, found[1])
    if not spelled.single:
        raise UsageError(
            f"{one_line(found[1])} is several tokens: {', '.join(spelled.several)};"
            " ban one of them in the pane of alternatives"
        )
    for token_id in spelled.single:
        set_bias(document, info, token_id, value)
    names = ", ".join(piece_text(piece) for piece in spelled.single.values())
    did = "banned" if value == -math.inf else f"bias {value:+g}" if value else "as it was"
    rest = f"; of several tokens, and left: {', '.join(spelled.several)}" if spelled.several else ""
    return f"{names}: {did}, in this text{rest}"

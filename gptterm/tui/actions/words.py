"""Words that a document never has, or has more or less often."""

import math
import re
from collections.abc import Iterator, Mapping

from gptterm.document.biases import set_word, words_of
from gptterm.engine.api import MOST_WORD
from gptterm.errors import UsageError
from gptterm.format import shorten
from gptterm.terminal import one_line
from gptterm.tui.actions.tokens import BIAS_MOST
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.dialogs.input import InputDialog, InputRequest

_FORCED = " !"
_ENTRY = re.compile(r"(.*?)(?:\s+([+-]?\d{1,3}(?:\.\d{1,3})?))?", re.DOTALL)
HINT = "WORD: never · WORD +2, WORD -2: more, less often · WORD 0: as it was · WORD !: here, and on"
_SHOWN = 120
"""Characters of the words that are set."""


def ask_word(screen: WriteView) -> None:
    """Ask for a word, and ban, bias or force it."""
    words = words_of(screen.writing.document)
    so_far = "\n".join(_listed(words)) if words else ""

    async def submit(entry: str) -> str:
        return entry if entry.endswith(_FORCED) else change_word(screen, entry)

    def done(said: str | None) -> None:
        if said is not None and said.endswith(_FORCED):
            force_word(screen, said.removesuffix(_FORCED).strip())
        elif said is not None:
            screen.show_notice("info", said)

    hint = f"{HINT}\n{so_far}" if so_far else HINT
    screen.app.push_screen(
        InputDialog(InputRequest("a word of this text", "set", hint), submit), done
    )


def _listed(words: Mapping[str, float]) -> Iterator[str]:
    """Lines that list the banned and the biased words."""
    banned = [word for word, value in words.items() if value == -math.inf]
    others = [f"{word} {value:+g}" for word, value in words.items() if value != -math.inf]
    for name, found in (("banned", banned), ("bias", others)):
        if found:
            yield f"{name}: {shorten(one_line(', '.join(found)), _SHOWN)}"


def force_word(screen: WriteView, word: str) -> None:
    """Write a word at the cursor, as another version, and continue behind it."""
    place, document = screen.area.place, screen.writing.document
    before = document.text[:place][-1:]
    text = word if not before or before.isspace() else f" {word}"
    if word:
        screen.writing.edit(place, place, text)
        screen.grow_on(place + len(text))


def change_word(screen: WriteView, entry: str) -> str:
    """Ban or bias a word, from the next token on; return a line that says so.

    Raises:
        UsageError: that is no word, or no bias.
    """
    found = _ENTRY.fullmatch(entry.strip())
    if found is None or not found[1]:
        raise UsageError("type a word")
    word, value = found[1], -math.inf if found[2] is None else float(found[2])
    if len(word) > MOST_WORD:
        raise UsageError(f"a word has at most {MOST_WORD} characters")
    if abs(value) > BIAS_MOST and value != -math.inf:
        raise UsageError(f"a bias is from -{BIAS_MOST:g} to +{BIAS_MOST:g}")
    set_word(screen.writing.document, word, value)
    screen.writing.use_samplers()
    did = "banned" if value == -math.inf else f"bias {value:+g}" if value else "as it was"
    cased = "" if not value or word != word.lower() or word == word.upper() else ", in any case"
    server = ", as far as the server can" if screen.writing.controller.engine.is_remote else ""
    return f"{one_line(word)}: {did}, in this text{cased}{server}"

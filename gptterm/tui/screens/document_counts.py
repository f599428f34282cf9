"""Counts under the document: words, tokens and perplexity of the text and of the selection."""

from gptterm.charts.cells import fit_parts
from gptterm.document.words import changed_count
from gptterm.format import perplexity, plural
from gptterm.tui.state.writing import Writing

Stretch = tuple[int, int]


class Counts:
    """Counts a text, and again only what may have changed."""

    def __init__(self) -> None:
        self._counted = ("", 0)
        """A text and its words."""

    def describe(self, writing: Writing, selected: Stretch, width: int) -> str:
        """Return the counts of the text, and of a stretch of it that is not empty.

        What does not fit into `width` cells is left out: the text's, then the last ones.
        """
        text = writing.document.text
        if text is not self._counted[0]:
            self._counted = text, changed_count(*self._counted, text)
        whole = _numbers(writing, (0, len(text)), self._counted[1])
        start, end = selected
        if start == end:
            return fit_parts(whole, width)
        part = _numbers(writing, selected, len(text[start:end].split()))
        part[0] = f"selected {part[0]}"
        both = f"{' · '.join(part)} of {' · '.join(whole)}"
        return both if len(both) <= width else fit_parts(part, width)


def _numbers(writing: Writing, stretch: Stretch, words: int) -> list[str]:
    tokens = writing.text_tokens
    parts = [f"{words:,} {'word' if words == 1 else 'words'}"]
    count = tokens.count(*stretch)
    if count is not None:
        number, exact = count
        parts.append(f"{'' if exact else '≈ '}{number:,} {'token' if number == 1 else 'tokens'}")
    bits, scored = tokens.bits(*stretch)
    if scored:
        value = f"ppl {perplexity(2.0 ** min(1000.0, bits / scored))}"
        # The first token of a text has nothing before it.
        is_whole = count is not None and scored + 1 >= count[0]
        parts.append(value if is_whole else f"{value} of {plural(scored, 'token')}")
    return parts

"""Counts under the document: words, tokens and perplexity of the text and of the selection."""

from gptterm.format import plural
from gptterm.tui.state.writing import Writing

Stretch = tuple[int, int]


class Counts:
    """Counts a text, and again only what may have changed."""

    def __init__(self) -> None:
        self._counted = ("", 0)
        """A text and its words, which take 20 ms of 100,000."""

    def describe(self, writing: Writing, selected: Stretch) -> str:
        """Return the counts of the text, and of a stretch of it that is not empty."""
        text = writing.document.text
        if text is not self._counted[0]:
            self._counted = text, len(text.split())
        whole = _numbers(writing, (0, len(text)), self._counted[1])
        start, end = selected
        if start == end:
            return whole
        return f"selected {_numbers(writing, selected, len(text[start:end].split()))} of {whole}"


def _numbers(writing: Writing, stretch: Stretch, words: int) -> str:
    tokens = writing.text_tokens
    parts = [f"{words:,} {'word' if words == 1 else 'words'}"]
    count = tokens.count(*stretch)
    if count is not None:
        number, exact = count
        parts.append(f"{'' if exact else '≈ '}{number:,} {'token' if number == 1 else 'tokens'}")
    bits, scored = tokens.bits(*stretch)
    if scored:
        perplexity = f"ppl {2.0 ** min(1000.0, bits / scored):.3g}"
        # The first token of a text has nothing before it.
        is_whole = count is not None and scored + 1 >= count[0]
        parts.append(perplexity if is_whole else f"{perplexity} of {plural(scored, 'token')}")
    return " · ".join(parts)

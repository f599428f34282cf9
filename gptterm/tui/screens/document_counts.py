"""Counts under the document: words, tokens and perplexity of the text and of the selection."""

from gptterm.document.stretches import changed_stretch
from gptterm.format import plural, three_digits
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
            return _fitting(whole, width)
        part = _numbers(writing, selected, len(text[start:end].split()))
        part[0] = f"selected {part[0]}"
        both = f"{' · '.join(part)} of {' · '.join(whole)}"
        return both if len(both) <= width else _fitting(part, width)


def changed_count(old: str, count: int, new: str) -> int:
    """Return the words of a text that another one, with `count` words, became.

    Only those of the changed stretch are counted: all of 100,000 take 20 ms.
    """
    change = changed_stretch(old, new)
    after = change.start + len(change.text)
    # The character behind it may begin a word by now, or no more.
    gone = _word_starts(old, change.start, change.end + 1)
    return count - gone + _word_starts(new, change.start, after + 1)


def _word_starts(text: str, start: int, end: int) -> int:
    part = text[start:end]
    goes_on = start > 0 and not text[start - 1].isspace() and not part[:1].isspace()
    return len(part.split()) - (goes_on and bool(part))


def _fitting(numbers: list[str], width: int) -> str:
    while len(numbers) > 1 and len(" · ".join(numbers)) > width:
        numbers.pop()
    return " · ".join(numbers)


def _numbers(writing: Writing, stretch: Stretch, words: int) -> list[str]:
    tokens = writing.text_tokens
    parts = [f"{words:,} {'word' if words == 1 else 'words'}"]
    count = tokens.count(*stretch)
    if count is not None:
        number, exact = count
        parts.append(f"{'' if exact else '≈ '}{number:,} {'token' if number == 1 else 'tokens'}")
    bits, scored = tokens.bits(*stretch)
    if scored:
        perplexity = f"ppl {three_digits(2.0 ** min(1000.0, bits / scored))}"
        # The first token of a text has nothing before it.
        is_whole = count is not None and scored + 1 >= count[0]
        parts.append(perplexity if is_whole else f"{perplexity} of {plural(scored, 'token')}")
    return parts

"""Spelling: which bytes of a text each token spells, where not all bytes are valid UTF-8."""

import codecs
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_SIZE = len(REPLACEMENT.encode())


class Spelling(NamedTuple):
    """A text as its tokens spell it."""

    raw: bytes
    """The text, in UTF-8."""
    ends: list[int]
    """Bytes of it up to the end of each token."""

    def pieces(self) -> list[bytes]:
        """Return the bytes that each token spells."""
        return [self.raw[start:end] for start, end in pairwise((0, *self.ends))]

    def begin_of(self, text: str) -> int | None:
        """Return the bytes before a text, of which a transcript strips white space; None if there
        are others, or the text is not spelled."""
        begin = self.raw.find(text.encode())
        return None if begin < 0 or self.raw[:begin].decode(errors="replace").strip() else begin

    def behind(self, begin: int) -> "Spelling":
        """Return the text behind so many bytes; tokens before it spell nothing of it."""
        return Spelling(self.raw[begin:], [max(0, end - begin) for end in self.ends])

    def count_within(self, text: str) -> int:
        """Count the leading tokens that spell whole characters of a text; 0 if it begins otherwise.

        The text may end earlier: within a token, or before the rest of a character is known.
        """
        raw = text.encode()
        if not self.raw.startswith(raw):
            return 0
        count = bisect_right(self.ends, len(raw))
        while count and not is_boundary(raw, self.ends[count - 1]):
            count -= 1
        return count if count and self.ends[count - 1] else 0


def spell(pieces: Sequence[bytes], *, final: bool = True) -> Spelling:
    """Return the text that tokens spell, decoded as Python's decoder with `replace` does.

    Each maximal invalid sequence is one U+FFFD: of its three bytes, each byte of the sequence
    stands for one, and the last for the rest. So a token of it alone spells the whole U+FFFD.

    Args:
        pieces: the bytes of each token.
        final: nothing follows; else the bytes of a character that is not whole yet stay themselves.
    """
    data, ends = b"".join(pieces), list(accumulate(map(len, pieces)))
    invalid = list(_invalid(data, final=final))
    if not invalid:
        return Spelling(data, ends)
    stops = [stop for _, stop in invalid]
    # What the text has grown by, up to the end of each invalid sequence.
    grown = [0, *accumulate(_SIZE - (stop - start) for start, stop in invalid)]
    parts, at = list[bytes](), 0
    for start, stop in invalid:
        parts += [data[at:start], REPLACEMENT.encode()]
        at = stop
    raw = b"".join((*parts, data[at:]))
    return Spelling(raw, [end + grown[bisect_right(stops, end)] for end in ends])


def _invalid(data: bytes, *, final: bool) -> Iterator[tuple[int, int]]:
    """Yield start and end of each maximal invalid sequence."""
    view, at = memoryview(data), 0
    while at < len(data):
        try:
            codecs.utf_8_decode(view[at:], "strict", final)
        except UnicodeDecodeError as error:
            yield at + error.start, at + error.end
            at += error.end
        else:
            return


def is_open(data: bytes) -> bool:
    """Whether bytes end within a character that others could complete."""
    end = data[-3:]
    return codecs.utf_8_decode(end, "replace", False)[1] < len(end)


def is_boundary(raw: bytes, at: int) -> bool:
    """Whether a place in UTF-8 is between two characters, or at an end."""
    return at == len(raw) or raw[at] & 0xC0 != 0x80

"""Terminal input: bytes to keys' text and bracketed pastes.

Textual's parser looks for key sequences inside a paste, too, and its decoder raises an exception
for bytes that are not UTF-8. So pastes are taken out of the bytes before that parser gets them.
"""

import codecs
from dataclasses import dataclass

from gptterm.terminal import printable

PASTE_START = b"\x1b[200~"
PASTE_END = b"\x1b[201~"

_UNREAD = "\ud800"
"""Stands for bytes that are not UTF-8 until they are counted: none that are can become this."""
_MARKING = "gptterm.unread"
"""Name of the error handler that puts it there."""


def _mark_unread(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return _UNREAD, error.end


codecs.register_error(_MARKING, _mark_unread)


@dataclass(frozen=True)
class Paste:
    """A bracketed paste."""

    text: str
    """Printable, with newlines as line ends."""


class InputSplitter:
    """Separates bracketed pastes from other input, across reads of any size.

    Bytes that are not UTF-8 become U+FFFD, which is counted. A mark of a paste's start within a
    paste is text.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(_MARKING)
        self._unread = 0
        """Places with U+FFFD for what is not UTF-8, since `take_unread`."""
        self._held = b""
        """End of the input that may be the beginning of `PASTE_START`."""
        self._paste: bytearray | None = None
        """Bytes of the paste that has begun."""

    @property
    def is_pasting(self) -> bool:
        """Whether a paste has begun but not ended."""
        return self._paste is not None

    def feed(self, data: bytes) -> list[str | Paste]:
        """The complete parts of what was read: text for the parser of keys, and pastes."""
        parts: list[str | Paste] = []
        data, self._held = self._held + data, b""
        while data:
            if self._paste is None:
                keys, mark, data = data.partition(PASTE_START)
                if mark:
                    self._paste = bytearray()
                else:
                    held = _overlap(keys, PASTE_START)
                    keys, self._held = keys[: len(keys) - held], keys[len(keys) - held :]
                if text := self._counted(self._decoder.decode(keys, final=bool(mark))):
                    parts.append(text)
            else:
                searched = max(0, len(self._paste) - len(PASTE_END))
                self._paste += data
                data = b""
                if (end := self._paste.find(PASTE_END, searched)) >= 0:
                    data = bytes(self._paste[end + len(PASTE_END) :])
                    del self._paste[end:]
                    parts += self.end_paste()
        return parts

    def expire(self) -> list[str | Paste]:
        """Release what `feed` held back, once nothing has followed for a while: the Escape key.

        The rest of a character may come yet, on a slow line.
        """
        if self._paste is not None:
            return []
        held, self._held = self._held, b""
        text = self._counted(self._decoder.decode(held))
        return [text] if text else []

    def end_paste(self) -> list[str | Paste]:
        """The paste that has begun, without waiting for its end."""
        if self._paste is None:
            return []
        data, self._paste = self._paste, None
        return [Paste(pasted_text(self._counted(data.decode(errors=_MARKING))))]

    def take_unread(self) -> int:
        """In how many places U+FFFD was put since this was asked last."""
        unread, self._unread = self._unread, 0
        return unread

    def _counted(self, text: str) -> str:
        self._unread += text.count(_UNREAD)
        return text.replace(_UNREAD, "\N{REPLACEMENT CHARACTER}")


def pasted_text(text: str) -> str:
    """A paste as it is inserted: newlines as line ends, controls as visible signs."""
    return printable(text.replace("\r\n", "\n").replace("\r", "\n"))


def _overlap(data: bytes, mark: bytes) -> int:
    """Length of the longest end of `data` that is a beginning of `mark`."""
    longest = min(len(data), len(mark) - 1)
    return next((n for n in range(longest, 0, -1) if data.endswith(mark[:n])), 0)

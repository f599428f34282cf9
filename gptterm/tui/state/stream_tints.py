"""Tints of a text while it is streamed, by surprisal.

Text comes later than its tokens, and not in their pieces: characters are held back until they are
whole, and what could be the beginning of a stop text until it is not.
"""

import math

from gptterm.charts.scales import SURPRISAL
from gptterm.conversation.token_scores import character_starts
from gptterm.engine.api import Token
from gptterm.tui.state.tints import Tint


class StreamTints:
    """Matches the tokens of one reply to the text that they spell, in order."""

    def __init__(self) -> None:
        self._tokens: list[tuple[bytes, float]] = []
        """Bytes that have not been seen as text yet, and the surprisal of their token in bits."""
        self._bits = 0.0
        """Of tokens that ended within the next character."""
        self._has_begun = False

    def add(self, token: Token) -> None:
        """Take a token; one without a log probability ends the tints."""
        bits = math.nan if token.logprob is None else max(0.0, -token.logprob / math.log(2))
        self._tokens.append((token.piece, bits))

    def cut(self, text: str) -> tuple[Tint, ...]:
        """Return the tints of the next part of the text; the rest waits."""
        raw, starts, found = text.encode(), character_starts(text), list[Tint]()
        if not self._has_begun and raw:
            self._has_begun = True
            self._skip_to(raw)
        at = done = 0
        while at < len(raw) and self._tokens:
            piece, bits = self._tokens.pop(0)
            taken = min(len(piece), len(raw) - at)
            self._bits += bits
            if rest := piece[taken:]:
                # The beginning of a character is no part of what this token is counted for.
                is_text = rest.decode(errors="ignore") != ""
                self._tokens.insert(0, (rest, self._bits if is_text else 0.0))
            at += taken
            end = starts[at]
            if end > done:
                if not math.isnan(self._bits):
                    found.append((done, end, SURPRISAL.step(self._bits) or 0))
                done, self._bits = end, 0.0
        return tuple(found)

    def _skip_to(self, raw: bytes) -> None:
        """Drop the white space that a transcript strips before the text."""
        while self._tokens and not raw.startswith(self._tokens[0][0][:1]):
            piece, bits = self._tokens.pop(0)
            stripped = piece.lstrip()
            if stripped:
                self._tokens.insert(0, (stripped, bits))
                return

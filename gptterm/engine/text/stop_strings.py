"""Stop strings in a stream: none of a stop string is shown, and nothing else is held back."""

import re
from collections import deque
from collections.abc import Sequence


class StopMatcher:
    """Passes text through until one of the stop strings is complete.

    The stop string that is complete first ends the text, before its first character; of several
    complete at the same character, the longest. The result does not depend on how the stream is
    cut. Held back is only the longest suffix that may still become a stop string.

    Aho–Corasick automaton (1975): time linear in the text, for any number of stop strings.

    Raises:
        ValueError: a stop string is empty.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        if "" in stops:
            raise ValueError("a stop string must not be empty")
        # A string that contains another before its end can never be the first to be complete.
        stops = [stop for stop in stops if not any(other in stop[:-1] for other in stops)]
        self._build(stops)
        self._state = 0
        first = re.escape("".join({stop[0] for stop in stops}))
        self._first = re.compile(f"[{first}]" if stops else "(?!)")
        self.matched: str | None = None
        """The stop string that was found; no text follows it."""

    def _build(self, stops: Sequence[str]) -> None:
        """Build the automaton. States are the prefixes of the stop strings, 0 the empty one."""
        self._next: list[dict[str, int]] = [{}]
        self._prefix: list[tuple[str, int]] = [("", 0)]
        self._complete: list[bool] = [False]
        for stop in stops:
            state = 0
            for length, char in enumerate(stop, 1):
                state = self._next[state].setdefault(char, len(self._next))
                if state == len(self._next):
                    self._next.append({})
                    self._prefix.append((stop, length))
                    self._complete.append(False)
            self._complete[state] = True
        # Failure links: the longest proper suffix that is also a prefix, breadth first.
        self._fallback = [0] * len(self._next)
        queue = deque(self._next[0].values())
        while queue:
            state = queue.popleft()
            for char, child in self._next[state].items():
                self._fallback[child] = self._step(self._fallback[state], char)
                queue.append(child)

    def _step(self, state: int, char: str) -> int:
        while state and char not in self._next[state]:
            state = self._fallback[state]
        return self._next[state].get(char, 0)

    def _held(self, state: int) -> str:
        stop, length = self._prefix[state]
        return stop[:length]

    def push(self, text: str) -> str:
        """Add text; return what may be shown now."""
        if self.matched is not None:
            return ""
        state, at = self._state, 0
        while at < len(text):
            if state == 0:
                start = self._first.search(text, at)
                if start is None:
                    break
                at = start.start()
            state = self._step(state, text[at])
            at += 1
            if self._complete[state]:
                self.matched = self._held(state)
                return self._release(text[:at], state)
        return self._release(text, state)

    def _release(self, text: str, state: int) -> str:
        """Return the held text and `text`, without the suffix that `state` stands for."""
        before, self._state = self._state, 0 if self.matched else state
        size = self._prefix[before][1] + len(text) - self._prefix[state][1]
        return (self._held(before) + text)[:size] if size else ""

    def flush(self) -> str:
        """Return what was held back, at the end of the stream."""
        text, self._state = self._held(self._state), 0
        return text

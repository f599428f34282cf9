"""A walk over all rows of a table in a real terminal, each with an effect to be seen."""

import re
from collections.abc import Callable, Iterable, Sequence

from textual.binding import Binding, BindingType

from tests.tui.terminal import Terminal

_CURSOR = {"up": "A", "down": "B", "right": "C", "left": "D", "end": "F", "home": "H"}
_NUMBERED = {
    "delete": 3, "pageup": 5, "pagedown": 6, "f5": 15, "f6": 17, "f7": 18, "f8": 19, "f9": 20,
}  # fmt: skip
_CHARACTERS = {
    "space": " ",
    "question_mark": "?",
    "plus": "+",
    "minus": "-",
    "ctrl+underscore": "\x1f",
}
_CODES = {"enter": 13, "tab": 9, "escape": 27}
_MODIFIERS = {"shift": 1, "alt": 2, "ctrl": 4, "super": 8}

Look = tuple[object, ...]


def typed(key: str) -> bytes:
    """The bytes that a terminal sends for a key."""
    *modifiers, name = key.split("+")
    number = 1 + sum(_MODIFIERS[modifier] for modifier in modifiers)
    if key in _CHARACTERS:
        return _CHARACTERS[key].encode()
    if name in _CURSOR:
        return (
            f"\x1b[1;{number}{_CURSOR[name]}".encode()
            if modifiers
            else (f"\x1b[{_CURSOR[name]}".encode())
        )
    if name in _NUMBERED:
        return f"\x1b[{_NUMBERED[name]}~".encode()
    if name in ("f1", "f2", "f3", "f4"):
        return f"\x1bO{'PQRS'[int(name[1]) - 1]}".encode()
    if modifiers == ["ctrl"] and len(name) == 1:
        return bytes([ord(name) & 0x1F])
    if key == "alt+enter":
        return b"\x1b\r"
    if modifiers:
        return f"\x1b[{_CODES.get(name) or ord(name)};{number}u".encode()
    return bytes([_CODES[name]]) if name in _CODES else name.encode()


class Walk:
    """Presses the keys of some bindings, and looks at what each does.

    Args:
        tty: The program.
        groups: Headings and their bindings.
    """

    def __init__(self, tty: Terminal, groups: Iterable[tuple[str, Sequence[BindingType]]]) -> None:
        self.tty = tty
        self._keys: dict[str, list[str]] = {}
        for _, bindings in groups:
            for binding in bindings:
                assert isinstance(binding, Binding)
                assert binding.id
                self._keys[binding.id] = binding.key.split(",")
        self.left = {(name, key) for name, keys in self._keys.items() for key in keys}
        """Rows and keys that were not pressed yet."""

    def press(
        self, name: str, shows: str | Callable[[], object] = "", *, gone: str = "", key: int = 0
    ) -> None:
        """Press a key of a row: what it does is not to be seen before, and stays.

        Args:
            name: The binding's id.
            shows: A text that comes, or a condition.
            gone: A text that goes.
            key: Which of the binding's keys.
        """
        pressed = self._keys[name][key]

        def is_so() -> bool:
            came = shows() if callable(shows) else not shows or self.tty.shows(shows)
            return bool(came) and not (gone and self.tty.shows(gone))

        assert shows or gone
        self.tty.settle()
        assert not is_so(), f"{name}: it is so before {pressed}:\n" + "\n".join(self.tty.display)
        self.tty.send(typed(pressed))
        try:
            self.tty.until_stays(is_so)
        except AssertionError as error:
            raise AssertionError(f"{name}, {pressed}: {error}") from None
        self.left.discard((name, pressed))

    def leave(self, name: str) -> None:
        """Press a key that ends the program."""
        (pressed,) = self._keys[name]
        self.tty.send(typed(pressed))
        self.left.discard((name, pressed))

    def type(self, text: str, shows: str) -> None:
        """Type a text, and wait until one is to be seen."""
        self.tty.send(text.encode())
        self.tty.until(lambda: self.tty.shows(shows))

    def escape(self, shown: str) -> None:
        """Leave what shows a text, which a frame that is half read may not show either.

        A key that comes right behind Esc would be that key with Alt.
        """
        self.tty.send(b"\x1b")
        self.tty.until_stays(lambda: not self.tty.shows(shown))

    def changes(self, pattern: str) -> Callable[[], bool]:
        """Condition: a part of the screen becomes another."""
        before = self._found(pattern)
        return lambda: self._found(pattern) not in ("", before)

    def _found(self, pattern: str) -> str:
        found = re.search(pattern, "\n".join(self.tty.display))
        return found[0] if found else ""

    def moves(self, text: str) -> Callable[[], bool]:
        """Condition: a text is in other rows."""
        before = self._rows(text)
        return lambda: self._rows(text) != before

    def _rows(self, text: str) -> list[int]:
        return [y for y, row in enumerate(self.tty.display) if text in row]

    def restyles(self, text: str) -> Callable[[], bool]:
        """Condition: a text gets other colours, as what is chosen has."""
        before = self._look(text)
        return lambda: self._look(text) not in ((), before)

    def _look(self, text: str) -> Look:
        """The style of the first cell of a text on the screen; empty where it is not shown."""
        for y, row in enumerate(self.tty.display):
            if (x := row.find(text)) >= 0:
                cell = self.tty.screen.buffer[y][x]
                return cell.fg, cell.bg, cell.bold, cell.reverse, cell.underscore
        return ()

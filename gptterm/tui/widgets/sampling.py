"""The sampling panel: every sampler's setting, changed in place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive

from gptterm.config import Settings
from gptterm.tui.fields import FIELDS, Field, parse, shown, step
from gptterm.tui.widgets.ordered import run_own_binding
from gptterm.tui.widgets.rows import Part, Rows, fit
from gptterm.tui.widgets.transcript.wrap import display_text

SIGN = "▸"
"""Before the chosen one."""
LABEL = max(len(f"{SIGN}{field.label} ") for field in FIELDS)
"""Cells of a label, with the sign before it and a space after it."""
ARROWS = 2
"""Cells of an arrow."""
LEAST_VALUE = 6
"""Cells of a value; where there are fewer, the arrows are left out."""


class SamplingPanel(Rows, can_focus=True):
    """Up and Down choose, Left and Right change, a number types."""

    PREFIX = "sampling"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"sampling--{name}"
        for name in ("label", "value", "neutral", "arrow", "chosen", "chosen-value", "typed")
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "choose(-1)", "Above", id="sampling.up", tooltip="Choose the one above"),
        Binding("down", "choose(1)", "Below", id="sampling.down", tooltip="Choose the one below"),
        Binding("left", "step(-1)", "Less", id="sampling.less", tooltip="One step less"),
        Binding("right", "step(1)", "More", id="sampling.more", tooltip="One step more"),
        Binding("n", "neutral", "Neutral", id="sampling.neutral", tooltip="All samplers off"),
        Binding("p", "presets", "Presets", id="sampling.presets", tooltip="Choose a preset"),
        Binding("enter", "type", "Type", id="sampling.type", tooltip="Type a value, or take it"),
    ]

    chosen: reactive[int] = reactive(0)
    """Index of the chosen field."""

    typed: reactive[str | None] = reactive(None)
    """What was typed so far; None while nothing is typed."""

    @dataclass
    class Changed(Message):
        """A setting has another value."""

        name: str
        value: object

    @dataclass
    class Chosen(Message):
        """Another field is looked at; `help` says what it does."""

        help: str

    @dataclass
    class Refused(Message):
        """What was typed is no such value."""

        reason: str

    class NeutralWanted(Message):
        """Switch all samplers off."""

    class PresetsWanted(Message):
        """Show the presets."""

    def __init__(self, settings: Settings, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._settings = settings
        self._title()

    @property
    def count(self) -> int:
        """A row a field."""
        return len(FIELDS)

    @property
    def field(self) -> Field:
        """The chosen one."""
        return FIELDS[self.chosen]

    @property
    def _first(self) -> int:
        """The field in the first row; where there is no room for all, the chosen one is in view."""
        height = self.size.height
        return max(0, min(self.chosen - height // 2, len(FIELDS) - height))

    def show(self, settings: Settings) -> None:
        """Draw these values from now on."""
        self._settings = settings
        self._title()
        self.refresh()

    def _title(self) -> None:
        origins = self._settings.origins
        changed = any(origins[field.name] == "panel" for field in FIELDS)
        preset = self._settings.preset
        self.border_title = f"sampling · {'custom' if changed else preset or 'default'}"

    def _more(self) -> None:
        """Say how many fields are out of view."""
        above = self._first
        below = len(FIELDS) - above - self.size.height
        parts = [f"{sign} {n} more" for sign, n in (("↑", above), ("↓", below)) if n > 0]
        self.border_subtitle = " · ".join(parts)

    def on_resize(self, _event: events.Resize) -> None:
        """There is more room, or less."""
        self._more()

    def watch_chosen(self) -> None:
        """Others may be in view now."""
        self._more()

    # ------------------------------------------------------------------------------ drawing

    def row(self, y: int, width: int) -> Sequence[Part]:
        """The chosen one's sign, a label, and the value between arrows at the right edge."""
        field = FIELDS[y + self._first]
        value = self._settings.value(field.name)
        chosen = self.has_focus and field is self.field
        typing = chosen and self.typed is not None
        arrows = ("◂ ", " ▸") if width >= LABEL + 2 * ARROWS + LEAST_VALUE else ("", "")
        room = max(3, width - LABEL - sum(map(len, arrows)))
        text = display_text(f"{self.typed}▏" if typing else shown(field, value))
        if cell_len(text) > room:
            text = _end(text, room) if typing else fit(text, room)
        neutral = value == field.neutral
        style = "chosen-value" if chosen else "neutral" if neutral else "value"
        return (
            (SIGN if chosen else " ", "chosen-value" if chosen else "label"),
            (field.label.ljust(LABEL - len(SIGN)), "chosen" if chosen else "label"),
            (arrows[0], "chosen-value" if chosen else "arrow"),
            # A wide character that is cut leaves a cell free.
            (" " * (room - cell_len(text)) + text, "typed" if typing else style),
            (arrows[1], "chosen-value" if chosen else "arrow"),
        )

    def watch_has_focus(self, _value: bool) -> None:
        """The chosen row is only marked while keys go here."""
        super().watch_has_focus(_value)
        self.typed = None
        if _value:
            self.post_message(self.Chosen(self.field.help))
        self.refresh()

    # --------------------------------------------------------------------------------- keys

    def action_choose(self, by: int) -> None:
        """Choose a neighbour; what was typed is taken first."""
        if self.typed is not None and not self._commit_typed():
            return
        self.chosen = (self.chosen + by) % len(FIELDS)
        self.post_message(self.Chosen(self.field.help))

    def action_step(self, direction: int) -> None:
        """Change the chosen value by one step."""
        self.typed = None
        self._step(direction)

    def _step(self, direction: int) -> None:
        value = self._settings.value(self.field.name)
        stepped = step(self.field, value, direction)
        if stepped != value:
            self.post_message(self.Changed(self.field.name, stepped))
        elif not self.field.ladder and self.field.name == "stop":
            self.action_type()

    def action_type(self) -> None:
        """Begin to type, or take what was typed."""
        if self.typed is None:
            self.typed = ""
        else:
            self._commit_typed()

    def action_neutral(self) -> None:
        """Switch all samplers off."""
        self.post_message(self.NeutralWanted())

    def action_presets(self) -> None:
        """Show the presets."""
        self.post_message(self.PresetsWanted())

    def _commit_typed(self) -> bool:
        text, self.typed = self.typed, None
        if not text:
            return True
        try:
            value = parse(self.field, text)
        except ValueError as error:
            self.post_message(self.Refused(f"{self.field.label} {error}"))
            return False
        self.post_message(self.Changed(self.field.name, value))
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Letters are text while something is typed."""
        return not (self.typed is not None and action in ("neutral", "presets"))

    async def on_key(self, event: events.Key) -> None:
        """A number begins to type a value; then any character goes on with it."""
        if await run_own_binding(self, event):
            return
        if self.typed is not None and event.key in ("escape", "backspace"):
            self.typed = self.typed[:-1] or None if event.key == "backspace" else None
        elif (
            event.character
            and event.is_printable
            and (self.typed is not None or event.character in "0123456789.-")
        ):
            self.typed = (self.typed or "") + event.character
        else:
            return
        event.stop()
        event.prevent_default()

    def on_click(self, event: events.Click) -> None:
        """A click chooses a row; on an arrow it changes the value."""
        y = event.y - self.gutter.top + self._first
        if not 0 <= y < len(FIELDS):
            return
        self.typed = None
        self.chosen = y
        width = self.size.width
        x = event.x - self.gutter.left
        if x >= width - ARROWS:
            self._step(1)
        elif LABEL <= x < LABEL + ARROWS:
            self._step(-1)


def _end(text: str, width: int) -> str:
    """As much of the text's end as fits, after an …"""
    return "…" + next(text[at:] for at in range(len(text)) if cell_len(text[at:]) < width)

"""Sampling panel: every sampler's setting, changed in place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive

from gptterm.charts.cells import fit
from gptterm.config import Settings
from gptterm.terminal import display_text
from gptterm.tui.fields import FIELDS, Field
from gptterm.tui.widgets.key_dispatch import run_own_binding
from gptterm.tui.widgets.row_widget import RowWidget, StyledText

SIGN = "▸"
"""Marks the selected field."""
LABEL = max(len(f"{SIGN}{field.label} ") for field in FIELDS)
"""Cells of a label, with the sign before and a space after it."""
ARROWS = 2
"""Cells of an arrow."""
LEAST_VALUE = 6
"""Cells of a value; with fewer, the arrows are left out."""
SLIDER = 10
"""Cells of a slider, where there is room."""
LEAST_SLIDER = 6
"""Cells; with fewer, the sliders are left out."""
FILLED, TRACK = "━", "─"


class SamplingPanel(RowWidget, can_focus=True):
    """Up and Down choose, Left and Right change, a number types."""

    PREFIX = "sampling"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"sampling--{name}"
        for name in (
            *("label", "value", "changed", "neutral", "filled", "track"),
            *("selected", "selected-value", "typed"),
        )
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Above", id="sampling.up", tooltip="Choose the one above"),
        Binding("down", "move(1)", "Below", id="sampling.down", tooltip="Choose the one below"),
        Binding("left", "step(-1)", "Less", id="sampling.less", tooltip="Decrease by one step"),
        Binding("right", "step(1)", "More", id="sampling.more", tooltip="Increase by one step"),
        Binding(
            "n", "neutral", "Neutral", id="sampling.neutral", tooltip="Switch all samplers off"
        ),
        Binding("p", "presets", "Presets", id="sampling.presets", tooltip="Choose a preset"),
        Binding("enter", "type", "Type", id="sampling.type", tooltip="Type a value, or apply it"),
    ]

    selected: reactive[int] = reactive(0)
    """Index of the selected field."""

    typed: reactive[str | None] = reactive(None)
    """Value typed so far; None if none is being typed."""

    @dataclass
    class Changed(Message):
        """A setting was changed."""

        name: str
        value: object

    @dataclass
    class Selected(Message):
        """Another field was selected; `help` says what it does."""

        help: str

    @dataclass
    class Refused(Message):
        """The typed value is invalid."""

        reason: str

    class PresetsRequested(Message):
        """A preset is to be chosen."""

    def __init__(self, settings: Settings, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._settings = settings
        self._update_title()

    def rows_at(self, width: int) -> int:  # noqa: ARG002
        """Return one row per field."""
        return len(FIELDS)

    @property
    def field(self) -> Field:
        """The selected field."""
        return FIELDS[self.selected]

    @property
    def _first_row(self) -> int:
        """Index of the field in the first row, such that the selected one is in view."""
        height = self.size.height
        return max(0, min(self.selected - height // 2, len(FIELDS) - height))

    def show(self, settings: Settings) -> None:
        """Show other settings."""
        self._settings = settings
        self._update_title()
        self.refresh()

    def _update_title(self) -> None:
        origins = self._settings.origins
        changed = any(origins[field.name] == "panel" for field in FIELDS)
        preset = self._settings.preset
        self.border_title = f"sampling · {'custom' if changed else preset or 'default'}"

    def _update_subtitle(self) -> None:
        """Say how many fields are out of view."""
        above = self._first_row
        below = len(FIELDS) - above - self.size.height
        parts = [f"{sign} {n} more" for sign, n in (("↑", above), ("↓", below)) if n > 0]
        self.border_subtitle = " · ".join(parts)

    def on_resize(self, _event: events.Resize) -> None:
        """Update the number of fields out of view."""
        self._update_subtitle()

    def watch_selected(self) -> None:
        """Update the number of fields out of view."""
        self._update_subtitle()

    # ------------------------------------------------------------------------------ drawing

    def row(self, y: int, width: int) -> Sequence[StyledText]:
        """Return the sign, the label, a slider, and the value; arrows are on the chosen row."""
        field = FIELDS[y + self._first_row]
        value = self._settings.value(field.name)
        selected = self.has_focus and field is self.field
        typing = selected and self.typed is not None
        has_arrows = width >= LABEL + 2 * ARROWS + LEAST_VALUE
        blank = " " * ARROWS if has_arrows else ""
        arrows = ("◂ ", " ▸") if has_arrows and selected else (blank, blank)
        room = max(3, width - LABEL - sum(map(len, arrows)))
        is_neutral = value == field.neutral
        slider = () if typing else _slider(field.fraction(value), room, is_neutral)
        room -= sum(len(text) for text, _ in slider)
        text = display_text(f"{self.typed}▏" if typing else field.format(value))
        if cell_len(text) > room:
            text = _tail(text, room) if typing else fit(text, room)
        changed = self._settings.origins[field.name] == "panel"
        style = "changed" if changed else "neutral" if is_neutral else "value"
        style = "selected-value" if selected else style
        return (
            (SIGN if selected else " ", "selected-value" if selected else "label"),
            (field.label.ljust(LABEL - len(SIGN)), "selected" if selected else "label"),
            (arrows[0], "selected-value" if selected else "label"),
            *slider,
            # A wide character cut in half leaves a cell free.
            (" " * (room - cell_len(text)) + text, "typed" if typing else style),
            (arrows[1], "selected-value" if selected else "label"),
        )

    def watch_has_focus(self, _value: bool) -> None:
        """Mark the selected row only while the panel has the focus."""
        super().watch_has_focus(_value)
        self.typed = None
        if _value:
            self.post_message(self.Selected(self.field.help))
        self.refresh()

    # --------------------------------------------------------------------------------- keys

    def action_move(self, by: int) -> None:
        """Move the selection, after applying a typed value."""
        if self.typed is not None and not self._commit_typed():
            return
        self.selected = (self.selected + by) % len(FIELDS)
        self.post_message(self.Selected(self.field.help))

    def action_step(self, direction: int) -> None:
        """Change the selected value by one step."""
        self.typed = None
        self._step(direction)

    def _step(self, direction: int) -> None:
        value = self._settings.value(self.field.name)
        stepped = self.field.step(value, direction)
        if stepped != value:
            self.post_message(self.Changed(self.field.name, stepped))
        elif not self.field.steps and self.field.name == "stop":
            self.action_type()

    def action_type(self) -> None:
        """Begin to type a value, or apply the typed one."""
        if self.typed is None:
            self.typed = ""
        else:
            self._commit_typed()

    def action_neutral(self) -> None:
        """Switch all samplers off."""
        self.post_message(self.Changed("preset", "neutral"))

    def action_presets(self) -> None:
        """Choose a preset."""
        self.post_message(self.PresetsRequested())

    def _commit_typed(self) -> bool:
        text, self.typed = self.typed, None
        if not text:
            return True
        try:
            value = self.field.parse(text)
        except ValueError as error:
            self.post_message(self.Refused(f"{self.field.label} {error}"))
            return False
        self.post_message(self.Changed(self.field.name, value))
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Disable letters as keys while a value is typed."""
        return not (self.typed is not None and action in ("neutral", "presets"))

    async def on_key(self, event: events.Key) -> None:
        """Begin a value with a digit; then take any character."""
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
        """Select the clicked row; on an arrow, change the value."""
        y = event.y - self.gutter.top + self._first_row
        if not 0 <= y < len(FIELDS):
            return
        self.typed = None
        self.selected = y
        width = self.size.width
        x = event.x - self.gutter.left
        if x >= width - ARROWS:
            self._step(1)
        elif LABEL <= x < LABEL + ARROWS:
            self._step(-1)


def _slider(fraction: float | None, room: int, is_neutral: bool) -> tuple[StyledText, ...]:
    """Draw where a value is, in what its text leaves of `room` cells; faint without effect."""
    width = min(SLIDER, room - LEAST_VALUE - 1)
    if fraction is None or width < LEAST_SLIDER:
        return ()
    filled = round(fraction * width)
    style = "track" if is_neutral else "filled"
    return (FILLED * filled, style), (TRACK * (width - filled), "track")


def _tail(text: str, width: int) -> str:
    """Return as much of the text's end as fits, after an …"""
    return "…" + next(text[at:] for at in range(len(text)) if cell_len(text[at:]) < width)

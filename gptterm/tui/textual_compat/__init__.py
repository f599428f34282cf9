"""Private parts of Textual that the TUI relies on.

Those of its drivers are in `drivers`, of text areas in `wrapped_text_area` and `row_text_area`;
`key_order` has keys act one after the other.
Textual is pinned in constraints.txt; tests check that each of these exists in that version.
"""

import math
import os
import select
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from time import monotonic
from typing import Any, TypeVar, cast
from unicodedata import category

from textual import constants, events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._compositor import Compositor, ReflowResult
from textual._styles_cache import StylesCache
from textual.app import App
from textual.await_complete import AwaitComplete
from textual.cache import LRUCache
from textual.content import Content
from textual.css.model import RuleSet
from textual.driver import Driver
from textual.geometry import Region, Size
from textual.screen import UPDATE_PERIOD, Screen
from textual.widget import Widget
from textual.widgets import TextArea
from textual.worker import WorkerFailed

from gptterm.terminal import printable
from gptterm.tui.textual_compat.key_order import Input, KeyOrder

Result = TypeVar("Result")
KEY_S = 2 * UPDATE_PERIOD
"""Time in which a key is drawn beside an engine that writes, as a rule: others wait for it."""
DRAWN_LINES = 128
"""Rows that a text area keeps as it drew them; more than a tall one shows."""


def add_key_sequence(sequence: str, key: str) -> None:
    """Have Textual's parser of terminal input read an escape sequence as a key."""
    (member,) = StrEnum("_Key", {"KEY": key})
    cast("dict[str, object]", ANSI_SEQUENCES_KEYS)[sequence] = (member,)


def write_to_terminal(app: App[Any], data: str) -> None:
    """Write a control sequence to the terminal that the app draws on, if there is one."""
    if (driver := app._driver) is not None:
        driver.write(data)
        driver.flush()


def keep_few_lines(area: TextArea) -> None:
    """Have a text area keep few rows as it drew them, of texts that are no longer there.

    Textual keeps 1,024: each 2 KB, with one more for each text of the line and place of the cursor.
    """
    area._line_cache = LRUCache(DRAWN_LINES)


def set_titles(widget: Widget, title: str, subtitle: str) -> None:
    """Set both titles of a widget's frame, of console markup, and draw the rows that they are in.

    Textual draws the whole widget for each that is set, also if it is the same.
    """
    before = widget._border_title, widget._border_subtitle
    titles = _title(widget, title), _title(widget, subtitle)
    if [each and each.markup for each in titles] == [each and each.markup for each in before]:
        return
    widget._border_title, widget._border_subtitle = titles
    (left, top), (width, height) = widget.content_offset, widget.outer_size
    widget.refresh(Region(-left, -top, width, 1), Region(-left, height - 1 - top, width, 1))


def _title(widget: Widget, markup: str) -> Content | None:
    """A title as Textual keeps it: the first line, or none."""
    return widget.render_str(markup).expand_tabs(4).split()[0] if markup else None


def forget_lines(area: TextArea) -> None:
    """Have a text area draw all rows anew."""
    area._line_cache.clear()


@cache
def draw_what_moved() -> None:
    """Have a layout draw all that moved since the last one, and tell each widget its new size.

    Textual compares with the places that were worked out last. After a scroll, to ask for a place
    works all out anew: between a change and its layout that gives the new places already.
    """
    reflow = Compositor.reflow

    def reflow_from_last_layout(self: Any, parent: Widget, size: Size) -> ReflowResult:
        self._full_map = getattr(self, "_laid_out", self._full_map)
        result = reflow(self, parent, size)
        self._laid_out = self._full_map
        return result

    Compositor.reflow = reflow_from_last_layout  # type: ignore[method-assign]


@cache
def hash_rules_fast() -> None:
    """Have rules of style sheets hashed by their identity in C; Textual does the same in Python.

    It hashes all rules for each widget and each of its component classes: 60,000 times at start.
    """
    RuleSet.__hash__ = object.__hash__  # type: ignore[method-assign]


@cache
def type_joiners() -> None:
    """Have the key of a joiner or another format character typed as any other.

    Textual drops what Python calls unprintable: Persian, Indic scripts and emoji need these.
    """
    is_printable = cast("property", events.Key.is_printable).fget
    assert is_printable is not None

    def is_typed(self: events.Key) -> bool:
        character = self.character or ""
        is_format = len(character) == 1 and category(character) == "Cf"
        return is_printable(self) or (is_format and printable(character) == character)

    events.Key.is_printable = property(is_typed)  # type: ignore[method-assign, assignment]


@cache
def draw_keys_at_once() -> None:
    """Have a screen draw what a key changed as soon as the key has acted.

    Textual draws at one of 60 moments a second. A key that came while a frame was drawn would wait
    for the next one, and what other messages bring until then would be drawn first: a frame that is
    due between a key and what it does waits for it.
    """
    on_idle, on_timer_update = Screen._on_idle, Screen._on_timer_update

    async def draw_or_wait(self: Screen[Any], event: events.Idle) -> None:
        # A layout waits: what is to be in a new place may not be there yet.
        repaints = self._dirty_widgets and not (self._layout_required or self._repaint_required)
        app = self.app
        if (
            repaints
            and self.is_current
            and not app._batch_count
            and isinstance(app, TerminalApp)
            and app.takes_frame_of_key()
        ):
            event.prevent_default()
            app.release_repaints()
            on_timer_update(self)
            app.key_drawn()
        else:
            await on_idle(self, event)

    def update_or_wait(self: Screen[Any]) -> None:
        app = self.app
        if isinstance(app, TerminalApp):
            moves = self._layout_required or self._repaint_required
            if app.awaits_frame_of_key() and not moves:
                return
            app.release_repaints()
        on_timer_update(self)

    Screen._on_idle = draw_or_wait  # type: ignore[method-assign]
    Screen._on_timer_update = update_or_wait  # type: ignore[method-assign]


class InputUnread(events.Event):
    """Input came that is not UTF-8: in so many places of it U+FFFD stands."""

    def __init__(self, places: int) -> None:
        super().__init__()
        self.places = places


class TerminalApp(App[Result]):
    """An app with our drivers; it remembers the first unhandled exception, which ends the app.

    Attributes:
        failure: That exception.
        take_key: Gets the next keys before they do anything, while one is asked for.
    """

    failure: Exception | None = None
    take_key: Callable[[str], None] | None = None
    _key_unhandled = _key_undrawn = False
    _key_came_at = _key_drawn_at = -math.inf
    _input_waits_since: float | None = None
    """When the first input was noticed that has not acted yet."""

    def __init__(self) -> None:
        draw_keys_at_once()
        draw_what_moved()
        hash_rules_fast()
        type_joiners()
        super().__init__()
        self._key_order = KeyOrder(self, self._handle_input)
        self._held: list[tuple[Screen[Any], set[Widget]]] = []
        """Widgets that were to be drawn before a key, by their screens."""

    @property
    def is_exiting(self) -> bool:
        """Whether `exit` was called."""
        return self._exit

    async def on_event(self, event: events.Event) -> None:
        """Hand keys over in their order."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self._key_order.take(event)
            return
        if isinstance(event, events.Key):
            self._expect_frame()
        await super().on_event(event)

    async def _handle_input(self, event: Input) -> None:
        """Hand input to the focused widget, or a key that is asked for to who asks."""
        if isinstance(event, events.Key):
            self._key_unhandled, self._input_waits_since = False, None
            if self.take_key is not None:
                self.take_key(event.key)
                return
            self._expect_frame()
        await super().on_event(event)

    def _expect_frame(self) -> None:
        """Have what a key does drawn as soon as it has acted."""
        self._key_undrawn, self._key_came_at = True, monotonic()
        self._hold_repaints()

    def takes_frame_of_key(self) -> bool:
        """Return whether a key is to be drawn now, which is so once for each, 60 times a second."""
        now = monotonic()
        if not self._key_undrawn or now - self._key_drawn_at < UPDATE_PERIOD:
            return False
        self._key_undrawn, self._key_drawn_at = False, now
        return True

    def key_drawn(self) -> None:
        """Called when what a key changed was drawn."""

    def _hold_repaints(self) -> None:
        """Put what is to be drawn aside, so that it does not count as what a key changes."""
        screen = self.screen
        if screen._dirty_widgets:
            self._held.append((screen, screen._dirty_widgets))
            screen._dirty_widgets = set()
            screen._update_timer.resume()

    def release_repaints(self) -> None:
        """Have what was put aside drawn with the next frame."""
        for screen, widgets in self._held:
            screen._dirty_widgets.update(widgets)
        self._held.clear()

    def awaits_frame_of_key(self) -> bool:
        """Return whether a key has come just now, so that a frame is to have what it does."""
        now = monotonic()
        if self._key_undrawn:
            return now - self._key_came_at < KEY_S
        if not (self._key_unhandled or self._has_unread_input()):
            self._input_waits_since = None
            return False
        if self._input_waits_since is None:
            self._input_waits_since = now
        return now - self._input_waits_since < KEY_S

    def key_read(self) -> None:
        """Called by the driver for each key, which is handled after what the loop does by then."""
        self._key_unhandled = True

    def _has_unread_input(self) -> bool:
        """Whether the terminal has input: while a frame was prepared, nothing was read."""
        fileno = getattr(self._driver, "fileno", None)
        if fileno is None:
            return False
        poll = select.poll()
        poll.register(fileno, select.POLLIN)
        return bool(poll.poll(0))

    async def _on_exit_app(self) -> None:
        """Exit as by a key when the driver says so: a page of a browser was closed."""
        self._exit = True
        await super()._on_exit_app()

    def _handle_exception(self, error: Exception) -> None:
        cause = error.error if isinstance(error, WorkerFailed) else error
        if self.failure is None and isinstance(cause, Exception):
            self.failure = cause
        super()._handle_exception(error)

    def pop_screen(self) -> AwaitComplete:
        """Close a dialog, and drop what was drawn of it.

        A cache of two colours, which is a method's, holds on to the strips of a thousand widgets.
        """
        popped = super().pop_screen()
        StylesCache.get_inner_outer.cache_clear()
        return popped

    def _build_driver(
        self, headless: bool, inline: bool, mouse: bool, size: tuple[int, int] | None
    ) -> Driver:
        if os.name != "posix" or constants.DRIVER is not None or headless:
            return super()._build_driver(headless, inline, mouse, size)
        from gptterm.tui.textual_compat.drivers import FullScreenDriver, InlineDriver

        chosen = InlineDriver if inline else FullScreenDriver
        self._driver = chosen(self, debug=constants.DEBUG, mouse=mouse, size=size)
        return self._driver


def awaits_key(app: App[Any]) -> bool:
    """Return whether a key has come just now, whose frame is better drawn before anything else."""
    return isinstance(app, TerminalApp) and app.awaits_frame_of_key()

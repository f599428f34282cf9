"""Private parts of Textual: all in one module, and all there in the pinned version."""

import ast
import asyncio
import importlib
import inspect
import os
import pkgutil
import signal
from collections.abc import Iterator
from types import ModuleType
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text
from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._styles_cache import StylesCache
from textual._wait import wait_for_idle
from textual._xterm_parser import XTermParser
from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.css.model import RuleSet
from textual.document._document import Document
from textual.document._wrapped_document import WrappedDocument
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.drivers.linux_inline_driver import LinuxInlineDriver
from textual.widgets import Static, TextArea

import gptterm.tui
from gptterm.tui import textual_compat
from gptterm.tui.textual_compat import KEY_S, TerminalApp
from gptterm.tui.textual_compat.drivers import FullScreenDriver
from gptterm.tui.textual_compat.wrapped_text_area import cut_lines_fast


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(gptterm.tui.__path__, "gptterm.tui."):
        if not found.name.startswith(textual_compat.__name__):
            yield importlib.import_module(found.name)


def textual_names(value: object) -> set[str]:
    """Private names that a class inherits from Textual."""
    return {
        name
        for base in inspect.getmro(value if isinstance(value, type) else type(value))
        if base.__module__.startswith("textual.")
        for name in (*vars(base), *_instance_names(base))
        if name.startswith("_") and not name.startswith("__")
    }


def _instance_names(base: type) -> Iterator[str]:
    """Attributes that the constructor of a class sets."""
    constructor = vars(base).get("__init__")
    if inspect.isfunction(constructor):
        yield from constructor.__code__.co_names


def private_uses(module: ModuleType) -> Iterator[str]:
    """Private parts of Textual that a module imports, overrides or touches."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        match node:
            case ast.ImportFrom(module=str(source), names=imported):
                if source.startswith("textual"):
                    names = (*source.split("."), *(alias.name for alias in imported))
                    yield from (name for name in names if name.startswith("_"))
            case ast.ClassDef(name=name) if hasattr(module, name):
                inherited = textual_names(getattr(module, name))
                yield from (f"{name}.{used}" for used in _names_in(node) if used in inherited)
            case ast.Attribute(value=ast.Attribute(attr="app" | "screen"), attr=used):
                if used.startswith("_"):
                    yield f"app.{used}"


def _names_in(node: ast.ClassDef) -> Iterator[str]:
    """Attributes and methods of a class's source."""
    for inner in ast.walk(node):
        match inner:
            case ast.Attribute(attr=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_no_other_module_uses_private_parts(module: ModuleType) -> None:
    assert list(private_uses(module)) == []


def test_the_check_sees_what_it_looks_for() -> None:
    assert {"_ansi_sequences", "TerminalApp._handle_exception"} <= set(private_uses(textual_compat))


def test_the_private_parts_are_there() -> None:
    assert ANSI_SEQUENCES_KEYS["\x1b[A"]
    assert "_driver" in App.__init__.__code__.co_names
    assert callable(App._handle_exception)
    assert callable(LinuxDriver._sigcont_application)
    assert callable(LinuxDriver._sigtstp_application)
    assert "_auto_restart" in Driver.__init__.__code__.co_names
    assert {"_must_signal_resume", "_writer_thread", "fileno", "exit_event"} <= set(
        LinuxDriver.__init__.__code__.co_names
    )
    assert {"fileno", "exit_event"} <= set(LinuxInlineDriver.__init__.__code__.co_names)
    for driver in (LinuxDriver, LinuxInlineDriver):
        assert "_run_input_thread" in driver.start_application_mode.__code__.co_names
    assert callable(StylesCache.get_inner_outer.cache_clear)
    assert {"_line_cache", "LRUCache"} <= set(TextArea.__init__.__code__.co_names)
    assert callable(TextArea._rewrap_and_refresh_virtual_size)
    parser = XTermParser()
    assert list(parser.feed("\x1b")) == []
    assert parser._timeout_time
    named = (inspect.signature(c._build_driver).parameters for c in (App, TerminalApp))
    assert len(set(map(tuple, named))) == 1


def test_rules_are_told_apart_by_their_identity() -> None:
    textual_compat.hash_rules_fast()
    one, other = RuleSet(), RuleSet()
    assert hash(one) == object.__hash__(one)
    assert len({one, other, one}) == 2


def test_a_row_of_the_table_of_rows_is_one_of_the_height() -> None:
    document = Document("a b c d\n\nwords that are wrapped")
    wrapped = WrappedDocument(document, width=5)
    for start, end, text in (
        ((0, 1), (0, 1), "x y z\nq\n"),
        ((0, 0), (3, 2), ""),
        ((0, 0), (0, 0), ""),
    ):
        edited = document.replace_range(start, end, text)
        wrapped.wrap_range(start, end, edited.end_location)
        height = sum(len(offsets) + 1 for offsets in wrapped._wrap_offsets)
        assert wrapped.height == len(wrapped._offset_to_line_info) == height


@given(st.lists(st.text(alphabet="ab  \t大🙂(", max_size=60)), st.integers(1, 14))
def test_a_line_is_cut_into_its_rows(lines: list[str], width: int) -> None:
    cut_lines_fast()
    wrapped = WrappedDocument(Document("\n".join(lines)), width=width)
    for number, line in enumerate(wrapped.document.lines):
        rows = Text(line, end="").divide(wrapped.get_offsets(number))
        assert wrapped.get_sections(number) == [row.plain for row in rows]


class _Input:
    """A terminal of which nothing but the input is looked at."""

    def __init__(self) -> None:
        self.fileno, self.other_side = os.pipe()


def test_a_frame_waits_for_unread_input_but_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(textual_compat, "monotonic", lambda: now[0])
    app, terminal = TerminalApp[None](), _Input()
    app._driver = cast("Driver", terminal)
    assert not app.awaits_frame_of_key()
    os.write(terminal.other_side, b"a")
    assert app.awaits_frame_of_key()
    now[0] += KEY_S / 2
    assert app.awaits_frame_of_key()
    now[0] += KEY_S
    assert not app.awaits_frame_of_key(), "what no one reads holds up no frame for good"
    os.read(terminal.fileno, 1)
    assert not app.awaits_frame_of_key()
    app.key_read()
    assert app.awaits_frame_of_key(), "read, but it has not acted"


async def test_a_frame_waits_for_a_key_until_it_has_acted() -> None:
    async with (app := TerminalApp[None]()).run_test():
        app.key_read()
        assert app.awaits_frame_of_key()
        await app.on_event(events.Key("a", "a"))
        app.key_drawn()
        app.takes_frame_of_key()
        assert not app.awaits_frame_of_key()


class _Pane(Static):
    """Says which widths it was told."""

    def __init__(self, id: str) -> None:  # noqa: A002 (Textual's name)
        super().__init__("x", id=id)
        self.widths: list[int] = []

    def on_resize(self, event: events.Resize) -> None:
        self.widths.append(event.size.width)


class _Panes(TerminalApp[None]):
    CSS = "#side { width: 20 } #main { width: 1fr }"

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield _Pane("side")
            yield _Pane("main")


async def test_what_moved_is_told_though_its_place_was_asked_for_before_the_layout() -> None:
    async with (app := _Panes()).run_test(size=(80, 24)) as pilot:
        side, main = app.query_one("#side", _Pane), app.query_one("#main", _Pane)
        assert main.widths[-1] == 60
        with app.batch_update():
            app.screen._compositor.reflow_visible(app.screen, app.size)  # a scroll
            side.display = False
            await pilot.pause()
            assert app.screen._compositor.full_map[main].region.width == 80
        await pilot.pause()
        assert main.widths[-1] == 80


class _Counter(TerminalApp[None]):
    """Counts keys, and how often the count was drawn."""

    drawn = 0

    def compose(self) -> ComposeResult:
        yield Static("0")

    def on_key(self, event: events.Key) -> None:
        self.query_one(Static).update(event.key, layout=False)

    def count_frames(self) -> None:
        draw = self.screen._compositor_refresh

        def refresh() -> None:
            self.drawn += 1
            draw()

        self.screen._compositor_refresh = refresh  # type: ignore[method-assign]


async def test_a_key_is_drawn_before_the_next_tick_and_no_oftener_than_ticks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never, now = 3600.0, 0.0
    monkeypatch.setattr("textual.screen.UPDATE_PERIOD", never)
    monkeypatch.setattr("gptterm.tui.textual_compat.monotonic", lambda: now)
    async with (app := _Counter()).run_test() as pilot:
        await pilot.pause()  # what was drawn at the start
        app.count_frames()

        async def press(key: str) -> int:
            app.post_message(events.Key(key, key))
            await wait_for_idle(0)
            return app.drawn

        now = 1.0
        assert await press("a") == 1
        assert await press("b") == 1  # in the same sixtieth of a second
        now = 2.0
        assert await press("c") == 2
        app.query_one(Static).update("no key", layout=False)
        await wait_for_idle(0)
        assert app.drawn == 2


async def test_a_frame_that_is_due_waits_for_a_key_that_has_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1.0
    monkeypatch.setattr("gptterm.tui.textual_compat.monotonic", lambda: now)
    async with (app := _Counter()).run_test() as pilot:
        await pilot.pause()
        app.count_frames()
        screen, shown = app.screen, app.query_one(Static)

        def tick() -> int:
            screen._dirty_widgets.add(shown)
            screen._on_timer_update()
            return app.drawn

        assert tick() == 1
        app._key_undrawn, app._key_came_at = True, now
        assert tick() == 1
        now += 1.0  # a key that changes nothing holds no frame up for long
        assert tick() == 2


async def test_what_was_to_be_drawn_before_a_key_is_drawn_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("textual.screen.UPDATE_PERIOD", 3600.0)
    monkeypatch.setattr("gptterm.tui.textual_compat.monotonic", lambda: 1.0)
    async with (app := _Counter()).run_test() as pilot:
        await pilot.pause()
        app.count_frames()
        screen, shown = app.screen, app.query_one(Static)
        screen._dirty_widgets.add(shown)
        await app.on_event(events.Key("a", "a"))
        await screen._on_idle(events.Idle())
        assert app.drawn == 0  # what the key changes is yet to come
        await wait_for_idle(0)
        assert app.drawn == 1
        assert not screen._dirty_widgets


def test_a_sequence_is_read_as_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ANSI_SEQUENCES_KEYS, "\x1b\r", raising=False)
    textual_compat.add_key_sequence("\x1b\r", "alt+enter")
    keys = ANSI_SEQUENCES_KEYS["\x1b\r"]
    assert isinstance(keys, tuple)
    assert [str(key) for key in keys] == ["alt+enter"]


async def test_a_signal_writes_nothing_before_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    for name in ("suspend_application_mode", "resume_application_mode"):
        monkeypatch.setattr(FullScreenDriver, name, lambda _, name=name: done.append(name))
    monkeypatch.setattr(FullScreenDriver, "_is_active", True)
    monkeypatch.setattr(os, "kill", lambda *_: done.append("stop"))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTSTP, signal.SIGCONT)}
    try:
        driver = FullScreenDriver(TerminalApp[None]())
        driver._sigcont_application()
        driver._sigtstp_application()
        # The thread may hold the lock that all writing waits for.
        assert not done
        await asyncio.sleep(0)
        back = ["suspend_application_mode", "resume_application_mode"]
        assert done == [*back, "suspend_application_mode", "stop"]
        # The terminal is another program's: nothing is written.
        driver._auto_restart = False
        driver._sigtstp_application()
        assert done[4:] == ["stop"]
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)

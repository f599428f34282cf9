"""Each key has acted before the next is handled; one that does not end holds up none for long."""

import asyncio
from typing import ClassVar

import pytest
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import ModalScreen
from textual.widgets import Input

from gptterm.tui.textual_compat import TerminalApp, key_order


class _Dialog(ModalScreen[None]):
    def compose(self) -> ComposeResult:
        yield Input(id="dialog")

    def on_input_submitted(self) -> None:
        self.dismiss()


class _Field(Input):
    """A text field that takes a time for each key, if it is told to."""

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        self.takes: asyncio.Event | None = None
        self.begun = asyncio.Event()

    async def on_key(self) -> None:
        if self.takes is not None:
            self.begun.set()
            await self.takes.wait()


class _Fields(TerminalApp[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        ("f1", "other"),
        ("f2", "dialog"),
        ("f3", "gone"),
    ]

    def compose(self) -> ComposeResult:
        for name in ("one", "other"):
            yield _Field(name)

    def action_other(self) -> None:
        self.query_one("#other").focus()

    def action_dialog(self) -> None:
        self.dialog = _Dialog()
        self.push_screen(self.dialog)

    async def action_gone(self) -> None:
        self.action_other()
        await self.query_one("#one").remove()

    def texts(self) -> dict[str | None, str]:
        """Of the fields of all screens."""
        fields = (field for screen in self.screen_stack for field in screen.query(Input))
        return {field.id: field.value for field in fields}

    def send(self, *keys: str) -> None:
        for key in keys:
            self.post_message(events.Key(key, key if len(key) == 1 else None))


async def until(app: _Fields, name: str, text: str) -> None:
    for _ in range(500):
        if app.texts().get(name) == text:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{name} never had {text!r}: {app.texts()}")


async def test_what_follows_goes_where_the_key_before_has_led() -> None:
    async with (app := _Fields()).run_test():
        app.send("a", "f1", "b", "f2", "c", "d")
        app.post_message(events.Paste("e"))
        await until(app, "dialog", "cde")
        app.send("enter", "f", "tab", "g")
        await until(app, "one", "g")  # Tab selects what is there
        assert app.texts() == {"one": "g", "other": "bf"}


async def test_a_widget_that_goes_with_a_key_holds_up_none() -> None:
    async with (app := _Fields()).run_test():
        app.send("a", "f3", "b", "c")
        await until(app, "other", "bc")


async def test_a_key_that_does_not_end_holds_up_none_for_long() -> None:
    async with (app := _Fields()).run_test():
        one = app.query_one("#one", _Field)
        one.takes = asyncio.Event()
        app.send("left")
        await one.begun.wait()
        app.screen.set_focus(app.query_one("#other"))
        app.send("a", "f1", "b")
        await until(app, "other", "ab")
        one.takes.set()


@pytest.mark.parametrize("held", [0.0, 5.0])
async def test_all_keys_come_in_their_order_whatever_they_are_held_for(
    held: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_order, "ACT_S", held)
    async with (app := _Fields()).run_test():
        app.send(*"the quick brown fox".replace(" ", "_"))
        await until(app, "one", "the_quick_brown_fox")

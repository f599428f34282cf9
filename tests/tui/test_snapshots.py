"""Pictures of every screen and state. `pytest --snapshot-update` draws them anew."""

import re
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

from gptterm.config import Settings, TuiSettings, load_settings
from gptterm.conversation.nodes import Node
from gptterm.engine.api import ModelSource
from gptterm.engine.ipc.client import EngineClient
from gptterm.store import History, day_name
from gptterm.tui.app import GpttermApp
from gptterm.tui.result import ContinuePlain
from gptterm.tui.screens import stream_painter
from gptterm.tui.state.reply import Reply
from gptterm.tui.state.reply_numbers import ReplyNumbers, reply_numbers
from gptterm.tui.state.turns import reply_details
from tests.store import chats as made
from tests.support.scripted import FACTORY, Fault, Script, write_script
from tests.tui.conftest import Desk

pytestmark = pytest.mark.frames

MARKDOWN = """# A plan

Here is **what to do**, in *three* steps with `code`:

1. Install it: `pip install gptterm`
2. Run it
   - with a prompt
   - or without one

```python
def greet(name: str) -> str:
    return f"Hello {name}"
```

> A quotation that is long enough to be wrapped on to a second row.

| model | size | 速度 |
|---|---|---|
| gpt2 | 124M | fast |
| gpt2-xl | 1.5B | slow |
"""
WIDE = (
    "漢字とかな。한국어. e\u0301e\u0301 עברית \U0001f469\u200d\U0001f680 "
    "[red]not markup[/] \x1b[31m"
)

Steps = Callable[[Desk], Awaitable[None]]
Compare = Callable[..., bool]
Snap = Callable[..., bool]


def held(numbers: ReplyNumbers) -> ReplyNumbers:
    """These, as if every reply had been as fast as another."""
    if numbers.first_token_s is None:
        return numbers
    return numbers._replace(tokens_per_s=128.0, first_token_s=0.12)


def fixed_details(node: Node) -> tuple[str, ...]:
    """The details of a reply, as if each had been as fast as another."""
    return tuple(re.sub(r"^[\d.]+ tok/s$", "128 tok/s", part) for part in reply_details(node))


@pytest.fixture
def snap(
    snap_compare: Compare, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Snap:
    """Draws the TUI after some steps; what differs from run to run is held still."""
    monkeypatch.setattr(Reply, "tokens_per_s", property(lambda _: 128.0))
    monkeypatch.setattr(Reply, "first_token_s", property(lambda _: 0.12))
    monkeypatch.setattr(
        stream_painter, "reply_numbers", lambda controller: held(reply_numbers(controller))
    )
    monkeypatch.setattr("gptterm.tui.state.chat.reply_details", fixed_details)
    # It has as many steps as were asked for on the way, or none.
    monkeypatch.setattr("gptterm.tui.widgets.distribution._sparkline", lambda _: "")
    monkeypatch.setattr("gptterm.tui.widgets.chats.clock", lambda when, _: "12:34" if when else "")
    monkeypatch.setattr(
        "gptterm.tui.screens.chat.details", lambda _: "gpt2 · temperature 0.8 · seed 42"
    )

    def compare(
        steps: Steps,
        script: Script | None = None,
        *,
        size: tuple[int, int] = (140, 36),
        theme: str = "dark",
        ready: bool = True,
    ) -> bool:
        request = write_script(tmp_path, script or Script.saying(MARKDOWN, "Short."))

        async def find(asked: Settings, _report: Callable[[str], None]) -> ModelSource:
            return msgspec.structs.replace(request.source, name=asked.model)

        tui = TuiSettings(theme=theme, reduced_motion=True)
        settings = msgspec.structs.replace(load_settings({}), tui=tui)
        client = EngineClient(factory=FACTORY, log=home / "engine.log")
        app = GpttermApp(settings, None, client, find)

        async def run(pilot: Pilot[int | ContinuePlain]) -> None:
            desk = Desk(app, pilot)
            await desk.until(lambda: desk.controller.chat_list.is_settled)
            if ready:
                await desk.ready()
            await steps(desk)
            await pilot.pause()

        return snap_compare(app, terminal_size=size, run_before=run)

    return compare


async def talk(desk: Desk) -> None:
    """One turn, its reply made three times; the last version is open."""
    await desk.say("Write me a plan, please.")
    for turns in (3, 4):
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.idle and len(desk.controller.chat.tree) == turns)  # noqa: B023
    await desk.until(lambda: "·the" in desk.text or desk.app.size.width < 100)


@pytest.mark.parametrize("theme", ["dark", "light", "contrast", "ansi"])
def test_chat(snap: Snap, theme: str) -> None:
    assert snap(talk, theme=theme)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (200, 60), (20, 5)])
def test_chat_in_other_sizes(snap: Snap, size: tuple[int, int]) -> None:
    assert snap(talk, size=size)


def test_empty(snap: Snap) -> None:
    async def nothing(desk: Desk) -> None:
        await desk.until(lambda: "ready to chat" in desk.text)

    assert snap(nothing)


def test_loading_with_a_message_waiting(snap: Snap) -> None:
    async def early(desk: Desk) -> None:
        await desk.type("early")
        await desk.press("enter")
        await desk.until(lambda: "waiting: loading" in desk.text)

    assert snap(early, Script.saying("Late.", load_s=30), ready=False)


def test_base_model_text_stays_plain(snap: Snap) -> None:
    async def say(desk: Desk) -> None:
        await desk.say(WIDE)

    assert snap(say, Script.saying([WIDE + "\n# not *Markdown*"], has_chat_template=False))


def test_selected_turn(snap: Snap) -> None:
    async def select(desk: Desk) -> None:
        await talk(desk)
        await desk.press("ctrl+l")

    assert snap(select)


def test_editing_a_turn(snap: Snap) -> None:
    async def edit(desk: Desk) -> None:
        await talk(desk)
        await desk.press("ctrl+l", "up", "e")

    assert snap(edit)


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
def test_sampling_with_cut_tokens(snap: Snap, size: tuple[int, int]) -> None:
    async def change(desk: Desk) -> None:
        await desk.say("hi")
        await desk.press("f5", "down", "1", "enter")
        await desk.until(lambda: "cut top-k" in desk.text)
        await desk.press("down", ".")

    assert snap(change, Script.saying("Short."), size=size)


def test_chats_over_a_narrow_screen(snap: Snap) -> None:
    async def call(desk: Desk) -> None:
        await desk.say("first chat")
        await desk.press("ctrl+n")
        await desk.say("second chat")
        await desk.press("ctrl+b")

    assert snap(call, Script.saying("Short."), size=(80, 24))


def test_marks(snap: Snap) -> None:
    async def break_off(desk: Desk) -> None:
        await desk.say("one")
        await desk.say("two")
        desk.screen.prompt.put("/top-p 3")
        await desk.press("enter")

    fault = Fault(at="decode", how="out_of_memory", token=2, generation=1)
    script = Script.saying(
        "A part of it.", "And one that fails.", dropped_messages=1, faults=(fault,)
    )
    assert snap(break_off, script)


def test_hint_of_a_command(snap: Snap) -> None:
    async def begin(desk: Desk) -> None:
        await desk.type("/re")

    assert snap(begin)


def test_more_below(snap: Snap) -> None:
    async def scroll(desk: Desk) -> None:
        await desk.say("a lot")
        await desk.press("pageup")
        assert "more below" in desk.text

    assert snap(scroll, Script.saying(MARKDOWN * 3))


@pytest.mark.parametrize("key", ["f1", "ctrl+o", "ctrl+p", "ctrl+s", "f7", "f9"])
def test_screens_over_the_chat(snap: Snap, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", "/nonexistent")
    shown = {
        "f1": "everywhere",
        "ctrl+o": "to be had",
        "ctrl+p": "Another reply beside",
        "ctrl+s": ".md",
        "f7": "keep-alive",
        "f9": "● hi",
    }

    async def call(desk: Desk) -> None:
        await desk.say("hi")
        await desk.press(key)
        await desk.until(lambda: shown[key] in desk.text)

    assert snap(call, Script.saying("Short."))


def test_presets(snap: Snap) -> None:
    async def call(desk: Desk) -> None:
        await desk.press("f5", "p")
        await desk.until(lambda: "creative" in desk.text)

    assert snap(call)


@pytest.fixture
def week(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A history of some days, with a pinned and an archived chat."""
    monkeypatch.setattr("gptterm.store.summaries.day_name", month)
    path = home / "history.db"
    chats = [
        made.talk(f"{title}, please", f"{title} it is. The moon was full.", model="gpt2")
        for title in (
            "Old tales", "A song of the sea", "Names for a cat", "The moon \x1b[31m 漢字", "A plan"
        )
    ]  # fmt: skip
    with History.open(path) as history:
        for chat in chats:
            history.add(chat)
        history.pin(chats[1].id)
        history.archive(chats[2].id)
    with sqlite3.connect(path) as connection:
        for days, chat in zip((40, 3, 2, 1, 0), chats, strict=True):
            connection.execute(
                "UPDATE conversations SET updated = updated - ?1, written = written - ?1"
                " WHERE id = ?2",
                (days * 86400, chat.id),
            )


@pytest.mark.usefixtures("week")
@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
@pytest.mark.parametrize("chat_model", [True, False])
def test_first_screen(snap: Snap, size: tuple[int, int], chat_model: bool) -> None:
    async def choose(desk: Desk) -> None:
        await desk.until(lambda: "last chats" in desk.text)
        await desk.press("down")

    assert snap(choose, Script.saying("x", has_chat_template=chat_model), size=size)


@pytest.mark.usefixtures("week")
@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 20)])
def test_the_pane_of_chats(snap: Snap, size: tuple[int, int]) -> None:
    async def call(desk: Desk) -> None:
        await desk.press("ctrl+b", "v")
        await desk.until(lambda: any(entry.archived for entry in desk.screen.chats._entries))
        await desk.press("down")

    assert snap(call, size=size)


@pytest.mark.usefixtures("week")
@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 20)])
def test_search(snap: Snap, size: tuple[int, int]) -> None:
    async def search(desk: Desk) -> None:
        await desk.press("ctrl+f")
        await desk.type("moon")
        await desk.until(lambda: "6 hits" in desk.text)
        await desk.press("down")

    assert snap(search, size=size)


def month(when: float, now: float) -> str:
    """Headings that do not depend on the day of the test."""
    return day_name(when, now) if now - when < 30 * 86400 else "January 2026"

"""A chat that another program goes on with while it is open here."""

from functools import partial
from pathlib import Path

import pytest

from gptterm.store import History
from gptterm.store import history as store_history
from gptterm.tui import app as tui_app
from tests.store.chats import answer, check_integrity, planned, talk, texts
from tests.support.scripted import Script
from tests.tui.conftest import Desk, Open

SAID = "another program added to this chat: the new turns are here"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked often."""
    monkeypatch.setattr(tui_app, "POLL_INTERVAL_S", 0.05)


@pytest.fixture
def path(home: Path) -> Path:
    """Of the history."""
    return home / "history.db"


async def test_what_is_new_is_shown_and_gone_on_from(open_tui: Open, path: Path) -> None:
    async with open_tui(Script.saying("First.", "Second.", "Third.")) as desk:
        await desk.ready()
        await desk.say("one")
        with History.open(path) as other:
            (summary,) = other.conversations()
            answer(other.saver(other.load(summary.id)), "from elsewhere", "yes")
            assert other.flush()
            await desk.until(lambda: len(desk.turns) == 4)
            assert desk.turns[2:] == [("user", "from elsewhere"), ("assistant", "yes")]
            assert desk.notice == SAID
            await desk.say("two")
            assert [text for _, text in desk.turns][4:] == ["two", "Second."]
            assert texts(other.load(summary.id)) == [text for _, text in desk.turns]
            # And other chats come into the list, titles with them.
            assert other.add(talk("a new chat", "there"))
            other.rename(summary.id, "other name")
        await desk.until(lambda: "a new chat" in desk.text and "> other name" in desk.text)
    check_integrity(path)


def ends_with(desk: Desk, text: str) -> bool:
    return desk.turns[-1][1].endswith(text)


async def test_a_reply_that_grows_elsewhere_is_followed(
    open_tui: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("one")
        with History.open(path) as other:
            chat = other.load(other.last() or "")
            saver = other.saver(chat)
            reply = chat.begin_reply(chat.add_user("elsewhere"), planned())
            for n in range(3):
                chat.append(reply, f" word{n}")
                saver.save()
                await desk.until(partial(ends_with, desk, f"word{n}"))
                await desk.until(lambda: "● another gptterm is writing" in desk.text)
                assert "cut off" not in desk.text
            chat.finish(reply, "eos")
            assert saver.commit(60)
            await desk.until(lambda: "is writing" not in desk.text)
            assert "cut off" not in desk.text
            chat.begin_reply(chat.add_user("and on"), planned())
            saver.save()
            await desk.until(lambda: "● another gptterm is writing" in desk.text)
        # It has ended without a word.
        monkeypatch.setattr(store_history, "MISSED_BEATS", 0)
        await desk.until(lambda: "■ cut off" in desk.text)
        assert [n.text for n in desk.screen.notice_line.history].count(SAID) >= 1


async def test_both_went_on_at_once(open_tui: Open, path: Path) -> None:
    """Nothing is written over, and both branches are there."""
    script = Script.saying("First.", "word " * 60, rate=60)
    async with open_tui(script) as desk:
        await desk.ready()
        await desk.say("one")
        desk.screen.prompt.put("mine")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.reply and desk.controller.reply.tokens > 5)
        with History.open(path) as other:
            chat = other.load(other.last() or "")
            chat.select(chat.path()[1])
            chat.edit(chat.path()[2], "theirs")
            saver = other.saver(chat)
            saver.save()
            assert other.flush()
        await desk.until(lambda: desk.idle and "1/2" in desk.text)
        assert desk.turns[2] == ("user", "mine")
        assert desk.turns[3][1].count("word") == 60
        await desk.press("ctrl+l", "up", "shift+right")
        await desk.until(lambda: desk.turns[2] == ("user", "theirs"))
    with History.open(path) as history:
        kept = history.load(history.last() or "")
    assert {node.text for node in kept.nodes()} >= {"mine", "theirs", "one"}
    check_integrity(path)


async def test_an_edit_under_way_is_left_alone(open_tui: Open, path: Path) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("one")
        await desk.press("ctrl+l", "up", "e")
        with History.open(path) as other:
            answer(other.saver(other.load(other.last() or "")), "elsewhere", "yes")
        await desk.type(" more")
        assert len(desk.turns) == 2
        await desk.press("escape")
        await desk.until(lambda: len(desk.turns) == 4)

"""Numbers beside a reply: those of the version in view, whatever was loaded since."""

import asyncio
from pathlib import Path

import pytest

from gptterm.conversation.nodes import Generation
from gptterm.conversation.tree import Conversation
from gptterm.store import History
from tests.store.chats import events
from tests.store.imports.exports import chatgpt, import_json, message
from tests.support.scripted import Script
from tests.tui.conftest import Desk, Open
from tests.tui.saved import fill

ENDLESS = Script.saying("word " * 50, rate=200, endless=True)
SAYS = "It is **bold**."


async def test_the_numbers_follow_the_version_in_view(open_tui: Open) -> None:
    async with open_tui(Script.saying("A.", "B and on.", "C.")) as desk:
        await desk.ready()
        desk.screen.change(seed=101)
        await desk.say("go")
        for seed in (102, 103):
            desk.screen.change(seed=seed)
            await desk.press("ctrl+r")
            await desk.until(lambda: desk.idle)
        desk.screen.change(seed=None)
        await desk.press("ctrl+l")
        await shows_seed(desk, 103)
        await desk.press("shift+left")
        await shows_seed(desk, 102)
        assert "3 tokens" in desk.screen.notice_line.hint
        await desk.press("shift+left")
        await shows_seed(desk, 101)
        # A notice stays until another turn or version is chosen.
        desk.screen.show_notice("good", "copied")
        desk.screen.painter.show_numbers()
        assert not desk.screen.notice_line.shows_hint
        await desk.press("shift+right")
        await shows_seed(desk, 102)
        # The map walks them too: Esc goes back to where it began, Enter stays.
        await desk.press("f9")
        await desk.until(lambda: "● B and on." in desk.text)
        assert [part.split()[0] for part in desk.text.split("○")[1:]] == ["go", "A.", "C."]
        await desk.press("up")
        await desk.until(lambda: "● A." in desk.text)
        assert desk.turns[-1] == ("assistant", "A.")
        await desk.press("escape")
        assert desk.turns[-1] == ("assistant", "B and on.")
        # A name stays, on the map and beside the turn that begins the branch.
        await desk.press("f9", "down", "n", *"calmer", "enter")
        await desk.until(lambda: "● calmer" in desk.text)
        await desk.press("enter")
        await desk.until(lambda: "C." in desk.text and "○" not in desk.text)
        assert desk.turns[-1] == ("assistant", "C.")
        assert desk.screen.transcript.has_focus
        assert any("calmer · " in row for row in desk.rows)


async def shows_seed(desk: Desk, seed: int) -> None:
    """Wait until the status and the line of the reply show a seed."""
    await desk.until(lambda: f"seed {seed}" in desk.screen.notice_line.hint)
    assert f"seed {seed}" in desk.rows[0]


async def test_the_numbers_of_a_reply_that_is_being_written_change(open_tui: Open) -> None:
    async with open_tui(ENDLESS) as desk:
        await desk.ready()
        desk.screen.prompt.put("go")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.reply and desk.controller.reply.tokens > 3)
        await desk.press("ctrl+l")
        await desk.until(lambda: "tokens" in desk.screen.notice_line.hint)
        first = desk.screen.notice_line.hint
        await desk.until(lambda: desk.screen.notice_line.hint != first)
        assert "seed 42" in desk.screen.notice_line.hint
        await desk.press("escape")
        await desk.press("escape")
        await desk.until(lambda: desk.idle)
        await desk.press("ctrl+l")
        await desk.until(lambda: "stopped" in desk.screen.notice_line.hint)


@pytest.mark.parametrize("written_by_chat_model", [True, False])
async def test_markdown_goes_by_the_model_that_wrote(
    open_tui: Open, written_by_chat_model: bool
) -> None:
    shown = "It is bold." if written_by_chat_model else SAYS
    async with open_tui(Script.saying(SAYS, has_chat_template=written_by_chat_model)) as desk:
        await desk.ready()
        await desk.say("Tell me.")
        assert shown in desk.text
    # Loaded now is one of the other kind; before that, none.
    found = asyncio.Event()
    other = Script.saying(SAYS, has_chat_template=not written_by_chat_model)
    async with open_tui(other, found=found, model="other", last=True) as desk:
        await desk.until(lambda: shown in desk.text)
        found.set()
        await desk.ready()
        assert shown in desk.text
        await desk.say("And?")
        assert "It is bold." in desk.text
        assert SAYS in desk.text


async def test_a_raw_continuation_is_plain_and_an_edit_is_what_it_was(open_tui: Open) -> None:
    async with open_tui(Script.saying(SAYS)) as desk:
        await desk.ready()
        desk.screen.change(form="raw")
        await desk.say("Tell me.")
        assert SAYS in desk.text
        desk.screen.change(form="chat")
        assert SAYS in desk.text
        tree = desk.controller.chat.tree
        leaf = tree.leaf
        assert leaf is not None
        desk.controller.edit(leaf, "Now **mine**.")
        await desk.until(lambda: "Now **mine**." in desk.text)
        await desk.say("Again.")
        assert "It is bold." in desk.text


@pytest.mark.parametrize("model", ["gpt-4o", None])
async def test_an_imported_chat_is_markdown_from_the_start(
    open_tui: Open, path: Path, tmp_path: Path, model: str | None
) -> None:
    says = message("assistant", SAYS)
    export = chatgpt("a", q=(None, message("user", "Hello?")), a=("q", says))
    with History.open(path) as history:
        assert len(import_json(history, tmp_path, {**export, "default_model_slug": model})) == 1
    found = asyncio.Event()
    async with open_tui(
        Script.saying(SAYS, has_chat_template=False), found=found, last=True
    ) as desk:
        await desk.until(lambda: "It is bold." in desk.text)
        found.set()
        await desk.ready()
        assert "It is bold." in desk.text


async def test_the_reply_of_an_older_version_goes_by_its_model(open_tui: Open, path: Path) -> None:
    chat = Conversation("")
    reply = chat.begin_reply(chat.add_user("Hello?"), Generation(model="gpt2"))
    for event in events(SAYS, model="gpt2"):
        chat.apply_event(reply, event)
    fill(path, chat)
    found = asyncio.Event()
    async with open_tui(
        Script.saying(SAYS, has_chat_template=False), found=found, last=True
    ) as desk:
        await desk.until(lambda: "It is bold." in desk.text)
        found.set()
        await desk.until(lambda: SAYS in desk.text)

"""Walk over the tokens of a chat with the bundled model: the pane, tints of all turns."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from gptterm.engine.api import ChatPrompt
from gptterm.engine.inspection.answers import TokenView
from gptterm.engine.inspection.requests import TokenRequest
from gptterm.tui.screens.inspect import InspectScreen
from gptterm.tui.screens.turn_views import TurnViews
from gptterm.tui.state.turns import Turn
from gptterm.tui.widgets.transcript.markdown import parse_markdown
from tests.support.gpt2 import write_gpt2
from tests.tui.conftest import Desk, Open


def marked(desk: Desk) -> str:
    """The text under the cursor in the transcript."""
    found = ""
    for y in range(desk.screen.transcript.size.height):
        for text, style, _ in desk.screen.transcript.render_line(y):
            if style is not None and style.reverse:
                found += text
    return found


async def test_the_walk_over_prompt_and_reply(open_tui: Open) -> None:
    async with open_tui(real=True, temperature=0.5, max_tokens=6, seed=1) as desk:
        await desk.ready()
        await desk.say("The little fox ran")
        assert "6.1 kB/token" in desk.rows[0]
        tree, tokens = desk.controller.chat.tree, desk.controller.tokens
        reply = tree.node(tree.last_reply() or "")
        await desk.press("ctrl+l", "left")
        await desk.until(lambda: tokens.walked is not None)
        assert tokens.walked is not None
        assert tokens.walked.end == len(reply.text)
        assert marked(desk) == reply.text[tokens.walked.start :]
        await desk.until(lambda: " rank " in desk.text)
        look = await tokens.look(5)
        assert look is not None
        assert look.score is not None
        assert look.score.id == reply.ids[-1]
        # What the pane says is what the engine says of these ids.
        assert tokens.reading is not None
        assert tokens.reading.ids[-len(reply.ids) :] == reply.ids
        request = TokenRequest(
            ids=tokens.reading.ids,
            position=len(tokens.reading.ids) - 1,
            sampling=desk.controller.settings.sampling,
            limit=5,
            prompt_tokens=len(tokens.reading.ids) - len(reply.ids),
        )
        events = [event async for event in desk.controller.engine.client.inspect(request)]
        assert isinstance(events[-1], TokenView)
        assert look.distribution == events[-1].distribution
        # Another turn begins anew; its tokens spell its text.
        await desk.press("up")
        assert not marked(desk)
        await desk.press("right", "right")
        assert marked(desk) == " little"
        await desk.press(*["right"] * 9)
        assert marked(desk).strip() == "ran"
        await desk.press("t")
        await desk.until(
            lambda: all(turn.tints for turn in desk.controller.turns(desk.controller.chat))
        )
        assert marked(desk).strip() == "ran"
        transcript = desk.screen.transcript
        y = next(y for y in range(5) if "The little" in transcript.render_line(y).text)
        x = transcript.render_line(y).text.index("fox")
        await desk.pilot.click(transcript, offset=(x + 1, y))
        await desk.until(lambda: marked(desk) == " fox")
        await desk.press("escape")
        await desk.until(lambda: not marked(desk))


async def test_a_low_narrow_screen_has_entropies_and_the_cut(open_tui: Open) -> None:
    async with open_tui(real=True, temperature=0.5, max_tokens=6, seed=1, size=(60, 20)) as desk:
        await desk.ready()
        await desk.say("The little fox ran")
        await desk.press("ctrl+l", "left", "left", "enter")
        await desk.until(lambda: " rank " in desk.text and "H model" in desk.text)
        assert "── top-" in desk.text
        # F5 goes to the samplers, which are there again.
        assert "temperature" not in desk.text
        await desk.press("f5")
        await desk.until(lambda: "temperature" in desk.text and "H model" in desk.text)


async def test_a_reply_grows_on_from_an_alternative_and_bans(open_tui: Open) -> None:
    async with open_tui(real=True, temperature=0.0, max_tokens=8) as desk:
        await desk.ready()
        await desk.say("The little fox ran")
        tree, pane = desk.controller.chat.tree, desk.screen.distribution
        first = tree.node(tree.last_reply() or "")
        # The third token of the reply, and the second candidate in its place.
        await desk.press("ctrl+l", "right", "right", "right", "enter")
        tokens = desk.controller.tokens
        await desk.until(lambda: pane.has_focus and tokens.walked and pane.walked == tokens.walked)
        # What the pane shows of another token is no beginning in the place of this one.
        tokens.walk(first.id, -1)
        await desk.press("enter")
        assert "on their way: press it once more" in desk.notice
        assert tree.last_reply() == first.id
        desk.screen.walk.step(first.id, 1)
        await desk.until(lambda: pane.walked == tokens.walked)
        await desk.press("down")
        chosen = pane.candidates[1]
        await desk.press("enter")
        await desk.until(lambda: desk.idle and tree.last_reply() != first.id)
        grown = tree.node(tree.last_reply() or "")
        assert grown.ids[:3] == (*first.ids[:2], chosen.id)
        assert len(grown.ids) == 3 + 8
        assert grown.text.startswith(first.text[:3])
        assert tree.siblings(grown.id) == (first.id, grown.id)
        assert "2/2 ◂▸" in desk.text
        # A banned token is not drawn, and is no beginning.
        await desk.press("left", "enter")
        await desk.until(lambda: pane.has_focus and tokens.walked and pane.walked == tokens.walked)
        pane.chosen = 0
        banned = pane.candidates[0]
        await desk.press("b")
        await desk.until(lambda: "cut ban" in desk.text)
        assert desk.controller.settings.sampling.logit_bias == ((banned.id, -math.inf),)
        await desk.press("enter")
        assert "is banned: b lifts that" in desk.text
        await desk.press("b", "plus", "plus")
        await desk.until(lambda: "bias +2" in desk.text)
        assert desk.controller.settings.sampling.logit_bias == ((banned.id, 2.0),)
        await desk.press("escape")
        assert desk.screen.transcript.has_focus
        assert marked(desk)


@asynccontextmanager
async def endless(open_tui: Open, folder: Path, **options: object) -> AsyncIterator[Desk]:
    """A reply that is being written, byte by byte: other tokens than its text is read with.

    The model is small but deep, so that each token costs two milliseconds, and knows no end.
    """
    write_gpt2(folder, says=b"over the hills and far away, ", layers=24, positions=8192)
    given = {"model": str(folder), "temperature": 0.0, "max_tokens": 8000, **options}
    async with open_tui(real=True, **given) as desk:
        await desk.ready()
        desk.screen.prompt.put("and so")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.reply and desk.controller.reply.tokens > 40)
        yield desk
        assert desk.controller.replying is not None
        await desk.press("escape", "escape")
        await desk.until(lambda: desk.idle)


async def test_the_walk_while_a_reply_is_written(open_tui: Open, tmp_path: Path) -> None:
    async with endless(open_tui, tmp_path / "model") as desk:
        tokens, tree = desk.controller.tokens, desk.controller.chat.tree
        await desk.press("ctrl+l", "left")
        await desk.until(lambda: marked(desk))
        walked = tokens.walked
        assert walked is not None
        assert walked.end - walked.start == len(marked(desk)) == 1
        await desk.until(lambda: " rank " in desk.text)
        await desk.press("left")
        await desk.until(lambda: tokens.walked and tokens.walked.number == walked.number - 1)
        # The reply grows behind the cursor, and the walk goes on into what was written since.
        drawn = len(desk.screen.transcript.turns[-1].lines[-1].text)
        await desk.until(lambda: len(desk.screen.transcript.turns[-1].lines[-1].text) > drawn + 40)
        assert tokens.walked is not None
        assert not desk.screen.transcript.follow
        assert marked(desk) == tree.node(walked.key).text[tokens.walked.start :][:1]
        await desk.press("right", "right")
        await desk.until(lambda: tokens.walked and tokens.walked.number == walked.number + 1)
        await desk.until(lambda: desk.screen.distribution.walked == tokens.walked)
        turn = desk.screen.transcript.turns[-1]
        text = "\n".join(line.text for line in turn.lines)
        assert tree.node(turn.key).text.startswith(text)
        assert len(text) > drawn + 40


async def test_inspect_shows_the_ids_of_a_reply_that_is_written(
    open_tui: Open, tmp_path: Path
) -> None:
    async with endless(open_tui, tmp_path / "model") as desk:
        key = desk.controller.reply.key if desk.controller.reply else ""
        await desk.press("f4")
        screen = desk.app.screen
        assert isinstance(screen, InspectScreen)
        await desk.until(lambda: screen.inspecting.pieces)
        assert screen.inspecting.subject is not None
        prompt = screen.inspecting.subject.prompt
        assert isinstance(prompt, ChatPrompt)
        ids = prompt.messages[-1].ids
        assert len(ids) > 40
        assert tuple(piece.id for piece in screen.inspecting.pieces[-len(ids) :]) == ids
        assert all(len(piece.piece) == 1 for piece in screen.inspecting.pieces[-len(ids) :])
        await desk.press("escape")
    assert desk.controller.chat.tree.node(key).ids[: len(ids)] == ids


def test_a_walk_over_markdown_shows_its_text_and_leaves_it_as_it_was() -> None:
    table, views = "| a |\n| - |\n| b |\n", TurnViews()
    turn = Turn("1", "assistant", "tiny", table, markdown=True)
    (view,) = views.update("chat", [turn])
    view.set_document(parse_markdown(view.markdown_source))
    view.layout(40)
    drawn = [line.text for line in view.lines]
    assert "| - |" not in drawn
    views.show_cursor("chat", replace(turn, markdown=False, cursor=(2, 3)))
    view.layout(40)
    assert [line.text for line in view.lines] == table.split("\n")
    assert view.cursor_row == 0
    views.show_cursor("chat", turn)
    view.set_document(parse_markdown(view.markdown_source))
    view.layout(40)
    assert [line.text for line in view.lines] == drawn

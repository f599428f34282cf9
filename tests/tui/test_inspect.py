"""Inspect mode with the bundled model: its views, keys, the mouse, sizes, other texts."""

import asyncio
from functools import partial
from pathlib import Path

from gptterm.conversation.tree import Conversation
from gptterm.engine.inspection.answers import HEAD_STATISTICS
from gptterm.tui.screens.inspect import InspectScreen
from gptterm.tui.state.inspecting import Inspecting
from tests.tui.conftest import Desk, Open
from tests.tui.saved import fill


def opened(desk: Desk) -> InspectScreen:
    """The screen in view."""
    screen = desk.app.screen
    assert isinstance(screen, InspectScreen)
    return screen


def shows(desk: Desk, text: str) -> bool:
    """Whether a text is on the screen."""
    return text in desk.text


async def test_a_chat_in_every_view(open_tui: Open) -> None:
    async with open_tui(real=True, temperature=0.0, max_tokens=12, size=(120, 40)) as desk:
        await desk.ready()
        await desk.press("f4")
        await desk.until(partial(shows, desk, "there is no text to look into yet"))
        await desk.press("escape")
        await desk.say("The little fox ran")
        tree = desk.controller.chat.tree
        reply = tree.node(tree.last_reply() or "")
        await desk.press("f4")
        look = opened(desk).inspecting
        await desk.until(lambda: look.found.token is not None and "next token, after" in desk.text)
        count = len(look.pieces)
        assert look.position == count - 1
        assert tuple(piece.id for piece in look.pieces[-len(reply.ids) :]) == reply.ids
        token = look.found.token
        assert token is not None
        assert token.score is not None
        assert f"id           {reply.ids[-1]}" in desk.text
        assert "rank         1" in desk.text
        assert f"entropy      {token.score.entropy_bits:.2f} bits raw · 0.00 used" in desk.text
        await walk(desk, look)
        await heads(desk, look)
        await desk.press("4")
        await desk.until(lambda: "logit lens: each layer's best token" in desk.text)
        lens = look.found.lens
        assert lens is not None
        assert lens.columns[-1].position == look.position
        # Columns that stay in view are not asked for again; they are what they would be.
        await desk.press("left")
        await desk.until(
            lambda: look.found.lens and look.found.lens.columns[-1] == lens.columns[-2]
        )
        moved, look.found = look.found.lens, look.found._replace(lens=None)
        look.show("lens")
        await desk.until(lambda: look.found.lens is not None)
        assert moved is not None
        assert look.found.lens is not None
        assert [(c.position, c.cells[-1].best[0].id) for c in moved.columns] == [
            (c.position, c.cells[-1].best[0].id) for c in look.found.lens.columns
        ]
        await desk.press("right")
        # A small screen has all of it, one above the other.
        await desk.pilot.resize_terminal(60, 20)
        await desk.until(lambda: "4 lens" in desk.text and "The little fox" in desk.rows[1])
        for width in (20, 200):
            await desk.pilot.resize_terminal(width, 24)
            await desk.until(lambda: "lens" in desk.text and look.found.lens is not None)
        await desk.press("escape")
        assert desk.app.screen is desk.screen


async def walk(desk: Desk, look: Inspecting) -> None:
    """Go to other tokens by keys and the mouse, to both ends."""
    count = len(look.pieces)
    await desk.press("left", "left")
    await desk.until(lambda: f"token at position {count - 3}" in desk.rows[2])
    assert f"position {count - 3} · {count} tokens · The" in desk.rows[1]
    await desk.press("end")
    await desk.until(lambda: look.position == count)
    await desk.until(lambda: f"position {count - 1}" in desk.text)
    assert f"the end · {count} tokens" in desk.rows[1]
    await desk.press("home")
    await desk.until(lambda: "the first token follows nothing" in desk.text)
    text = opened(desk).text
    await desk.pilot.click(text, offset=(20, 1))
    await desk.until(lambda: look.position > 1)
    assert look.pieces[look.position].piece.decode().strip() in "The little fox ran"
    await desk.press("2")
    await desk.until(lambda: look.summary is not None and "perplexity up to position" in desk.text)
    assert len(look.scores) == count
    assert f"perplexity {look.summary.perplexity:,.4g}" in desk.text if look.summary else False
    for measure in ("rank", "entropy"):
        await desk.press("t")
        assert look.measure == measure


async def heads(desk: Desk, look: Inspecting) -> None:
    """Choose a head from the grid; its row and its map."""
    await desk.press("3")
    await desk.until(lambda: "mean of all heads" in desk.text)
    await desk.press("end", "left", "k")
    last = len(look.pieces) - 1
    await desk.until(lambda: look.found.attention and look.found.attention.position == last)
    view = look.found.attention
    assert view is not None
    assert look.head is not None
    statistic = view.statistics.array()[HEAD_STATISTICS.index("induction")]
    assert look.head == divmod(int(statistic.argmax()), statistic.shape[1])
    layer, head = look.head
    await desk.until(lambda: f"layer {layer} · head {head} · induction" in desk.text)
    scale, weights = look.tints()
    assert scale is not None
    expected = view.weights.array()[layer, head]
    assert weights == expected.tolist()
    await desk.press("f")
    _, hidden = look.tints()
    assert hidden[0] == 0.0
    assert abs(sum(weight or 0.0 for weight in hidden) - 1) < 1e-5
    await desk.press("l" if head == 0 else "h", "s", "m")
    await desk.until(lambda: look.found.map is not None and "attending token" in desk.text)
    assert look.statistic == "entropy"
    await desk.press("m", "a")
    assert look.head is None


async def test_before_the_model_a_file_and_what_cannot_be_looked_into(
    open_tui: Open, path: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("Once upon a time")
    (tmp_path / "bad.txt").write_bytes(b"\xff")
    chat, found = Conversation(), asyncio.Event()
    chat.add_user("What was asked before")
    fill(path, chat)
    async with open_tui(found=found, last=True) as desk:
        await desk.press("f4")
        await desk.until(partial(shows, desk, "the model is still loading: looking for the model"))
        found.set()
        # The scripted engine is no model.
        await desk.until(partial(shows, desk, "gpt2 cannot be looked into"))
        assert "What was asked before" in desk.rows[1]
        # No key is offered for heads that there are none of.
        await desk.press("3")
        await desk.until(lambda: "3 attention" in desk.text)
        await desk.until(lambda: "cannot be looked into" in desk.text and "file" in desk.rows[-1])
        assert "statistic" not in desk.rows[-1]
        await desk.press("1")
        for name, says in (("none.txt", "No such file"), ("bad.txt", "is no text in UTF-8")):
            await desk.press("o")
            await desk.type(str(tmp_path / name))
            await desk.press("enter")
            await desk.until(partial(shows, desk, says))
            await desk.press("escape")
        await desk.press("o")
        await desk.type(str(tmp_path / "notes.txt"))
        await desk.press("enter")
        await desk.until(lambda: "notes.txt" in desk.text)
        await desk.until(partial(shows, desk, "gpt2 cannot be looked into"))


async def test_the_top_of_what_is_new_is_shown(open_tui: Open) -> None:
    async with open_tui(real=True, temperature=0.0, max_tokens=12, size=(120, 24)) as desk:
        await desk.ready()
        await desk.say("The little fox ran")
        await desk.press("f4")
        figure = opened(desk).figure
        await desk.until(lambda: "token at position" in desk.text)

        async def scroll() -> None:
            figure.scroll_to(y=5, animate=False, force=True)
            await desk.until(lambda: figure.scroll_offset.y == 5)

        await scroll()
        # The same, asked for once more, stays where it is.
        opened(desk).engine_changed()
        assert figure.scroll_offset.y == 5
        await desk.press("left")
        await desk.until(lambda: figure.scroll_offset.y == 0)
        await scroll()
        await desk.press("3")
        await desk.until(lambda: figure.scroll_offset.y == 0)
        assert "mean of all heads" in desk.rows[2]


async def test_the_table_of_heat_fills_the_pane(open_tui: Open) -> None:
    async with open_tui(real=True, temperature=0.0, max_tokens=60, size=(200, 60)) as desk:
        await desk.ready()
        await desk.say("The little fox ran")
        await desk.press("f4")
        look = opened(desk).inspecting
        await desk.press("2")
        await desk.until(lambda: look.summary is not None and "the whole:" in desk.text)
        count = len(look.pieces)
        for key, position in (("end", count - 1), ("home", 0)):
            await desk.press(key)
            await desk.until(lambda at=position: f"▸{at} " in desk.text)  # type: ignore[misc]
            figure = opened(desk).figure
            assert figure.virtual_size.height == figure.scrollable_content_region.height


async def test_at_twenty_columns_nothing_is_said_to_be_cut_that_is_not(open_tui: Open) -> None:
    async with open_tui(real=True, temperature=0.0, max_tokens=4, size=(20, 24)) as desk:
        await desk.ready()
        await desk.say("The little fox ran")
        await desk.press("f4")
        await desk.until(lambda: "surprisal" in desk.text)
        rows = {row.split()[0]: row.split()[1:] for row in desk.rows if row.split()}
        assert rows["rank"] == ["1"]
        assert len(rows["id"]) == 1
        assert rows["id"][0].isdecimal()
        assert "…" not in desk.rows[1]

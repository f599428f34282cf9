"""The sampling panel, the presets, and the distribution under them."""

import re

import pytest
from rich.cells import cell_len
from textual import events

from gptterm.engine.api import Candidate, NextToken
from gptterm.tui.state.chat_tokens import TokenLook
from gptterm.tui.widgets.sampling import FILLED, SIGN, TRACK
from tests.support.scripted import Script
from tests.tui.conftest import Desk, Open

LONG_TOKEN = NextToken(
    candidates=(
        Candidate(id=1, piece=b" internationally", raw=0.5, used=0.0, cut="typical-p"),
    ),
    entropy_bits=1, used_entropy_bits=1, kept=1, kept_mass=0.5, vocab_size=2,
)  # fmt: skip
LONG = "one two three 漢字 four"


def row(desk: Desk, label: str) -> str:
    """The first row of the screen with these words."""
    return next(row for row in desk.rows if label in row)


async def test_arrows_change_the_chosen_value(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "right", "down", "left")
        assert desk.controller.settings.sampling.temperature == 0.85
        assert desk.controller.settings.sampling.top_k == 30
        assert "sampling · custom" in desk.text


async def test_a_number_is_typed(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "1", ".", "2", "5", "enter")
        assert desk.controller.settings.sampling.temperature == 1.25
        await desk.press("down", "7", "down")
        assert desk.controller.settings.sampling.top_k == 7


async def test_a_bad_number_is_refused_with_the_range(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "down", "down", "2", "enter")
        assert desk.controller.settings.sampling.top_p == 0.95
        assert "must be a number above 0, up to 1" in desk.notice


async def test_neutral_and_presets(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "right", "n")
        assert desk.controller.settings.sampling.temperature == 1.0
        assert desk.controller.settings.sampling.top_k == 0
        assert "sampling · neutral" in desk.text
        await desk.press("p")
        await desk.type("creative")
        await desk.press("enter")
        assert desk.controller.settings.sampling.temperature == 1.1
        assert "sampling · creative" in desk.text
        # The chips under the samplers, and what the chosen one does.
        assert "▪creative" in desk.text
        await desk.press("down")
        await desk.until(lambda: "keep the N likeliest tokens; 0" in desk.text)
        y = next(y for y, row in enumerate(desk.rows) if " focused " in row)
        await desk.pilot.click(offset=(desk.rows[y].index("focused") + 1, y))
        await desk.until(lambda: desk.controller.settings.sampling.temperature == 0.3)
        await desk.until(lambda: "▪focused" in desk.text)
        await desk.press("escape")
        await desk.until(lambda: "keep the N likeliest" not in desk.text)


async def test_stop_seed_and_order(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "up", "right")
        assert desk.controller.settings.sampling.order == "llama"
        await desk.press("up", "enter")
        await desk.type("n.p")
        await desk.press("enter")
        assert desk.controller.settings.stop == ("n.p",)
        await desk.press("up", "7", "enter")
        assert desk.controller.settings.seed == 7
        await desk.press(
            "backspace", "left", "left", "left", "left", "left", "left", "left", "left"
        )
        assert desk.controller.settings.seed is None


async def test_a_change_acts_in_the_middle_of_a_reply(open_tui: Open) -> None:
    script = Script.saying("x", echo_sampling=True, rate=100, endless=True)
    async with open_tui(script, max_tokens=9999, temperature=0.5) as desk:
        await desk.ready()
        desk.screen.prompt.put("go")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.reply and desk.controller.reply.tokens > 3)
        await desk.press("f5", "2", "enter")
        key = desk.controller.chat.tree.last_reply()
        assert key is not None
        await desk.until(lambda: "2 2" in desk.turns[-1][1])
        await desk.press("escape")
        await desk.until(lambda: desk.idle)
        run = desk.controller.chat.tree.node(key).generation
        assert run is not None
        assert run.changed_sampling[-1][1].temperature == 2


async def test_the_distribution_says_what_is_cut(open_tui: Open) -> None:
    async with open_tui() as desk:
        assert "after the next reply" in desk.text
        await desk.ready()
        await desk.say("hi")
        await desk.until(lambda: "·the" in desk.text)
        await desk.press("f5", "down", "2", "enter")
        await desk.until(lambda: "cut top-k" in desk.text)
        assert "2 of 50,257" in desk.text


async def test_letters_mean_nothing_but_themselves_while_typing(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "up", "up", "enter", "n", "p")
        assert desk.screen.sampling.typed == "np"
        await desk.press("escape")
        assert desk.controller.settings.stop == ()
        assert "np" not in desk.text


async def test_the_distribution_is_asked_for_when_there_is_room_for_it(open_tui: Open) -> None:
    async with open_tui(size=(60, 20)) as desk:
        await desk.ready()
        await desk.say("hello")
        assert "H model" not in desk.text
        await desk.pilot.resize_terminal(120, 40)
        await desk.until(lambda: "H model" in desk.text)


@pytest.mark.parametrize("key", ["right", "enter"])
async def test_a_stop_text_that_is_looked_at_stays(open_tui: Open, key: str) -> None:
    async with open_tui(stop=("ABC",)) as desk:
        await desk.press("f5", "up", "up", key, "down", "up", key, "enter")
        assert desk.controller.settings.stop == ("ABC",)


async def test_stop_texts_are_typed_as_after_the_command(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "up", "up", "enter")
        await desk.type('"né\\n" "b"')
        await desk.press("enter")
        assert desk.controller.settings.stop == ("né\n", "b")
        assert '"né\\n" "b" ▸' in row(desk, "stop ")
        await desk.press("enter")
        await desk.type('"a" ""')
        await desk.press("enter")
        assert desk.notice == "stop must not be an empty text"
        assert desk.controller.settings.stop == ("né\n", "b")


async def test_stop_texts_are_taken_away(open_tui: Open) -> None:
    async with open_tui(stop=("ABC",)) as desk:
        await desk.press("f5", "up", "up", "enter")
        await desk.type("off")
        await desk.press("enter")
        assert desk.controller.settings.stop == ()


async def test_the_end_of_what_is_typed_is_in_view(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "up", "up", "enter")
        await desk.type(LONG)
        assert "three" not in row(desk, "stop ")
        assert "漢字 four▏ ▸" in row(desk, "stop ")


async def test_wide_characters_do_not_move_the_arrow(open_tui: Open) -> None:
    def arrow(label: str) -> int:
        text = row(desk, label)
        return cell_len(text[: text.rindex("▸")])

    async with open_tui(stop=("a漢字漢字漢字漢字",)) as desk:
        await desk.press("f5", "up", "up", "up")
        at = arrow("seed ")
        await desk.press("down")
        assert arrow("stop ") == at
        await desk.press("enter")
        for character in LONG:
            await desk.type(character)
            assert arrow("stop ") == at


async def test_a_space_as_a_stop_text_can_be_told_from_nothing(open_tui: Open) -> None:
    async with open_tui(stop=(" ",)) as desk:
        await desk.press("f5", "up", "up")
        assert '" " ▸' in row(desk, "stop ")


async def test_the_chosen_sampler_has_a_sign(open_tui: Open) -> None:
    async with open_tui() as desk:
        before = row(desk, "top-k")
        await desk.press("f5", "down")
        after = row(desk, "top-k").replace("◂", " ").removesuffix(" ▸")
        assert after == before.replace(" top-k", f"{SIGN}top-k")
        assert len(re.findall(rf"{SIGN}\w", desk.text)) == 1


async def test_numbers_of_the_next_token_are_the_models_and_bars_what_is_drawn(
    open_tui: Open,
) -> None:
    async with open_tui(temperature=0.5) as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.press("f5", "down", "2", "enter")
        await desk.until(lambda: "cut top-k" in desk.text)
        first, second, third = (row(desk, word) for word in ("·the ", "·a ", "·of "))
        assert first.endswith(".50   .80 ████▓▓")  # .5 and .8 of 7 cells
        assert second.endswith(".25   .20 █░")
        assert "── top-k ──" in desk.text
        assert re.search(r"H model \d\.\d · used \d\.\d bit", desk.text)
        assert ".12 cut top-k" in third


async def test_tokens_use_the_room_there_is(open_tui: Open) -> None:
    async with open_tui(size=(200, 60)) as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.until(lambda: "·the" in desk.text)
        desk.screen.distribution.show(TokenLook(LONG_TOKEN))
        await desk.pilot.pause()
        assert row(desk, "·internationally").endswith("  .50 cut typical-p")


async def test_sliders_show_where_a_value_is(open_tui: Open) -> None:
    async with open_tui(temperature=0.0) as desk:
        assert FILLED not in row(desk, "temperature")
        await desk.press("f5", *["right"] * 40)
        half = row(desk, "temperature").count(FILLED)
        assert (
            0
            < half
            < row(desk, "temperature").count(FILLED) + row(desk, "temperature").count(TRACK)
        )
        await desk.press(*["right"] * 40)
        assert TRACK not in row(desk, "temperature")


async def test_arrows_are_on_the_chosen_row_only(open_tui: Open) -> None:
    async with open_tui() as desk:
        assert "◂" not in desk.text
        await desk.press("f5", "down")
        assert [
            label for label in ("temperature", "top-k", "top-p") if "◂" in row(desk, label)
        ] == ["top-k"]


async def test_keys_that_come_at_once_act_one_after_the_other(open_tui: Open) -> None:
    async with open_tui() as desk:
        for key in ("f5", "1", ".", "2", "5", "enter", "p", "c", "r", "e", "a", "enter", "f5"):
            desk.app.post_message(events.Key(key, key if len(key) == 1 else None))
        desk.app.post_message(events.Paste("and this"))
        await desk.until(lambda: desk.screen.prompt.text == "and this")
        assert desk.controller.settings.sampling.temperature == 1.1

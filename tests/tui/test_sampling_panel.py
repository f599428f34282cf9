"""The sampling panel, the presets, and the distribution under them."""

from tests.support.scripted import Script
from tests.tui.conftest import Open


async def test_arrows_change_the_chosen_value(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "right", "down", "left")
        assert desk.session.settings.sampling.temperature == 0.85
        assert desk.session.settings.sampling.top_k == 30
        assert "sampling · custom" in desk.text


async def test_a_number_is_typed(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "1", ".", "2", "5", "enter")
        assert desk.session.settings.sampling.temperature == 1.25
        await desk.press("down", "7", "down")
        assert desk.session.settings.sampling.top_k == 7


async def test_a_bad_number_is_refused_with_the_range(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "down", "down", "2", "enter")
        assert desk.session.settings.sampling.top_p == 0.95
        assert "must be a number above 0, up to 1" in desk.notice


async def test_neutral_and_presets(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "right", "n")
        assert desk.session.settings.sampling.temperature == 1.0
        assert desk.session.settings.sampling.top_k == 0
        assert "sampling · neutral" in desk.text
        await desk.press("p")
        await desk.type("creative")
        await desk.press("enter")
        assert desk.session.settings.sampling.temperature == 1.1
        assert "sampling · creative" in desk.text


async def test_stop_seed_and_order(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "up", "right")
        assert desk.session.settings.sampling.order == "llama"
        await desk.press("up", "enter")
        await desk.type("n.p")
        await desk.press("enter")
        assert desk.session.settings.stop == ("n.p",)
        await desk.press("up", "7", "enter")
        assert desk.session.settings.seed == 7
        await desk.press(
            "backspace", "left", "left", "left", "left", "left", "left", "left", "left"
        )
        assert desk.session.settings.seed is None


async def test_a_change_acts_in_the_middle_of_a_reply(open_tui: Open) -> None:
    script = Script.saying("x", echo_sampling=True, rate=100, endless=True)
    async with open_tui(script, max_tokens=9999, temperature=0.5) as desk:
        await desk.ready()
        desk.screen.prompt.put("go")
        await desk.press("enter")
        await desk.until(lambda: desk.session.reply and desk.session.reply.tokens > 3)
        await desk.press("f5", "2", "enter")
        key = desk.session.chat.tree.last_reply()
        assert key is not None
        await desk.until(lambda: "2 2" in desk.turns[-1][1])
        await desk.press("escape")
        await desk.until(lambda: desk.idle)
        run = desk.session.chat.tree.node(key).generation
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
        assert desk.session.settings.stop == ()
        assert "np" not in desk.text


async def test_the_distribution_is_asked_for_when_there_is_room_for_it(open_tui: Open) -> None:
    async with open_tui(size=(60, 20)) as desk:
        await desk.ready()
        await desk.say("hello")
        assert "next token H" not in desk.text
        await desk.pilot.resize_terminal(120, 40)
        await desk.until(lambda: "next token H" in desk.text)

"""Tints of tokens in the transcript: `t`, its legend, signs without colours, after a restart."""

import math
import random
from collections.abc import Iterable
from itertools import cycle
from pathlib import Path

from gptterm.charts.measures import Measure
from gptterm.charts.scales import DARK
from gptterm.conversation.nodes import Generation
from gptterm.conversation.token_scores import ScoredToken, pack, score, unpack
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import Token
from gptterm.tui.state.stream_tints import StreamTints
from gptterm.tui.state.tints import MEASURES, Tint, kept_tints, raw_parts
from gptterm.tui.state.tints import tints as whole_tints
from gptterm.tui.state.turns import Turn
from gptterm.tui.widgets.transcript.lines import Span
from gptterm.tui.widgets.transcript.tints import offset_at, tinted_lines
from tests.support.scripted import Script
from tests.tui.conftest import Desk, Open
from tests.tui.saved import fill

LEGEND = "surprisal, bits, from  0  1  2  4  6  8  11  15"
RANKS = "rank, from  1  2  4  11  31  101  1,001  10,001"
SIGNS = "surprisal, bits, from  ▁ 0  ▂ 1  ▃ 2  ▄ 4  ▅ 6  ▆ 8  ▇ 11  █ 15"


def scored(*tokens: tuple[int, int, float]) -> bytes:
    """Scores of tokens with a span and a surprisal in bits."""
    return pack([ScoredToken(1, b"x", a, b, -bits * math.log(2)) for a, b, bits in tokens])


def test_steps_of_the_scale_and_parts_of_characters() -> None:
    assert kept_tints(scored((0, 2, 0.5), (2, 4, 3.0), (4, 5, 20.0))) == (
        (0, 2, 0),
        (2, 4, 2),
        (4, 5, 7),
    )
    # Two tokens of one character.
    assert kept_tints(scored((0, 0, 2.5), (0, 1, 2.5))) == ((0, 1, 3),)
    # A damaged order.
    assert kept_tints(scored((5, 6, 1.0), (0, 2, 1.0))) == ((5, 6, 1),)
    assert kept_tints(b"damaged") == ()


def test_lines_with_controls_tabs_and_gaps() -> None:
    text = "a\tb\nc\x07d"
    lines = tinted_lines(text, ((0, 2, 3), (3, 6, 5)), signs=False)
    assert [line.text for line in lines] == ["a    b", "c␇d"]
    assert [line.spans for line in lines] == [(Span(0, 5, "tint-3"),), (Span(0, 2, "tint-5"),)]
    lines = tinted_lines(text, ((0, 2, 3), (3, 6, 0)), signs=True)
    assert [line.text for line in lines] == ["▄a    b▁", "c␇d"]
    # What is clicked is what is drawn there; behind a line, its end.
    for signs, row in ((False, "attttb\n\n"), (True, "aattttb\n")):
        at = [offset_at(text, ((0, 2, 3), (3, 6, 0)), None, (0, x), signs=signs) for x in range(8)]
        assert "".join(text[i] for i in at).replace("\t", "t")[: len(row)] == row
    assert [offset_at(text, (), (4, 5), (1, x), signs=False) for x in range(5)] == [4, 5, 6, 7, 7]


def test_what_is_no_character_is_shown_by_its_bytes() -> None:
    tokens = ((b"a", 0, 1), (b"\xf0", 1, 1), (b"\x9f", 1, 2), (b" b\xe2", 2, 5), (b"c", 5, 6))
    text = "".join(piece.decode("latin") for piece, *_ in tokens)
    text = text.encode("latin").decode("utf-8", "replace")
    assert text == "a\ufffd b\ufffdc"
    raw = raw_parts(text, tokens)
    assert raw == ((1, 2, "<F0><9F>"), (2, 5, " b<E2>"))
    tints = tuple((start, end, 3) for _, start, end in tokens if end > start)
    (line,) = tinted_lines(text, tints, (1, 2), raw, signs=False)
    assert line.text == "a<F0><9F> b<E2>c"
    at = [offset_at(text, tints, None, (0, x), raw, signs=False) for x in range(len(line.text))]
    assert at == [0, *[1] * 8, *[2] * 6, 5]
    # A model reads the sign itself as bytes, too, unless it has a token for it.
    assert raw_parts("\ufffd", ((b"\xef", 0, 0), (b"\xbf\xbd", 0, 1))) == ((0, 1, "<EF><BF BD>"),)
    assert raw_parts("\ufffd", (("\ufffd".encode(), 0, 1),)) == ((0, 1, "\ufffd"),)


async def test_half_a_character_at_the_end_of_a_reply_is_tinted_by_its_bytes(
    open_tui: Open,
) -> None:
    async with open_tui(Script.saying("first", ["a", b"\xf0", b"\x9f"])) as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.press("ctrl+l", "t", "escape")
        await desk.say("again")
        assert desk.turns[-1] == ("assistant", "a\ufffd")
        await desk.until(lambda: "a<F0><9F>" in desk.text)
        assert "\ufffd" not in desk.text


def backgrounds(desk: Desk, word: str) -> set[str]:
    """Backgrounds of the cells that show a word."""
    found = set()
    for y in range(desk.screen.transcript.size.height):
        for text, style, _ in desk.screen.transcript.render_line(y):
            if word in text and style is not None and style.bgcolor is not None:
                found.add(style.bgcolor.name)
    return found


def legend_background(desk: Desk, mark: str) -> str | None:
    """Background of a step of the legend."""
    cells = list(desk.screen.notice_line.render_line(0))
    style = next(cell.style for cell in cells if cell.text == mark)
    return style.bgcolor.name if style is not None and style.bgcolor is not None else None


async def test_t_tints_replies_and_asks_for_what_it_takes(open_tui: Open) -> None:
    async with open_tui(Script.saying("one two three")) as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.press("ctrl+l", "t")
        assert LEGEND in desk.text
        # The scripted engine is no model.
        await desk.until(lambda: "gpt2 cannot be looked into" in desk.text)
        assert not list(desk.controller.turns(desk.controller.chat))[-1].tints
        await desk.press("escape")
        await desk.say("again")
        tree = desk.controller.chat.tree
        reply = tree.node(tree.last_reply() or "")
        assert [reply.text[each.start : each.end] for each in unpack(reply.scores)] == [
            "one", " two", " three",
        ]  # fmt: skip
        assert all(each.alternatives for each in unpack(reply.scores))
        await desk.press("ctrl+l")
        # Each of the script's tokens has log probability -0.5: step 0, which has no tint.
        assert LEGEND in desk.text
        assert "cannot be looked into" not in desk.text
        await desk.press("t")
        assert RANKS in desk.text
        await desk.press("t", "t")
        assert "surprisal" not in desk.text


async def test_another_measure_tints_what_is_written_from_its_beginning(
    open_tui: Open, tmp_path: Path
) -> None:
    end = tmp_path / "end"
    script = Script.saying("first", "one two three four", hold=(3, str(end)))
    async with open_tui(script) as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.press("ctrl+l", "t", "escape")
        await desk.type("again")
        await desk.press("enter")
        await desk.until(lambda: "one two three" in desk.text)
        await desk.press("ctrl+l", "t")
        assert RANKS in desk.text

        def written() -> Turn:
            return list(desk.controller.turns(desk.controller.chat))[-1]

        assert written().is_streaming
        assert written().tints == ()  # the script tells no ranks
        await desk.press("t", "t", "t")
        assert LEGEND in desk.text
        assert "".join(written().text[a:b] for a, b, _ in written().tints) == "one two three"
        assert "one two three" in desk.text
        end.touch()
        await desk.until(lambda: desk.idle)
        assert desk.turns[-1] == ("assistant", "one two three four")
        assert sum("one two three four" in row for row in desk.rows) == 1


def saved_chat() -> Conversation:
    """A chat with a reply of three tokens of 0.5, 5 and 16 bits, and one of another version."""
    chat = Conversation()
    question = chat.add_user("hi")
    for texts in ((" other", " words", "."), ("one", " two", " three")):
        reply = chat.begin_reply(question, Generation(model="gpt2"))
        for text, bits in zip(texts, (0.5, 5.0, 16.0), strict=True):
            piece, logprob = text.encode(), -bits * math.log(2)
            chat.apply_event(reply, Token(sample=0, id=1, text=text, piece=piece, logprob=logprob))
        chat.finish(reply, "eos")
    return chat


async def test_after_a_restart_by_version_and_as_signs_without_colours(
    open_tui: Open, path: Path
) -> None:
    fill(path, saved_chat())
    async with open_tui(last=True) as desk:
        await desk.ready()
        await desk.press("ctrl+l", "t")
        two, three = backgrounds(desk, "two"), backgrounds(desk, "three")
        assert two
        assert three
        assert two.isdisjoint(three)
        assert two == {DARK[3].background}
        # The legend has the same colours, and no signs.
        assert desk.text.count(LEGEND) == 1
        assert legend_background(desk, " 4 ") == DARK[3].background
        # A notice has its time, then the legend is there again.
        desk.screen.show_notice("info", "covers it")
        await desk.until(lambda: "covers it" in desk.text and LEGEND not in desk.text)
        desk.screen.notice_line.end("info")
        await desk.until(lambda: LEGEND in desk.text)
        await desk.press("shift+left")
        assert backgrounds(desk, "words") == two
        # What is kept can be walked without the model that wrote it.
        await desk.press("right", "right")
        await desk.until(lambda: "·words 5.0 bit" in desk.text)
        assert "as kept with the reply" in desk.text
        await desk.press("escape", "ctrl+l")
        desk.app.no_color = True
        await desk.press("t", "t", "t", "t")
        assert "▁ other▄ words█." in desk.text
        assert SIGNS in desk.text


def test_tints_of_a_stream_are_those_that_are_kept() -> None:
    rng = random.Random(3)
    characters = [each.encode() for each in "ab c\n€漢"]
    for measure, some in zip(MEASURES * 200, cycle((characters, [*characters, b"\xe2", b"\xfd"]))):
        raw, pieces = b" " + b"".join(rng.choices(some, k=rng.randint(1, 12))), list[bytes]()
        said = raw.decode("utf-8", "replace")
        while raw:
            size = rng.randint(1, 4)
            pieces.append(raw[:size])
            raw = raw[size:]
        tokens = [
            Token(
                sample=0, id=i, text="", piece=piece, logprob=-rng.random() * 12,
                rank=rng.randint(1, 3000), entropy_bits=rng.random() * 9,
            )
            for i, piece in enumerate(pieces)
        ]  # fmt: skip
        said = said.lstrip()
        stream, tints, at = StreamTints(), list[Tint](), 0
        for token in tokens:
            stream.add(token)
        while at < len(said):
            part = said[at : at + rng.randint(0, 3)]
            cut = stream.cut(part, measure)
            tints += [(start + at, end + at, step) for start, end, step in cut]
            at += len(part)
        assert stream.tints(measure) == tuple(tints)
        scores = score(tokens, said, 0)
        values = ((each.start, each.end, value(tokens[each.id], measure)) for each in scores)
        assert by_character(tints) == by_character(whole_tints(values, measure))
        if measure == "surprisal":
            assert by_character(tints) == by_character(kept_tints(pack(scores)))


def value(token: Token, measure: Measure) -> float | None:
    """Measured value that tints a token."""
    surprisal = -(token.logprob or 0.0) / math.log(2)
    return {"surprisal": surprisal, "rank": token.rank, "entropy": token.entropy_bits}[measure]


def by_character(tints: Iterable[Tint]) -> dict[int, int]:
    """The step of each character."""
    return {place: step for start, end, step in tints for place in range(start, end)}

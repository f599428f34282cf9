"""Tokens of a document with the bundled model: tints, alternatives, swaps, bans."""

import asyncio
import codecs
import math
import re
from pathlib import Path

import pytest

from gptterm.charts.scales import DARK
from gptterm.config import load_settings
from gptterm.conversation.nodes import Generation
from gptterm.conversation.token_map import TurnToken
from gptterm.document.tree import Document
from gptterm.engine.api import (
    Finished,
    MixedPrompt,
    SamplingParams,
    TextPrompt,
    Timings,
    Token,
    Usage,
)
from gptterm.engine.inspection.answers import Encoded, TokenScore
from gptterm.engine.inspection.requests import EncodeRequest
from gptterm.engine.ipc.client import EngineClient
from gptterm.format import perplexity
from gptterm.tui.app import GpttermApp
from gptterm.tui.state.asking import ask
from gptterm.tui.state.document_reading import Reading, stretch_at
from gptterm.tui.state.document_tokens import DocumentTokens
from gptterm.tui.state.engine_manager import EngineManager, find_model
from tests.tui.test_write import WriteDesk


def tinted(desk: WriteDesk, word: str) -> set[str]:
    """Backgrounds of the cells of the text that show a word, of those that tints have."""
    found = set()
    shades = {step.background for step in DARK}
    for y in range(desk.write.area.size.height):
        for text, style, _ in desk.write.area.render_line(y):
            if word in text and style is not None and style.bgcolor is not None:
                found.add(style.bgcolor.name)
    return found & shades


async def test_tints_alternatives_swap_and_ban(home: Path) -> None:
    settings = load_settings({"model": "tiny", "temperature": 0.0, "max_tokens": 8})
    client = EngineClient(log=home / "engine.log")
    app = GpttermApp(settings, None, client, find_model, write=True)
    async with app.run_test(size=(120, 30)) as pilot:
        desk = WriteDesk(app, pilot)
        await desk.opened()
        writing, area, pane = desk.write.writing, desk.write.area, desk.write.panes.alternatives
        tokens, document = writing.text_tokens, writing.document
        await desk.type("The little fox zzgq")
        await desk.press("tab")
        await desk.done()
        await desk.press("ctrl+t")
        assert "surprisal, bits, from  0  1  2  4  6  8  11  15" in desk.text
        # A notice does not end it.
        desk.write.show_notice("info", "covers it")
        await desk.until(lambda: "covers it" in desk.text and "surprisal" not in desk.text)
        desk.write.notice_line.end("info")
        await desk.until(lambda: "surprisal, bits" in desk.text)
        # Typed text is read by the model; the tints stay where they are while one types on.
        await desk.until(lambda: tinted(desk, "zz"))
        reading = tokens.reader.reading
        assert reading is not None
        assert "".join(document.text[t.start : t.end] for t in reading.tokens) == document.text
        bits, count = tokens.bits(0, len(document.text))
        assert count == len(reading.ids) - 1
        # What was kept with the run is what the reading says of it.
        (span,) = document.spans
        read = tokens.bits(span.start, span.end)
        written = document.edit(span.edit).logprobs
        assert read[1] == len(written)
        assert math.isclose(read[0], -math.fsum(written) / math.log(2), rel_tol=1e-3)
        assert bits > read[0]
        # The token under the cursor, and its neighbours.
        await desk.press("ctrl+l")
        await desk.until(lambda: pane.has_focus and "H model" in desk.text)
        assert tokens.at(area.place) is not None
        place = span.start
        area.go_to(place)
        await desk.until(lambda: area.marked is not None and area.marked[0] == place)
        first = document.edit(span.edit).ids
        assert pane.candidates[0].id == first[0]
        await desk.press("right")
        walked = tokens.at(area.place)
        assert walked is not None
        assert walked.start == area.place > place
        await desk.press("left", "down")
        await desk.until(lambda: pane.walked == tokens.at(area.place))
        chosen = pane.candidates[1]
        before = document.text[:place]
        await desk.press("enter")
        await desk.until(lambda: area.has_focus and not writing.streaming)
        assert document.text.startswith(before + chosen.piece.decode())
        swap = document.edit(document.edit(document.current or "").parent or "")
        assert swap.ids == (chosen.id,)
        # Only what follows the swap was computed: all before was in the cache.
        assert writing.generation.finished is not None
        usage = writing.generation.finished.usage
        assert usage.prompt_tokens - usage.reused_tokens <= 2
        await desk.press("ctrl+z", "ctrl+z")
        assert document.edit(document.current or "").ids == first
        # A banned token takes no place, and is not drawn; in another text it may be.
        area.go_to(place)
        await desk.press("ctrl+l")
        await desk.until(lambda: pane.has_focus and pane.walked == tokens.at(place))
        pane.chosen = 0
        await desk.press("b")
        assert "is banned" in desk.said
        assert "in this text" in desk.said
        await desk.until(lambda: "cut ban" in desk.text)
        await desk.press("enter")
        assert "is banned: b lifts that" in desk.said
        assert desk.controller.biases == {}
        await desk.press("ctrl+z")
        await desk.press("escape", "ctrl+z", "tab")
        await desk.done()
        assert first[0] not in document.edit(document.current or "").ids
        await desk.press("alt+w")
        await desk.type("fox")
        await desk.press("enter")
        await desk.until(lambda: "fox: banned, in this text, in any case" in desk.said)
        assert writing.sampling.word_bias == (("fox", -math.inf),)
        await desk.press("alt+w")
        await desk.type("zzgqx +2.5")
        await desk.press("enter")
        await desk.until(lambda: "zzgqx: bias +2.5" in desk.said)
        # A token that would complete a banned word takes no place.
        area.go_to(document.text.index(" fox") + 1)
        await desk.press("ctrl+l")
        await desk.until(lambda: pane.has_focus and pane.walked == tokens.at(area.place))
        await desk.until(lambda: any(c.piece == b" fox" and c.cut for c in pane.candidates))
        pane.chosen = [c.piece for c in pane.candidates].index(b" fox")
        await desk.press("enter")
        assert "would complete a banned word" in desk.said
        await desk.press("escape", "alt+w")
        await desk.until(lambda: "banned: fox" in desk.text and "bias: zzgqx +2.5" in desk.text)
        await desk.type("fox 0")
        await desk.press("enter")
        await desk.until(lambda: "fox: as it was" in desk.said)
        assert writing.sampling.word_bias == (("zzgqx", 2.5),)
        await desk.press("ctrl+z", "alt+w")
        before = document.text
        await desk.type("koala !")
        await desk.press("enter")
        await desk.until(lambda: len(document.text) > len(before) + 6 and not writing.streaming)
        assert document.text.startswith(f"{before} koala")
        await desk.press("ctrl+t", "ctrl+t", "ctrl+t")
        assert desk.said == "no tints"
        assert not tinted(desk, "zz")


async def test_alternatives_see_memory_and_note(home: Path) -> None:
    """An alternative's probability is what the model wrote the token with, and so are counts."""
    penalised = {"temperature": 0.0, "frequency_penalty": 2.0}
    settings = load_settings({"model": "tiny", "max_tokens": 12} | penalised)
    client = EngineClient(log=home / "engine.log")
    beside = {"memory": "A tale of a king.", "note": "[sad]", "note_depth": 6}
    app = GpttermApp(settings, None, client, find_model, write=True, beside=beside)
    async with app.run_test(size=(120, 30)) as pilot:
        desk = WriteDesk(app, pilot)
        await desk.opened()
        writing = desk.write.writing
        tokens, document = writing.text_tokens, writing.document
        await desk.type("Once upon a time")
        await desk.press("tab")
        await desk.done()
        await desk.press("ctrl+t")
        await desk.until(lambda: tokens.at(len(document.text)) is not None)
        (span,) = document.spans
        edit, place = document.edit(span.edit), span.start
        for number, logprob in enumerate(edit.logprobs):
            look = await tokens.look(place, 5)
            assert look.score is not None
            assert look.score.id == edit.ids[number]
            # The note is at its depth from the end of the prompt, and stays there as it goes on.
            assert math.isclose(look.score.logprob or 0, logprob, abs_tol=1e-3)
            # What was drawn before in the same run is what the penalty counts.
            assert look.distribution is not None
            assert look.distribution.candidates[0].id == edit.ids[number]
            place = tokens.step(place, 1) or place
        # A note is not in the reading: the tints of what the model wrote are as it was written.
        written = tuple(tokens._written.tints(span.start, span.end))
        assert tokens.tints(span.start, span.end) == written
        bits, count = tokens.bits(span.start, span.end)
        assert count == len(edit.ids)
        assert math.isclose(bits, -math.fsum(edit.logprobs) / math.log(2))


async def test_a_model_that_is_gone_leaves_the_usual_one(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPTTERM_MODEL", "tiny")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    client = EngineClient(log=home / "engine.log")
    beside = {"model": "nobody/gone"}
    app = GpttermApp(load_settings({}), None, client, find_model, write=True, beside=beside)
    async with app.run_test(size=(120, 30)) as pilot:
        desk = WriteDesk(app, pilot)
        await desk.until(lambda: desk.app.write_screen and desk.controller.engine.ready)
        said = [notice.text for notice in desk.write.notice_line.history]
        assert any("nobody/gone wrote this text last" in line for line in said)
        assert any("nobody/gone is not on this machine" in line for line in said)
        assert desk.controller.engine.info is not None
        assert desk.controller.engine.info.name == "tiny"


async def test_the_estimate_of_a_long_text_stays(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    file.write_text("The king said so. " * 2000 + "zzgq xkqj " * 2000)
    settings = load_settings({"model": "tiny", "temperature": 0.0, "max_tokens": 24})
    client = EngineClient(log=home / "engine.log")
    app = GpttermApp(settings, None, client, find_model, write=True, file=file)
    async with app.run_test(size=(120, 30)) as pilot:
        desk = WriteDesk(app, pilot)
        await desk.opened()
        writing, area = desk.write.writing, desk.write.area
        tokens, document = writing.text_tokens, writing.document

        async def estimate_at(place: int) -> int:
            area.go_to(place)
            await desk.until(lambda: tokens.at(place) is not None)
            count = tokens.count(0, len(document.text))
            assert count is not None
            assert not count[1]
            return count[0]

        places = [0, 20_000, len(document.text)]
        for place in places:
            await estimate_at(place)
        found = [await estimate_at(place) for place in places]
        assert max(found) - min(found) <= 4  # at the edges of what is read
        # What the model writes has its count, and the rest the same estimate as before.
        await desk.press("tab")
        await desk.done()
        new = len(document.edit(document.current or "").ids)
        grown = await estimate_at(len(document.text))
        assert abs(grown - found[-1] - new) <= 4
        await desk.until(lambda: f"≈ {grown:,} tokens" in desk.text)


async def test_perplexity_is_known_without_tints_once_nothing_changes(home: Path) -> None:
    client = EngineClient(log=home / "engine.log")
    app = GpttermApp(load_settings({"model": "tiny"}), None, client, find_model, write=True)
    async with app.run_test(size=(140, 30)) as pilot:
        desk = WriteDesk(app, pilot)
        await desk.opened()
        document, tokens = desk.write.writing.document, desk.write.writing.text_tokens
        await desk.type("Once there was a fox.")
        # Of all but the first token, which follows nothing, and of the branch in the map.
        await desk.until(lambda: re.search(r"5 words · \d+ tokens · ppl [\d.]+(?! of)", desk.text))
        bits, count = tokens.bits(0, len(document.text))
        reading = tokens.reader.current
        assert reading is not None
        assert count == len(reading.ids) - 1
        await desk.press("ctrl+b")
        value = perplexity(2.0 ** (bits / count))
        await desk.until(lambda: f"5 words · ppl {value} · {bits / count:.2f} bits" in desk.text)
        # Of an edit at the end, what is new is computed.
        await desk.press("escape", "end")
        await desk.type(" It ran.")
        await desk.until(lambda: tokens.bits(0, len(document.text))[1] > count)
        later = tokens.reader.current
        assert later is not None
        assert later.scores[: len(reading.ids)] == reading.scores


def test_a_model_that_cannot_score_still_counts(home: Path) -> None:
    engine = EngineManager(EngineClient(log=home / "log"), find_model, lambda: None)
    document = Document()
    document.replace(0, 0, "abcd")
    tokens = DocumentTokens(engine, lambda: document, SamplingParams, lambda: None)
    read = tuple(TurnToken(n, 2 * n, 2 * n + 2) for n in range(2))
    reading = Reading(None, document.text, "", 0, 4, (0, 1), read, [])  # type: ignore[arg-type]
    tokens.reader.take(reading)
    asyncio.run(tokens.reader._score(reading))  # there is no engine
    assert (tokens.reader.problem, tokens.count(0, 4)) == ("", (2, True))


async def test_half_a_character_is_read_and_tinted_as_it_was_written(home: Path) -> None:
    settings = load_settings({"model": "tiny"})
    client = EngineClient(log=home / "engine.log")
    app = GpttermApp(settings, None, client, find_model, write=True)
    async with app.run_test(size=(120, 30)) as pilot:
        desk = WriteDesk(app, pilot)
        await desk.opened()
        writing, info = desk.write.writing, desk.controller.engine.info
        tokens, document = writing.text_tokens, writing.document
        assert info is not None
        request = EncodeRequest(prompt=MixedPrompt(parts=(TextPrompt(text=" foxý ran"),)))
        found = (await ask(client, request, Encoded)).pieces
        drawn = [each for each in found if each.piece != b"\xbd"]
        assert b"\xc3" in [each.piece for each in drawn]
        await desk.type("The")
        run = Generation.for_model(info, SamplingParams())
        (version,) = document.begin(3, run)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for each in drawn:
            text = decoder.decode(each.piece)
            token = Token(sample=0, id=each.id, text=text, piece=each.piece, logprob=-2.0)
            document.apply_event(version, token)
        document.finish(version, "length")
        assert document.text == "The fox\ufffd ran"
        assert document.edit(version).ids == tuple(each.id for each in drawn)
        await desk.press("ctrl+t")
        await desk.until(
            lambda: tokens.reader.reading and len(tokens.reader.reading.scores) > len(drawn)
        )
        reading = tokens.reader.reading
        assert reading is not None
        assert reading.ids[-len(drawn) :] == document.edit(version).ids
        assert "".join(document.text[t.start : t.end] for t in reading.tokens) == document.text
        assert tokens.bits(3, len(document.text))[1] == len(drawn)


def write(document: Document, *pieces: bytes) -> None:
    """Have a model write tokens of 5 bits at the end."""
    (version,) = document.begin(len(document.text), Generation(model="m"))
    for number, piece in enumerate(pieces):
        token = Token(
            sample=0, id=number, text=piece.decode(), piece=piece, logprob=-5 * math.log(2)
        )
        document.apply_event(version, token)
    usage = Usage(prompt_tokens=1, completion_tokens=2, reused_tokens=0, dropped_tokens=0)
    timings = Timings(first_token_s=0, total_s=0, tokens_per_s=0)
    document.apply_event(
        version, Finished(sample=0, reason="eos", text="", usage=usage, timings=timings)
    )


def test_tints_as_written_as_read_and_after_an_edit(home: Path) -> None:
    engine = EngineManager(EngineClient(log=home / "log"), find_model, lambda: None)
    document = Document()
    tokens = DocumentTokens(engine, lambda: document, SamplingParams, lambda: None)
    document.replace(0, 0, "ab")
    write(document, b" c", b" d")
    tokens.cycle()
    assert tokens.tints(0, 6) == ((2, 4, 3), (4, 6, 3))
    assert tokens.tints(3, 5) == ()
    assert tokens.bits(0, 6) == (10.0, 2)
    assert tokens.bits(0, 5) == (5.0, 1)
    # As it is read, all of it has tints; what is inserted has none, and the rest keeps its own.
    scores = [
        TokenScore(id=n, piece=b"", logprob=-bits * math.log(2)) for n, bits in enumerate((1, 2, 9))
    ]
    read = tuple(TurnToken(n, 2 * n, 2 * n + 2) for n in range(3))
    tokens.reader.take(Reading(None, document.text, "", 0, 6, (0, 1, 2), read, scores))  # type: ignore[arg-type]
    assert tokens.tints(0, 6) == ((0, 2, 1), (2, 4, 2), (4, 6, 5))
    assert tokens.bits(0, 6) == (12.0, 3)
    assert tokens.step(0, 1) == 2
    assert tokens.step(5, 1) == 6
    document.replace(2, 2, "xyz")
    assert tokens.tints(0, 9) == ((0, 2, 1), (5, 7, 2), (7, 9, 5))
    assert tokens.bits(0, 9) == (12.0, 3)
    assert tokens.at(0) is None
    # A stream is tinted as it comes; between two changes, what models wrote is as it was written.
    (version,) = document.begin(9, Generation(model="m"))
    document.apply_event(
        version, Token(sample=0, id=1, text="e", piece=b"e", logprob=-5 * math.log(2))
    )
    document.apply_event(
        version, Token(sample=0, id=1, text="", piece="€".encode()[:2], logprob=-1.0)
    )
    assert tokens.tints(7, 10) == ((7, 9, 3), (9, 10, 3))
    tokens.cycle()
    assert tokens.tints(0, 9) == ()  # no ranks were told


def test_where_the_text_begins_that_the_model_sees(home: Path) -> None:
    engine = EngineManager(EngineClient(log=home / "log"), find_model, lambda: None)
    document = Document()
    tokens = DocumentTokens(engine, lambda: document, SamplingParams, lambda: None)
    document.replace(0, 0, "ab" * 100)
    assert tokens.seen_from(200, 20) is None
    read = tuple(TurnToken(n, 2 * n, 2 * n + 2) for n in range(100))
    whole = Reading(None, document.text, "", 0, 200, tuple(range(100)), read, [])  # type: ignore[arg-type]
    tokens.reader.take(whole)
    assert [tokens.seen_from(place, 20) for place in (200, 100, 40, 0)] == [160, 32, 0, 0]
    # Of what is before a stretch, by the length of its tokens.
    tokens.reader.take(whole._replace(start=100, tokens=read[50:]))
    assert tokens.seen_from(120, 20) == 68
    document.replace(0, 0, "x")
    assert tokens.seen_from(200, 20) is None


def test_what_is_read_of_a_long_text() -> None:
    text = "word " * 20_000
    assert stretch_at(text[:16_000], 15_000) == (0, 16_000)
    for place in (0, 9_000, 50_000, 100_000):
        start, end = stretch_at(text, place)
        assert start <= max(0, place - 7_000)
        assert place <= end <= start + 16_000
        assert stretch_at(text, place + 1) == (start, end)
        assert start == 0 or text[start] == " "

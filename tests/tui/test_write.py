"""Write mode in the TUI: typing, continuing, choosing, undo, files."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from textual import events
from textual.geometry import Region
from textual.strip import Strip

from gptterm.config import Settings, load_settings
from gptterm.engine.api import ModelSource
from gptterm.engine.ipc.client import EngineClient
from gptterm.store import History
from gptterm.tui import attention
from gptterm.tui.app import GpttermApp
from gptterm.tui.screens.write import FRAME_S, WriteScreen
from gptterm.tui.textual_compat import TerminalApp, set_titles
from gptterm.tui.widgets.document_area import UNSEEN_SIGN, DocumentArea, shown_text
from gptterm.tui.widgets.key_groups import WRITE_GROUPS
from gptterm.tui.widgets.keyline import KeyLine
from tests.support.scripted import FACTORY, Fault, Script, write_script
from tests.tui.conftest import Desk

THREE = Script.saying(" one.", " two.", " three.")


class WriteDesk(Desk):
    """An open TUI in Write mode."""

    @property
    def write(self) -> WriteScreen:
        assert self.app.write_screen is not None
        return self.app.write_screen

    @property
    def written(self) -> str:
        """The document's text, which is what is shown."""
        text = self.write.writing.document.text
        assert self.write.area.shown == text
        assert self.write.area.text == shown_text(text)
        return text

    @property
    def said(self) -> str:
        history = self.write.notice_line.history
        return history[-1].text if history else ""

    async def opened(self) -> None:
        await self.until(lambda: self.app.write_screen and self.write.writing.opened)
        await self.ready()

    async def done(self) -> None:
        """Wait for the end of the continuations, as they are drawn."""
        writing = self.write.writing
        await self.until(
            lambda: not writing.streaming and self.write.area.shown == writing.document.text
        )


Open = Callable[..., AbstractAsyncContextManager[WriteDesk]]


@pytest.fixture
def open_write(tmp_path: Path, home: Path) -> Open:
    """Opens Write mode on a file: `async with open_write(script, file) as desk`."""

    @asynccontextmanager
    async def opened(
        script: Script = THREE,
        file: Path | None = None,
        beside: dict[str, object] | None = None,
        **options: object,
    ) -> AsyncIterator[WriteDesk]:
        request = write_script(tmp_path, script, name="gpt2")

        async def find(_: Settings, report: Callable[[str], None]) -> ModelSource:
            report("looking for the model")
            return request.source

        client = EngineClient(factory=FACTORY, log=home / "engine.log")
        settings = load_settings(options)
        app = GpttermApp(settings, None, client, find, write=True, file=file, beside=beside)
        async with app.run_test(size=(100, 30)) as pilot:
            desk = WriteDesk(app, pilot)
            await desk.opened()
            yield desk

    return opened


async def test_the_key_line_offers_to_stop_what_has_begun(open_write: Open) -> None:
    async with open_write() as desk:
        await desk.type("The fox said")
        keyline = desk.write.query_one(KeyLine)
        assert "stop" not in [hint.label for hint in keyline.keys]
        # Nothing is awaited here: a frame with what it begins at would have the line, too.
        assert desk.write.continue_at(len("The fox said"))
        assert "stop" in [hint.label for hint in keyline.keys]
        await desk.done()


async def test_typing_continuing_and_undo(open_write: Open) -> None:
    async with open_write() as desk:
        await desk.type("The fox said")
        await desk.press("tab")
        await desk.done()
        assert desk.written == "The fox said one."
        assert "The fox said one." in desk.text
        await desk.type("!")
        assert desk.written == "The fox said one.!"
        await desk.press("ctrl+z", "ctrl+z")
        assert desk.written == "The fox said"
        await desk.press("ctrl+y")
        assert desk.written == "The fox said one."


CLUSTERS = ("a", "👩\u200d👩\u200d👧", "e\u0301", "🇩🇪", "👍🏽", "b")


async def test_clusters_are_passed_deleted_and_copied_as_one(open_write: Open) -> None:
    async with open_write() as desk:
        area = desk.write.area
        area.post_message(events.Paste("".join(CLUSTERS)))
        await desk.press("home")
        for i in range(len(CLUSTERS)):
            assert area.place == len("".join(CLUSTERS[:i]))
            await desk.press("right")
        await desk.press("home", *["shift+right"] * 2, "ctrl+x", "ctrl+z")
        assert desk.app.clipboard == "".join(CLUSTERS[:2])
        await desk.press("home", *["shift+right"] * 2, "ctrl+c")
        await desk.until(lambda: "the selection" in desk.said)
        assert f"{len(CLUSTERS[1]) + 1} characters" in desk.said
        await desk.press("home")
        await desk.press("right", "delete", "backspace")
        assert desk.written == "".join(CLUSTERS[2:])
        area.move_cursor((0, 1))
        assert area.place == len(CLUSTERS[2]), "a click would get there, too"


async def test_what_is_typed_into_a_cluster_stays_together(open_write: Open) -> None:
    """The flag of Germany before that of France: in between, other pairs of letters are flags."""
    async with open_write() as desk:
        desk.write.area.post_message(events.Paste("🇫🇷"))
        await desk.press("home")
        for letter in "🇩🇪":
            desk.app.post_message(events.Key(letter, letter))
        await desk.until(lambda: desk.written == "🇩🇪🇫🇷")


async def test_rows_have_the_width_that_every_terminal_gives_them(open_write: Open) -> None:
    async with open_write() as desk:
        desk.write.area.post_message(events.Paste("x👍🏽y👩\u200d👧z❤\ufe0f."))
        await desk.until(lambda: "z❤" in desk.text.replace("\u200c", ""))
        row = next(row for row in desk.rows if "👍" in row)
        assert "x👍y👩👧z❤." in row.replace("\u200c", "")
        assert not {"\u200d", "\ufe0f", "🏽"} & set(row)


async def test_the_text_is_wrapped_for_the_room_that_panes_leave(
    open_write: Open, tmp_path: Path
) -> None:
    words = " ".join(f"word{number}" for number in range(70))
    (file := tmp_path / "story.md").write_text(words, encoding="utf-8")

    async with open_write(file=file) as desk:
        area = desk.write.area
        wide = area.size.width

        def shown() -> str:
            left, top, width, height = area.content_region
            rows = [row[left : left + width] for row in desk.rows[top : top + height]]
            return " ".join(" ".join(rows).split())

        assert shown() == words
        for key, has_pane in [("ctrl+b", True), ("ctrl+b", False), ("f5", True), ("f5", False)]:
            await desk.press(key)
            await desk.until(lambda has_pane=has_pane: (area.size.width < wide) == has_pane)  # type: ignore[misc]
            assert shown() == words, key
        await desk.pilot.resize_terminal(70, 30)
        await desk.until(lambda: area.size.width < wide)
        assert shown() == words


async def test_a_title_is_drawn_without_the_text(
    open_write: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_write() as desk:
        await desk.type("one two three")
        await desk.until(lambda: "3 words" in desk.text)
        rows: list[int] = []
        draw = DocumentArea.render_line

        def counted(area: DocumentArea, y: int) -> Strip:
            rows.append(y)
            return draw(area, y)

        monkeypatch.setattr(DocumentArea, "render_line", counted)
        set_titles(desk.write.area, "[b]named[/b]", "anew")
        await desk.until(lambda: "named" in desk.text and "anew" in desk.text)
        assert rows == []
        set_titles(desk.write.area, "", "")
        await desk.until(lambda: "named" not in desk.text and "anew" not in desk.text)


async def test_a_tick_does_not_draw_before_a_key(
    open_write: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_write() as desk:
        await desk.type("one")
        awaits = [True]
        monkeypatch.setattr(TerminalApp, "awaits_frame_of_key", lambda _app: awaits[0])
        desk.write.writing.edit(3, 3, " two")
        ticked = asyncio.Event()
        desk.write.set_timer(3 * FRAME_S, ticked.set)
        await ticked.wait()
        assert desk.write.area.shown == "one"
        awaits[0] = False
        await desk.until(lambda: desk.write.area.shown == "one two")


async def test_keys_act_in_their_order_however_fast_they_come(open_write: Open) -> None:
    async with open_write() as desk:
        for key in ("a", "ctrl+z", "b", "c", "backspace", "d", "left", "e", "end", "tab"):
            desk.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await desk.until(lambda: desk.write.writing.continuations)
        await desk.done()
        assert desk.written == "bed one."


async def test_what_is_typed_before_the_text_is_open_comes_into_it(open_write: Open) -> None:
    async with open_write() as desk:
        await desk.type("Once")
        desk.write.area.read_only = True
        await desk.press("space", "u", "q", "backspace", "p", "left", "enter")
        desk.write.area.post_message(events.Paste("so"))
        await desk.pilot.pause()
        assert desk.written == "Once"
        desk.write.area.begin()
        assert desk.written == "Once up\nso"
        await desk.press("ctrl+z")
        assert desk.written == "Once"


async def test_continuing_in_the_middle_keeps_the_text_after(open_write: Open) -> None:
    async with open_write(Script.saying(" one.", fills_middle=True)) as desk:
        await desk.type("ab")
        await desk.press("left", "ctrl+enter")
        await desk.done()
        assert desk.written == "a one.b"
        assert "the model reads the text after it too" in desk.said


async def test_a_text_that_the_model_ends_gets_no_empty_version(open_write: Open) -> None:
    async with open_write(Script.saying(" one.", [], [])) as desk:
        writing = desk.write.writing
        await desk.type("So")
        await desk.press("tab")
        await desk.done()
        document, shown = writing.document, writing.document.current
        for told in range(1, 3):
            await desk.press("tab")
            await desk.done()
            await desk.until(lambda: len(document) == 2 and not writing.generation.is_busy)
            said = "the model ends the text here: write on, or ban its end (Ctrl+L, then b)"
            assert [line.text for line in desk.write.notice_line.history] == [said] * told
            assert (document.current, desk.written) == (shown, "So one.")
        await desk.press("escape")
        await desk.until(lambda: "1 continuation" in desk.text)
        assert "0 tokens" not in desk.text


async def test_of_several_continuations_the_empty_ones_go(open_write: Open) -> None:
    async with open_write(Script.saying(" one.", " two.", [], silent=1)) as desk:
        writing, document = desk.write.writing, desk.write.writing.document
        await desk.type("So")
        await desk.press("tab")
        await desk.done()
        await desk.press("escape", "2", "g")
        await desk.until(lambda: desk.said and not writing.generation.is_busy)
        assert desk.said == "1 of 2 continuations are empty: the model ends the text here"
        assert (desk.written, len(writing.continuations)) == ("So two.", 2)
        # With none that has a text, the one before comes into view again.
        await desk.press("up")
        assert desk.written == "So one."
        await desk.press("2", "g")
        await desk.until(lambda: "ban its end" in desk.said and not writing.generation.is_busy)
        assert (desk.written, len(writing.continuations), len(document)) == ("So one.", 2, 3)


async def test_a_stop_text_that_comes_at_once_is_told(open_write: Open) -> None:
    async with open_write(Script.saying("END of it"), stop=["END"]) as desk:
        writing = desk.write.writing
        await desk.type("So")
        await desk.press("tab")
        await desk.until(lambda: desk.said and not writing.generation.is_busy)
        assert desk.said == "'END' comes at once, and ends the text"
        assert (desk.written, len(writing.document)) == ("So", 1)


async def test_several_continuations_are_chosen_among(open_write: Open) -> None:
    async with open_write() as desk:
        await desk.type("So")
        await desk.press("tab")
        await desk.done()
        await desk.press("escape", "2", "g")
        await desk.done()
        await desk.until(lambda: "3 continuations" in desk.text)
        texts = {desk.written}
        for _ in range(2):
            await desk.press("up")
            texts.add(desk.written)
        assert len(desk.write.writing.continuations) == 3
        assert "So one." in texts
        await desk.press("escape")
        assert desk.write.area.has_focus
        await desk.press("ctrl+b")
        await desk.until(lambda: "map of the versions" in desk.text and "ppl" in desk.text)
        seen = []
        for key in ("up", "down", "down", "up", "up"):
            await desk.press(key)
            seen.append(desk.written)
        assert seen == ["So", "So one.", "So two.", "So one.", "So"]
        await desk.press("n")
        await desk.until(lambda: "name the branch" in desk.text)
        await desk.type("start")
        await desk.press("enter")
        await desk.until(lambda: "● start" in desk.text)
        # Two of the three say the same.
        await desk.press("m")
        assert "merged 1 branch into equal ones; u undoes it" in desk.said
        await desk.press("m")
        assert "no branches are equal" in desk.said
        await desk.press("down", "d")
        assert "pruned the branch; u brings it back" in desk.said
        assert (desk.written, len(desk.write.writing.document)) == ("So", 4)
        await desk.until(lambda: "So one." not in desk.text)
        await desk.press("u")
        assert desk.written == "So one."
        await desk.press("u")
        assert "brought back 1 branch" in desk.said
        await desk.press("u")
        assert "nothing is pruned" in desk.said
        await desk.press("ctrl+b")
        await desk.until(lambda: "map of the versions" not in desk.text)
        assert desk.write.area.has_focus


async def test_bookmarks_lead_back(open_write: Open) -> None:
    async with open_write() as desk:
        await desk.type("Once upon")
        await desk.press("left", "left", "ctrl+d")
        await desk.until(lambda: "set a bookmark at the cursor" in desk.text)
        await desk.press("enter")
        assert desk.said == "set a bookmark"
        await desk.press("ctrl+z")
        assert desk.written == ""
        await desk.press("ctrl+d", "down")
        await desk.until(lambda: "…Once up" in desk.text and "in another version" in desk.text)
        await desk.press("enter")
        assert (desk.written, desk.write.area.place) == ("Once upon", 7)
        assert desk.write.area.has_focus
        await desk.press("ctrl+d", "enter")
        assert desk.said == "took the bookmark back"


async def test_a_continuation_ends_with_a_unit_a_text_or_an_expression(open_write: Open) -> None:
    async with open_write(Script.saying(" one. two, three four")) as desk:
        await desk.type("So")
        for chosen, said, text in (
            ("sentence", "ends with sentence", "So one."),
            ("/t[a-z]+/", "ends with /t[a-z]+/", "So one. two"),
            ("2", "2 tokens at most", "So one. two,"),
            ("/(/", "no regular expression", "So one. two,"),
        ):
            await desk.press("ctrl+g")
            await desk.until(lambda: "a continuation ends with" in desk.text)
            await desk.type(chosen)
            await desk.press("enter")
            await desk.until(lambda: said in desk.said)  # noqa: B023
            await desk.press("tab")
            await desk.done()
            assert desk.written == text
            await desk.press("ctrl+z")


async def test_find_and_replace(open_write: Open) -> None:
    async with open_write() as desk:
        area = desk.write.area
        await desk.type("one two One")
        await desk.press("ctrl+f")
        await desk.type("on")
        await desk.press("enter")
        await desk.until(lambda: area.selected_text == "on")
        await desk.press("ctrl+f", "enter")
        await desk.until(lambda: area.selected_text == "On")
        assert "2 of 2 places" in desk.said
        # What was sought last is selected: typing replaces it.
        await desk.press("ctrl+r")
        await desk.type("one")
        await desk.press("enter")
        await desk.until(lambda: "replace one by" in desk.text)
        await desk.type("a")
        await desk.press("enter")
        await desk.until(lambda: area.shown == "a two a")
        assert desk.written == "a two a"
        await desk.press("ctrl+z")
        assert desk.written == "one two One"
        await desk.press("ctrl+f", "x", "enter")
        await desk.until(lambda: "does not contain" in desk.text)


async def test_escape_stops_and_keeps_the_text(open_write: Open) -> None:
    async with open_write(Script.saying(" w" * 9, rate=100, endless=True), max_tokens=9999) as desk:
        await desk.type("go")
        await desk.press("tab")
        await desk.until(lambda: "go w w" in desk.write.writing.document.text)
        await desk.press("escape")
        await desk.done()
        kept = desk.written
        assert kept.startswith("go w w")
        assert desk.said == "stopped"
        await desk.until(lambda: not desk.controller.engine.client.busy)
        assert desk.written == kept


async def test_typing_while_it_streams_stops_it_and_comes_behind(open_write: Open) -> None:
    async with open_write(Script.saying(" w" * 9, rate=100, endless=True), max_tokens=9999) as desk:
        await desk.type("go")
        await desk.press("tab")
        await desk.until(lambda: "go w w" in desk.write.writing.document.text)
        await desk.type("X")
        await desk.done()
        assert desk.written.replace(" w", "").replace(" ", "").replace("w", "") == "goX"
        assert desk.written.startswith("go w")


async def test_a_file_is_opened_written_and_kept(open_write: Open, tmp_path: Path) -> None:
    file = tmp_path / "story.txt"
    file.write_bytes("Füchse\r\nund so\r\n".encode())
    async with open_write(file=file) as desk:
        assert desk.written == "Füchse\nund so\n"
        await desk.type("weiter")
        await desk.until(lambda: "not written to the file" in desk.text)
        await desk.press("ctrl+s")
        assert file.read_bytes() == "Füchse\r\nund so\r\nweiter".encode()
        await desk.type("!")
    # What was not written to the file is in the history.
    async with open_write(file=file) as desk:
        assert desk.written.endswith("weiter!")
        assert "not written to the file yet" in desk.said
        await desk.press("ctrl+z")
        assert desk.written.endswith("weiter")


async def test_another_text_is_opened(open_write: Open, tmp_path: Path) -> None:
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    folder = tmp_path / "folder"
    folder.mkdir()
    other.write_text("there")
    async with open_write(file=one) as desk:
        await desk.type("here")
        await desk.press("ctrl+o")
        await desk.until(lambda: "open a text" in desk.text)
        await desk.type(str(other))
        await desk.press("enter")
        await desk.until(lambda: desk.write.area.shown == "there")
        await desk.type(" too")
        assert desk.written == "there too"
        await desk.press("ctrl+z", "ctrl+o")
        await desk.until(lambda: "1 version" in desk.text)
        await desk.press("escape", "ctrl+n")
        await desk.until(lambda: desk.write.area.shown == "")
        await desk.type("first of two")
        await desk.press("ctrl+n")
        await desk.until(lambda: desk.write.area.shown == "")
        await desk.type("second")
        await desk.press("ctrl+o")
        await desk.until(lambda: "first of two" in desk.text and "no file" in desk.text)
        await desk.type("of two")
        await desk.press("enter")
        await desk.until(lambda: desk.write.area.shown == "first of two")
        await desk.press("ctrl+o")
        await desk.until(lambda: "open a text" in desk.text)
        await desk.type("one.txt")
        await desk.press("enter")
        await desk.until(lambda: desk.write.area.shown == "here")
        await desk.press("ctrl+z")
        assert desk.written == ""
        await desk.press("ctrl+o")
        await desk.until(lambda: "open a text" in desk.text)
        await desk.type(str(folder))
        await desk.press("enter")
        await desk.until(lambda: "folder" in desk.said)
        assert desk.written == ""


async def test_a_file_changed_elsewhere(open_write: Open, tmp_path: Path) -> None:
    file = tmp_path / "story.txt"
    async with open_write(file=file) as desk:
        await desk.type("mine")
        file.write_text("theirs")
        await desk.press("ctrl+s")
        assert "once more overwrites" in desk.said
        assert file.read_text() == "theirs"
        await desk.press("ctrl+s")
        assert file.read_text() == "mine"
    file.write_text("theirs again")
    async with open_write(file=file) as desk:
        assert desk.written == "theirs again"
        assert "changed elsewhere" in desk.said
        await desk.press("ctrl+z")
        assert desk.written == "mine"


async def test_the_status_has_the_context_and_the_seed(open_write: Open) -> None:
    async with open_write(seed=7) as desk:
        await desk.type("The fox said")
        await desk.press("tab")
        await desk.done()
        await desk.until(lambda: "seed 7" in desk.text)
        # More continuations of a place go on from there.
        await desk.press("escape", "2", "g")
        await desk.done()
        await desk.until(lambda: "seed 8" in desk.text)
        document = desk.write.writing.document
        runs = [document.edit(each).run for each in desk.write.writing.continuations]
        assert [run.seed for run in runs if run is not None] == [7, 8, 9]
        started = desk.write.writing.generation.started
        assert started is not None
        assert f"{started.prompt_tokens + 1}/1024" in desk.text


async def test_counts_that_stay_draw_nothing(
    open_write: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_write() as desk:
        await desk.type("The fox said")
        await desk.until(lambda: "3 words" in desk.text)
        drawn: list[tuple[Region, ...]] = []
        monkeypatch.setattr(desk.write.area, "refresh", lambda *regions: drawn.append(regions))
        desk.write._count()
        assert drawn == []
        monkeypatch.undo()
        await desk.type(" yes")
        await desk.until(lambda: "4 words" in desk.text)


async def test_memory_and_note_are_seen_counted_and_kept(open_write: Open) -> None:
    async with open_write(beside={"note_depth": 1}) as desk:
        await desk.type("The fox said")
        await desk.press("f6")
        await desk.until(lambda: "author's note" in desk.text)
        await desk.type("A tale.")
        await desk.press("tab")
        await desk.type("gloomy")
        await desk.until(lambda: "memory 2 tokens · note 1 token · of 1024" in desk.text)
        await desk.press("escape", "tab")
        await desk.done()
        assert desk.written == "The fox said one."
        started = desk.write.writing.generation.started
        assert started is not None
        assert started.prompt_tokens > 3 + 2 + 1
        pieces = desk.write.writing.document.settings
        assert (pieces.memory, pieces.note, pieces.note_depth) == ("A tale.", "gloomy", 1)
    async with open_write() as desk:
        await desk.press("f6")
        await desk.until(lambda: "A tale." in desk.text and "gloomy" in desk.text)


async def test_samplers_and_model_are_of_the_text(open_write: Open, tmp_path: Path) -> None:
    async with open_write(top_p=0.5) as desk:
        own, chat = desk.write.writing, desk.controller
        await desk.type("So")
        await desk.press("f5")
        await desk.until(lambda: "temperature" in desk.text)
        await desk.press("right")
        changed = own.settings.sampling.temperature
        assert changed != chat.settings.sampling.temperature
        assert str(changed) in desk.text
        # A preset replaces it, but not what an option has given.
        await desk.press("p")
        await desk.until(lambda: "preset of this text" in desk.text)
        await desk.type("neutral")
        await desk.press("enter")
        await desk.until(lambda: own.settings.sampling.temperature == 1)
        await desk.press("down", "2", "enter", "escape", "tab")
        await desk.done()
        run = own.document.edit(own.document.path()[-1]).run
        assert run is not None
        assert (run.sampling.temperature, run.sampling.top_k) == (1, 2)
        assert own.document.settings.model == "gpt2"
        await desk.press("ctrl+o")
        await desk.until(lambda: "open a text" in desk.text)
        await desk.type(str(tmp_path / "other.txt"))
        await desk.press("enter")
        await desk.until(lambda: desk.write.writing is not own and desk.write.writing.opened)
        assert desk.write.writing.settings.sampling == chat.settings.sampling
    async with open_write() as desk:
        assert desk.write.writing.settings.sampling.top_k == 2
        assert desk.write.writing.settings.preset == "neutral"
        desk.write.writing.document.settings = msgspec.structs.replace(
            desk.write.writing.document.settings, model="other", values={"top_k": -5, "gone": 1}
        )
        await desk.until(lambda: not desk.write.writing._saver.unsaved)  # type: ignore[union-attr]
    async with open_write() as desk:
        assert "other wrote this text last: it is loaded for it" in desk.said
        assert desk.controller.settings.model == "other"
        assert desk.write.writing.settings.sampling == desk.controller.settings.sampling


async def test_what_cannot_be_continued_is_said(open_write: Open) -> None:
    async with open_write() as desk:
        await desk.press("tab")
        assert "write a few words first" in desk.said
        await desk.type("  ")
        await desk.press("tab")
        assert "write a few words first" in desk.said
        assert desk.written == "  "
        # What the model would not see has a sign in the margin.
        await desk.press("enter")
        area = desk.write.area
        area.unseen = 3
        _, first, second, *_ = area.render_lines(Region(0, 0, *area.outer_size))
        assert (first.text[0], second.text[0]) == (UNSEEN_SIGN, " ")


async def test_controls_are_shown_as_signs_and_kept(open_write: Open, tmp_path: Path) -> None:
    file = tmp_path / "odd.txt"
    text = "a\x1b[31m\u2028b\x85c\td\x0b\x00e"
    file.write_text(text)
    async with open_write(file=file) as desk:
        assert desk.written == text
        assert "a␛[31m␤b␤c" in desk.text
        await desk.type("!")
        await desk.press("ctrl+s")
    assert file.read_text() == text + "!"


async def test_from_the_chat_and_back(open_write: Open) -> None:
    async with open_write() as desk:
        await desk.type("kept")
        await desk.press("f2")
        await desk.until(lambda: "Message gpt2" in desk.text)
        await desk.press("f3")
        await desk.until(lambda: "a text without a file" in desk.text)
        assert desk.written == "kept"
        await desk.press("ctrl+c")
        assert "again quits" in desk.said
        await desk.press("ctrl+c")
        assert desk.app._exit


async def test_back_from_inspect_mode_is_to_the_text(open_write: Open) -> None:
    async with open_write() as desk:
        await desk.type("Once")
        await desk.press("f4", "escape")
        assert desk.write.is_current
        await desk.press("f4", "f2")
        assert desk.screen.is_current


async def test_to_the_beginning_and_the_end_of_the_text(open_write: Open) -> None:
    async with open_write() as desk:
        desk.write.area.post_message(events.Paste("one\n\ntwo\nthree"))
        await desk.press("ctrl+home")
        assert desk.write.area.place == 0
        await desk.press("ctrl+end")
        assert desk.write.area.place == len("one\n\ntwo\nthree")


async def test_the_terminals_title_is_that_of_what_is_in_front(
    open_write: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [""]
    monkeypatch.setattr(attention, "write_to_terminal", lambda _, data: written.append(data))
    file = tmp_path / "tale.txt"
    file.write_text("Once")
    async with open_write(file=file) as desk:
        await desk.until(lambda: "\x1b]2;tale.txt · gptterm" in written[-1])
        await desk.press("f2")
        await desk.until(lambda: "\x1b]2;gptterm\a" in written[-1])
        await desk.press("f3")
        await desk.until(lambda: "\x1b]2;tale.txt · gptterm" in written[-1])
    assert written[-1] == attention.POP_TITLE


async def test_the_palette_and_the_help_have_every_key(open_write: Open) -> None:
    async with open_write() as desk:
        found = {command.title for command in desk.app.get_system_commands(desk.write)}
        assert {b.tooltip for _, bindings in WRITE_GROUPS for b in bindings} <= found  # type: ignore[union-attr]
        await desk.type("kept")
        desk.write.run_binding("text", "undo")
        await desk.until(lambda: desk.written == "")
        await desk.press("f1")
        await desk.until(lambda: "everywhere" in desk.text)
        await desk.press("end")
        await desk.until(lambda: "More continuations" in desk.text or "/quit" in desk.text)
        await desk.press("escape")
        assert "a text without a file" in desk.text


async def test_continuations_are_ranked_by_perplexity(open_write: Open) -> None:
    async with open_write() as desk:
        await desk.type("So")
        await desk.press("tab")
        await desk.done()
        await desk.press("escape", "4", "g")
        await desk.done()
        writing = desk.write.writing
        by_age = writing.continuations
        assert len(by_age) == 5
        await desk.until(lambda: "ppl" in desk.text)
        await desk.press("r")
        values = [writing.document.edit(each).perplexity for each in writing.continuations]
        assert None not in values
        assert values == sorted(values)  # type: ignore[type-var]
        await desk.press("r")
        texts = [writing.document.edit(each).text for each in writing.continuations]
        assert texts == sorted(texts, key=len, reverse=True)
        await desk.press("r")
        assert writing.continuations == by_age


async def test_continuations_side_by_side_kept_and_taken(open_write: Open) -> None:
    script = Script.saying(" one, and all that follows.", " two.", " three.")
    async with open_write(script) as desk:
        # There is nothing to choose from yet: the list makes the first ones.
        await desk.type("So it ends")
        writing, area = desk.write.writing, desk.write.area
        await desk.press("left", "left", "left", "left", "left", "escape")
        await desk.until(lambda: "digits before it" in desk.text)
        for _ in range(3):
            assert desk.app.focused is desk.write.list
            await desk.press("1", "g")
            await desk.done()
        assert len(writing.continuations) == 3
        await desk.press("c")
        await desk.until(lambda: "1 · 5 tokens" in desk.text and "3 · 1 token" in desk.text)
        row = next(each for each in desk.rows if "three." in each and "two." in each)
        assert "one, and" in row
        await desk.press("c", "up")
        assert desk.written == "So it two. ends"
        assert area.place == len("So it two.")
        await desk.press("d")
        assert "Space marks those to keep" in desk.said
        await desk.press("space", "up", "space")
        await desk.until(lambda: "★one" in desk.text and "★two" in desk.text)
        await desk.press("d")
        assert "1 continuation pruned" in desk.said
        assert desk.text.count("★") == 0
        await desk.press("down", "enter")
        assert desk.app.focused is area
        await desk.type("!")
        assert desk.written == "So it two.! ends"
        # Counts are those of the text and of what is selected.
        await desk.press("shift+left")
        await desk.until(lambda: "selected 1 word of 4 words" in desk.text)


async def test_export_from_the_screen(open_write: Open, tmp_path: Path) -> None:
    async with open_write() as desk:
        await desk.press("ctrl+e")
        assert "nothing to export" in desk.said
        await desk.type("So")
        await desk.press("tab")
        await desk.done()
        await desk.press("ctrl+e")
        await desk.until(lambda: "export the text" in desk.text)
        await desk.press("ctrl+u")
        await desk.type(str(tmp_path / "out.json"))
        await desk.press("enter")
        await desk.until(lambda: "wrote" in desk.said)
    assert json.loads((tmp_path / "out.json").read_text())["text"] == "So one."


async def test_nothing_is_saved_where_that_is_unwanted(open_write: Open, path: Path) -> None:
    async with open_write(save=False) as desk:
        await desk.type("secret")
    with History.open(path) as history:
        assert history.open_document("").document.text == ""


async def test_a_failed_engine_leaves_the_text(open_write: Open) -> None:
    fault = Fault(at="decode", how="die", token=3, generation=0)
    script = Script.saying(" a b c d", rate=5, faults=(fault,))
    async with open_write(script) as desk:
        await desk.type("So")
        await desk.press("tab")
        await desk.done()
        assert desk.written.startswith("So a")
        assert any(notice.kind == "error" for notice in desk.write.notice_line.history)
        # It is started again, and goes on.
        await desk.ready()
        await desk.press("tab")
        await desk.done()
        assert desk.written.count("a") == 2

"""Tasks picked in the chat and in Write mode: the prompt that is shown is the one that is used."""

import json
import re
import subprocess
import sys

from textual.widgets import Input

from gptterm.tui.dialogs.choice import ChoiceDialog
from gptterm.tui.screens.write import WriteScreen
from tests.support.scripted import Script
from tests.tui.conftest import Desk, Open


async def pick(desk: Desk, task: str, shown: str, *answers: str) -> None:
    """Choose a task, whose prompt is shown, and answer what it asks for."""
    await desk.press("alt+t")
    await desk.until(lambda: "make a prompt by a task" in desk.text)
    await desk.type(task)
    await desk.until(lambda: shown in desk.text and "et al." in desk.text)
    await desk.press("enter")
    for answer in answers:
        await desk.until(lambda: f"{task}: " in desk.text)
        await desk.type(answer)
        await desk.press("enter")


async def test_tasks_in_the_chat(open_tui: Open) -> None:
    async with open_tui(form="raw") as desk:
        await desk.ready()
        await desk.press("alt+t")
        assert "write the text first" in desk.notice
        await desk.type("cheese")
        await pick(desk, "translate", "cheese =", "sea => Meer; dog => Hund")
        await desk.until(lambda: desk.screen.prompt.text == "sea = Meer\ndog = Hund\ncheese =")
        assert "Enter sends it, with temperature, stop set for it" in desk.notice
        assert desk.controller.settings.stop == ("\n",)
        desk.screen.prompt.put("good film")
        await pick(desk, "classify", "Text: good film", "one", "")
        assert "two labels or more" in desk.text
        await desk.press("escape")
        assert desk.screen.prompt.text == "good film"


async def test_a_chat_model_gets_its_own_wording_and_write_mode_the_base_one(
    open_tui: Open,
) -> None:
    async with open_tui(Script.saying(" A fox.\n\nMore")) as desk:
        await desk.ready()
        await desk.type("A long story.")
        await pick(desk, "answer", "Answer from this passage only", "Who?", "")
        await desk.until(lambda: "Q: Who?" in desk.screen.prompt.text)
        assert desk.screen.prompt.text.endswith("A long story.\n\nQ: Who?\nA:")
        assert desk.controller.settings.stop == ()
        await desk.press("f3")
        screen = desk.app.write_screen
        assert isinstance(screen, WriteScreen)
        await desk.until(lambda: screen.writing.opened)
        await desk.type("Once a fox ran.")
        await pick(desk, "summarise", "TL;DR:", "")
        await desk.until(lambda: "A fox." in screen.area.shown and not screen.writing.streaming)
        # The task's stop text ends it.
        document = screen.writing.document
        assert document.text == "Once a fox ran.\nTL;DR: A fox."
        run = document.edit(document.current or "").run
        assert run is not None
        assert (run.sampling.top_k, run.max_tokens) == (2, 100)
        assert screen.writing.settings.stop == ()
        await desk.press("ctrl+z", "ctrl+z")
        assert document.text == "Once a fox ran."


async def test_a_key_right_behind_the_text_moves_in_what_matches_it(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.type("A story.")
        await desk.press("alt+t")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceDialog))
        dialog = desk.app.screen
        assert isinstance(dialog, ChoiceDialog)
        # Both in one read of the terminal: the input's message of the text comes after the key.
        dialog.query_one(Input).insert_text_at_cursor("answer")
        dialog.action_move(1)
        await desk.until(lambda: "▎ classify" in desk.text and "rewrite" not in desk.text)
        await desk.pilot.pause()
        assert "▎ classify" in desk.text


async def test_the_answer_is_one_of_the_labels_with_the_probabilities_of_all(
    open_tui: Open,
) -> None:
    async with open_tui(real=True, form="raw") as desk:
        await desk.ready()
        await desk.type("a good film")
        await pick(desk, "classify", "Text: a good film", "joy, fear", "")
        await desk.until(lambda: re.match(r"classify: (joy|fear) \.?\d", desk.notice))
        in_chat = desk.notice.removeprefix("classify: ")
        prompt = desk.screen.prompt.text
        assert prompt.endswith("Text: a good film\nAnswer:")
        await desk.press("f3")
        screen = desk.app.write_screen
        assert isinstance(screen, WriteScreen)
        await desk.until(lambda: screen.writing.opened)
        await desk.type("a good film")
        await pick(desk, "classify", "Text: a good film", "joy, fear", "")
        await desk.until(lambda: screen.writing.document.text != prompt)
        label = in_chat.split()[0]
        await desk.until(lambda: screen.writing.document.text == f"{prompt} {label}")
        assert not screen.writing.streaming
        # As the command has it.
        command = [sys.executable, "-m", "gptterm", "classify", "-m", "tiny", "--raw"]
        done = subprocess.run(
            [*command, "--labels", "joy,fear", "--json", "-q"],
            input=b"a good film\n", capture_output=True, check=True,
        )  # fmt: skip
        found = json.loads(done.stdout)["probabilities"]
        assert in_chat == " · ".join(
            f"{name} {found[name]:.2f}" for name in sorted(found, key=found.get, reverse=True)
        )

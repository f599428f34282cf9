"""Opening another text in Write mode."""

import time
from functools import partial
from pathlib import Path

from gptterm.charts.cells import fit_words
from gptterm.format import plural
from gptterm.paths import user_path
from gptterm.terminal import display_text, one_line
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.dialogs.choice import ChoiceDialog
from gptterm.tui.state.chat_entries import text_name
from gptterm.tui.widgets.table_list import row

_TITLE_WIDTH = 40


async def choose_document(screen: WriteView) -> None:
    """Show the documents in the history, and open the one that is chosen, or any file."""
    from gptterm.store import day_name

    now = time.time()
    found = {each.id: each for each in await screen.writing.controller.chat_list.documents()}
    rows = []
    for each in found.values():
        detail = f"{day_name(each.updated, now)} · {plural(each.versions, 'version')}"
        name = fit_words(display_text(one_line(text_name(each))), _TITLE_WIDTH)
        place = str(Path(each.path).parent) if each.path else "no file"
        rows.append(row(each.id, name, f"{detail} · {place}"))

    def chosen(key: str | None) -> None:
        if key is None:
            return
        listed = found.get(key)
        path = key if listed is None else listed.path
        file = user_path(path) if path else None
        opened = screen.writing
        is_open = listed is not None and listed.id == opened.document.id
        if not is_open and (file is None or opened.file is None or file != opened.file.path):
            screen.run_worker(partial(screen.switch, file, key if file is None else ""))

    title = "open a text"
    screen.app.push_screen(ChoiceDialog(title, rows, "or the path of a file"), chosen)

"""Opening another text in Write mode."""

import time
from functools import partial
from pathlib import Path

from gptterm.format import plural
from gptterm.paths import user_path
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.dialogs.choice import ChoiceDialog
from gptterm.tui.widgets.table_list import row

NO_FILE = "a text without a file"


async def choose_document(screen: WriteView) -> None:
    """Show the documents in the history, and open the one that is chosen, or any file."""
    from gptterm.store import day_name

    now = time.time()
    rows = []
    for _, path, _, updated, versions in await screen.writing.controller.chat_list.documents():
        detail = f"{day_name(updated, now)} · {plural(versions, 'version')}"
        file = Path(path)
        named = row(path, file.name, f"{detail} · {file.parent}")
        rows.append(named if path else row(NO_FILE, NO_FILE, detail))

    def chosen(key: str | None) -> None:
        if key is None:
            return
        file = None if key == NO_FILE else user_path(key)
        open_file = screen.writing.file
        if file != (None if open_file is None else open_file.path):
            screen.run_worker(partial(screen.switch, file))

    title = "open a text"
    screen.app.push_screen(ChoiceDialog(title, rows, "or the path of a file"), chosen)

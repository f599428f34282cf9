"""Bookmarks of the document of Write mode."""

from gptterm.document.bookmarks import bookmarks, toggle
from gptterm.terminal import one_line
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.dialogs.choice import ChoiceDialog
from gptterm.tui.widgets.table_list import row

_HERE = "here"


def choose_bookmark(screen: WriteView) -> None:
    """Show the bookmarks: set one at the cursor, take back the one there, or go to another."""
    found = bookmarks(screen.writing.document)
    place = screen.area.place
    is_set = any(each.is_current and each.place == place for each in found)
    here = "take back the bookmark at the cursor" if is_set else "set a bookmark at the cursor"
    rows = [row(_HERE, here)]
    for number, each in enumerate(found):
        where = "in this version" if each.is_current else "in another version"
        title = one_line(each.name or f"…{each.text}")
        rows.append(row(str(number), title, f"{where} · character {each.place:,}"))

    def chosen(key: str | None) -> None:
        if key == _HERE:
            _toggle(screen, place)
        elif key is not None:
            screen.go_to(found[int(key)].version, found[int(key)].place)

    screen.app.push_screen(ChoiceDialog("bookmarks", rows), chosen)


def _toggle(screen: WriteView, place: int) -> None:
    try:
        is_set = toggle(screen.writing.document, place)
    except ValueError as error:
        screen.show_notice("info", str(error))
        return
    screen.show_notice("good", "set a bookmark" if is_set else "took the bookmark back")

"""Find and replace in the text of Write mode."""

from gptterm.document.find import find, next_place, replaced
from gptterm.errors import UsageError
from gptterm.format import plural
from gptterm.terminal import one_line
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.dialogs.input import InputDialog, InputRequest

HINT = "as it is written; without a capital letter, those of the text do not matter"


def ask_find(screen: WriteView) -> None:
    """Ask what to find, and select the next place of it behind the cursor."""

    async def check(wanted: str) -> str:
        _places(screen, wanted)
        return wanted

    def done(wanted: str | None) -> None:
        if wanted is None:
            return
        screen.sought = wanted
        places = _places(screen, wanted)
        number = next_place(places, screen.area.place)
        screen.area.select(*places[number])
        screen.show_notice("info", f"{number + 1} of {plural(len(places), 'place')}")

    request = InputRequest("find", "next", HINT, screen.sought, is_selected=True)
    screen.app.push_screen(InputDialog(request, check), done)


def ask_replace(screen: WriteView) -> None:
    """Ask what to replace everywhere and by what; it becomes one version."""

    async def check(wanted: str) -> str:
        _places(screen, wanted)
        return wanted

    async def accept(new: str) -> str:
        return new

    def chosen(wanted: str | None) -> None:
        if wanted is None:
            return
        screen.sought = wanted
        number = len(_places(screen, wanted))
        hint = f"in {plural(number, 'place')} · nothing: they are removed · undo takes it back"
        request = InputRequest(f"replace {one_line(wanted)} by", "replace", hint)
        screen.app.push_screen(InputDialog(request, accept), replace)

    def replace(new: str | None) -> None:
        if new is None:
            return
        screen.writing.stop()
        text = screen.writing.document.text
        places = find(text, screen.sought)
        if places:
            screen.writing.edit(*replaced(text, places, new))
        screen.show_notice("good", f"replaced in {plural(len(places), 'place')}")

    request = InputRequest("replace", "next", HINT, screen.sought, is_selected=True)
    screen.app.push_screen(InputDialog(request, check), chosen)


def _places(screen: WriteView, wanted: str) -> list[tuple[int, int]]:
    """The places of a text that is in the document.

    Raises:
        UsageError: it is not.
    """
    places = find(screen.writing.document.text, wanted)
    if not places:
        raise UsageError("type what to find" if not wanted else "the text does not contain that")
    return places

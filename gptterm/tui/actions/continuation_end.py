"""Choice of what a continuation ends with, beside the end of the text."""

from gptterm.config.definitions import SETTINGS
from gptterm.engine.until import UNITS
from gptterm.errors import GpttermError
from gptterm.format import plural
from gptterm.terminal import one_line
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.dialogs.choice import ChoiceDialog
from gptterm.tui.widgets.table_list import row

TOKENS = "tokens"
_ABOUT = {
    "sentence": "to the end of one",
    "paragraph": "to a blank line",
    "line": "to the end of one that has some text",
}
FREE = "or a text, a /regular expression/, a number of tokens"


def choose_end(screen: WriteView) -> None:
    """Show the units, and have one, a text or an expression chosen, or the most tokens."""
    settings = screen.writing.settings
    most = plural(settings.max_tokens, "token")
    current = settings.until or (TOKENS,)
    rows = [row(TOKENS, TOKENS, _marked(f"{most} at most", TOKENS in current))]
    rows += [
        row(unit, unit, _marked(f"{_ABOUT[unit]}, {most} at most", unit in current))
        for unit in UNITS
    ]
    rows += [row(end, end, _marked("", True)) for end in current if end not in (TOKENS, *UNITS)]

    def chosen(end: str | None) -> None:
        if end is None:
            return
        try:
            said = change_end(screen, end)
        except (GpttermError, ValueError) as error:
            screen.show_notice("error", one_line(f"until {error}"))
        else:
            screen.show_notice("info", said)

    dialog = ChoiceDialog("a continuation ends with", rows, FREE, literal=True)
    screen.app.push_screen(dialog, chosen)


def _marked(text: str, is_current: bool) -> str:
    return f"{text} · in use".removeprefix(" · ") if is_current else text


def change_end(screen: WriteView, end: str) -> str:
    """Change what continuations end with; return a line that says so.

    Raises:
        GpttermError, ValueError: it is not valid.
    """
    own = screen.writing.own
    if end.isdecimal():
        own.change(max_tokens=SETTINGS["max_tokens"].type.parse(end), until=())
    else:
        until = () if end == TOKENS else SETTINGS["until"].type.parse(end)
        own.change(until=until)
    settings = own.settings
    most = plural(settings.max_tokens, "token")
    if not settings.until:
        return f"a continuation has {most} at most"
    return f"a continuation ends with {', '.join(settings.until)}, or after {most}"

"""Actions on the list of continuations: order, take, keep several, drop the others."""

from gptterm.format import plural
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.state.writing import ORDERS


def act(screen: WriteView, name: str) -> None:
    """Do what a key of the list asks for."""
    match name:
        case "rank":
            _rank(screen)
        case "take":
            _take(screen)
        case "keep":
            _keep(screen)
        case "drop":
            _drop(screen)


def _rank(screen: WriteView) -> None:
    writing = screen.writing
    writing.order = ORDERS[(ORDERS.index(writing.order) + 1) % len(ORDERS)]
    screen.show_notice("info", f"continuations by {writing.order}")


def _take(screen: WriteView) -> None:
    """Go on behind the continuation in view."""
    document = screen.writing.document
    current = document.current
    if current is not None:
        edit = document.edit(current)
        screen.area.go_to(edit.start + len(edit.text))
    screen.area.focus()


def _keep(screen: WriteView) -> None:
    """Mark the continuation in view, or take the mark back."""
    writing = screen.writing
    if writing.document.current in writing.continuations:
        writing.kept ^= {writing.document.current}


def _drop(screen: WriteView) -> None:
    dropped = screen.writing.drop_others()
    said = "Space marks those to keep; d prunes the others"
    if dropped:
        said = f"{plural(dropped, 'continuation')} pruned: u in the map brings them back"
    screen.show_notice("info", said)

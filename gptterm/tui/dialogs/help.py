"""Help dialog: long texts over the chat, such as all keys and commands, or all notices."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from gptterm.conversation.command_help import command_help
from gptterm.terminal import display_text
from gptterm.tui.keys import Group, Keymap
from gptterm.tui.themes import MUTED
from gptterm.tui.widgets.key_groups import GROUPS
from gptterm.tui.widgets.notice import SIGNS, Notice
from gptterm.tui.widgets.transcript.wrap import wrap

KEY_WIDTH = 24
"""Most cells of the left column; fewer in a narrow view."""

Section = tuple[str, Sequence[tuple[str, str]]]
"""A heading, and pairs of a key or command and its description, which may end with an id."""
ID = re.compile(r"  \([\w.-]+\)$")
"""Id at the end of a description, drawn muted."""

IN_A_MESSAGE = (
    ("//TEXT", "send a message that starts with a slash"),
    ("@FILE", "put a file into the message; @FILE:10-20 some of its lines"),
)
"""Signs in a message that stand for something else."""


class HelpDialog(ModalScreen[None]):
    """Scrolls; Esc or F1 closes it."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,q", "close", "Close", id="help.close", tooltip="Close the help"),
    ]

    def __init__(self, title: str, sections: Iterable[Section]) -> None:
        super().__init__()
        self._title = title
        self._sections = list(sections)

    def compose(self) -> ComposeResult:
        """Lay out one long text."""
        with VerticalScroll() as box:
            box.border_title = self._title
            box.border_subtitle = "↑↓ scroll · esc close"
            yield Static()

    def on_mount(self) -> None:
        """Wrap the text once the width is known."""
        self.call_after_refresh(self._lay_out)

    def on_resize(self, _event: events.Resize) -> None:
        """Wrap the text for the new width."""
        self.call_after_refresh(self._lay_out)

    def _lay_out(self) -> None:
        text = self.query_one(Static)
        text.update(self._text(text.size.width))

    def _text(self, width: int) -> Content:
        rows: list[Content] = []
        for heading, pairs in self._sections:
            left = min(max(cell_len(key) for key, _ in pairs) + 2, KEY_WIDTH, max(2, width // 3))
            if heading:
                rows.append(Content.styled(heading, "bold $text-primary"))
            for key, what in pairs:
                rows.extend(_in_columns(key, what, left, max(1, width - left)))
            rows.append(Content(""))
        return Content("\n").join(rows[:-1])

    def action_close(self) -> None:
        """Close the dialog."""
        self.dismiss(None)


def _in_columns(key: str, what: str, left: int, right: int) -> Iterator[Content]:
    """Yield the rows of a pair; a key too wide for its column gets its own row."""
    gap = left - cell_len(key)
    if gap < 2:
        yield Content.styled(key, "$text-accent")
        key, gap = "", left
    what = display_text(what).replace("\n", " ")
    name = ID.search(what)
    text = Content(what)
    if name is not None:
        text = text.stylize(MUTED, name.start())
    for start, end in wrap(what, right):
        yield Content.assemble((key, "$text-accent"), " " * gap, text[start:end])
        key, gap = "", left


def help_dialog(
    keymap: Keymap, *, first: Sequence[Group] = (), commands_first: bool = False
) -> HelpDialog:
    """Make the help: the user's keys, those of the mode that it is called from first; commands."""
    groups = [*first, *(group for group in GROUPS if group not in first)]
    sections: list[Section] = [(heading, keymap.table(bindings)) for heading, bindings in groups]
    sections.append(("", [("( )", "id of a key for [tui.keys] in config.toml")]))
    commands: Section = ("commands", [*command_help(), *IN_A_MESSAGE])
    sections.insert(0 if commands_first else len(sections) - 1, commands)
    return HelpDialog("help", sections)


def notices_dialog(notices: Sequence[Notice]) -> HelpDialog:
    """Make the list of notices, the last first."""
    pairs = [(SIGNS[notice.kind], notice.text) for notice in reversed(notices)]
    return HelpDialog("notices, the last first", [("", pairs)])

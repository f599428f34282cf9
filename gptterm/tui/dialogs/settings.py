"""Settings dialog: the settings of config.toml, or of a table in it, to be changed one by one."""

from collections.abc import Callable, Sequence

from gptterm.tui.dialogs.choice import ChoiceDialog
from gptterm.tui.state.saved_settings import SavedSetting
from gptterm.tui.widgets.table_list import Column, Row, row

COLUMNS = (
    Column("name"),
    Column("text", shrinks=12),
    Column("value", "right", rank=1),
)
"""A setting, its value, and who set it."""


class SettingsDialog(ChoiceDialog):
    """Dismissed with None.

    Args:
        title: Title of the dialog.
        entries: The settings, by section.
        links: Rows after them that lead elsewhere.
        choose: Called with the setting to change, or the key of a link.
    """

    def __init__(
        self,
        title: str,
        entries: Sequence[SavedSetting],
        links: Sequence[Row],
        choose: Callable[[SavedSetting | str], None],
    ) -> None:
        self._entries = entries
        self._links = links
        self._choose = choose
        self._said = ("", "")
        """A setting, and what was last done to it."""
        super().__init__(title, [*_rows(entries), *links], columns=COLUMNS)

    def show_settings(self, entries: Sequence[SavedSetting], said: str) -> None:
        """Show the settings after a change, and what it has done until another one is chosen."""
        self._entries = entries
        self.set_rows([*_rows(entries), *self._links])
        self._said = (self._list.key or "", said)
        self._show_detail()

    def describe(self, key: str) -> str:
        """Say what was done to a setting; what it does, what it can be, and what wins over it."""
        changed, said = self._said
        if key == changed:
            return said
        self._said = ("", "")
        entry = self._find(key)
        if entry is None:
            return ""
        parts = [entry.setting.help, f"must be {entry.setting.type.expected}"]
        if entry.is_set and entry.setting.default not in (None, ()):
            parts.append(f"built-in: {entry.spell(entry.setting.default)}")
        if entry.winner:
            parts.append(f"in this run {entry.winner} wins")
        return " · ".join(parts)

    def take(self, key: str) -> None:
        """Change a setting, or follow a link."""
        self._choose(self._find(key) or key)

    def _find(self, key: str) -> SavedSetting | None:
        return next((entry for entry in self._entries if entry.key == key), None)


def _rows(entries: Sequence[SavedSetting]) -> list[Row]:
    rows: list[Row] = []
    section = ""
    for entry in entries:
        if entry.section != section:
            section = entry.section
            rows.append(row("", section))
        is_set = entry.is_set or (entry.setting.default is not None and not entry.is_named)
        value = (entry.text or "none") if is_set else "not set"
        where = entry.winner or ("config.toml" if entry.is_set else "")
        rows.append(row(entry.key, entry.name.replace("_", "-"), value, where))
    return rows

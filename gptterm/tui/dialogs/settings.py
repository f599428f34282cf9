"""Settings dialog: all settings of config.toml, to be changed one by one."""

from collections.abc import Callable, Sequence

from textual.containers import Vertical

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
        entries: The settings, by section.
        change: Called with the one to change.
    """

    def __init__(
        self, entries: Sequence[SavedSetting], change: Callable[[SavedSetting], None]
    ) -> None:
        self._entries = entries
        self._change = change
        super().__init__("settings", _rows(entries), columns=COLUMNS)

    def show_settings(self, entries: Sequence[SavedSetting], said: str) -> None:
        """Show the settings after a change, and what it has done."""
        self._entries = entries
        self.set_rows(_rows(entries))
        self.query_one(Vertical).border_subtitle = said

    def describe(self, key: str) -> str:
        """Say what a setting does, what it can be, and what wins over it."""
        entry = self._find(key)
        parts = [entry.setting.help, f"must be {entry.setting.type.expected}"]
        if entry.is_set and entry.setting.default not in (None, ()):
            parts.append(f"built-in: {entry.spell(entry.setting.default)}")
        if entry.winner:
            parts.append(f"in this run {entry.winner} wins")
        return " · ".join(parts)

    def take(self, key: str) -> None:
        """Change a setting."""
        self._change(self._find(key))

    def _find(self, key: str) -> SavedSetting:
        return next(entry for entry in self._entries if entry.key == key)


def _rows(entries: Sequence[SavedSetting]) -> list[Row]:
    rows: list[Row] = []
    section = ""
    for entry in entries:
        if entry.section != section:
            section = entry.section
            rows.append(row("", section))
        value = entry.text or ("not set" if entry.setting.default is None else "none")
        where = entry.winner or ("config.toml" if entry.is_set else "")
        rows.append(row(entry.key, entry.name.replace("_", "-"), value, where))
    return rows

"""Settings of config.toml: their values in the file, as text and from text."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from gptterm.config import Settings
from gptterm.config.definitions import (
    PRESET,
    SERVER,
    SETTINGS,
    TASK,
    TASK_SETTINGS,
    TRANSCRIPT,
    TUI,
    Setting,
)
from gptterm.config.edit import Table, read_table, save_value
from gptterm.config.file import ConfigFile, read_config, unknown_preset
from gptterm.config.value_types import Text, TextList
from gptterm.conversation.commands import quoted_strings
from gptterm.errors import GpttermError, UsageError
from gptterm.format import setting_value
from gptterm.terminal import one_line
from gptterm.threads import in_daemon_thread
from gptterm.tui.fields import FIELDS, Field, quote

_TABLES: Mapping[Table, Mapping[str, Setting]] = {
    (): SETTINGS,
    ("transcript",): TRANSCRIPT,
    ("tui",): TUI,
}
KINDS: Mapping[str, Mapping[str, Setting]] = {
    "presets": PRESET,
    "servers": SERVER,
    "tasks": {name: each for name, each in {**TASK, **TASK_SETTINGS}.items() if name != "examples"},
}
"""Tables of tables, each with a name: `[presets.NAME]`. Examples take pairs, for an editor."""
_FIELDS = {field.name: field for field in FIELDS}
_AT_START = frozenset(
    ("model", "server", "device", "dtype", "kv_dtype", "context", "adapter", "keep_alive")
) | {"offline", "save"}
"""Settings that act when a model is loaded or gptterm is started."""


class SavedSetting(NamedTuple):
    """A setting that config.toml can have."""

    table: Table
    """The table it is in."""
    name: str
    saved: object
    """Its value in the file; None where that has none."""
    winner: str = ""
    """The option or the variable that wins over the file in this run."""

    @property
    def key(self) -> str:
        """Table and name."""
        return ".".join((*self.table, self.name))

    @property
    def setting(self) -> Setting:
        """Its definition."""
        known = _TABLES.get(self.table) or KINDS[self.table[0]]
        return known[self.name]

    @property
    def section(self) -> str:
        """Heading that it is listed under."""
        if self.table:
            return _SECTIONS.get(self.table[0], "")
        is_sampler = self.setting.sampling or self.name in ("preset", "seed", "stop", "until")
        return "sampling" if is_sampler else "model, prompt, history"

    @property
    def is_named(self) -> bool:
        """Whether it belongs to a preset, a server or a task, where no default counts."""
        return len(self.table) > 1

    @property
    def is_set(self) -> bool:
        """Whether the file has it."""
        return self.saved is not None

    @property
    def text(self) -> str:
        """The value that counts in the file, as it is typed."""
        unset = None if self.is_named else self.setting.default
        return self.spell(self.saved if self.is_set else unset)

    @property
    def _field(self) -> Field | None:
        """The panel's field, for what it can change."""
        return _FIELDS.get(self.name) if self.table[:1] in ((), ("presets",), ("tasks",)) else None

    def spell(self, value: object) -> str:
        """Return a value as it is typed; empty for one that is not set."""
        if self._field is not None:
            return self._field.format(value)
        match value:
            case None:
                return ""
            case bool():
                return str(value).lower()
            case tuple():
                return shlex.join(map(str, value))
            case str():
                return value if value.isprintable() and not value.startswith('"') else quote(value)
        return setting_value(value)

    def parse(self, text: str) -> object:
        """Parse a typed value; None for an empty text, which unsets it.

        Raises:
            ValueError: It is not valid; the message says what is expected.
        """
        kind = self.setting.type
        if not text:
            return None
        try:
            if self._field is not None:
                return self._field.parse(text)
            if isinstance(kind, TextList):
                return kind.validate(shlex.split(text))
            quoted = quoted_strings(text) if isinstance(kind, Text) else None
            return kind.validate(quoted[0]) if quoted else kind.parse(text)
        except ValueError as error:
            raise ValueError(f"{self.name} {error}") from None


_SECTIONS = {"transcript": "chat with a model without a chat template", "tui": "screen"}


def saved_settings(path: Path, settings: Settings) -> list[SavedSetting]:
    """Read what config.toml sets, section by section.

    Raises:
        UsageError: The file cannot be read, or is not valid.
    """
    found = list(_settings(read_config(path), settings))
    sections = list(dict.fromkeys(each.section for each in found))
    return sorted(found, key=lambda each: sections.index(each.section))


def _settings(config: ConfigFile, settings: Settings) -> Iterator[SavedSetting]:
    values = {(): config.values, ("transcript",): config.transcript, ("tui",): config.tui}
    for table, definitions in _TABLES.items():
        for name in definitions:
            origin = "" if table else settings.origins[name]
            from_outside = origin == "option" or origin.startswith("GPTTERM_")
            winner = origin if from_outside else ""
            yield SavedSetting(table, name, values[table].get(name), winner)


def saved_names(path: Path, kind: str) -> list[str]:
    """Read the names of the presets, servers or tasks that the file has.

    Raises:
        UsageError: The file cannot be read, or is not valid.
    """
    read_config(path)
    return list(read_table(path, (kind,)))


def saved_table(path: Path, table: Table) -> list[SavedSetting]:
    """Read what a table of the file sets: of a preset, a server or a task.

    Raises:
        UsageError: The file cannot be read, or is not valid.
    """
    read_config(path)
    found = read_table(path, table)
    return [
        SavedSetting(table, name, each.type.validate(found[name]) if name in found else None)
        for name, each in KINDS[table[0]].items()
    ]


def save(path: Path, entry: SavedSetting, value: object, settings: Settings) -> None:
    """Write a value to config.toml; None removes it.

    Raises:
        UsageError: gptterm would not start with it, or the file cannot be written.
    """
    if not entry.table and value is not None:
        if entry.name == "preset" and value not in settings.presets:
            raise UsageError(unknown_preset(str(value), settings.presets))
        if entry.name == "server":
            settings.with_values({"server": value}, "config.toml").with_server()
    save_value(path, entry.table, entry.name, value)


def acts_at_once(entry: SavedSetting) -> bool:
    """Whether a saved value can be in effect in this run."""
    return not entry.table and entry.name not in _AT_START and not entry.winner


async def saying(work: Callable[[], None], done: str) -> str:
    """Write to config.toml in another thread; return what was done, or why it was not."""
    try:
        await in_daemon_thread(work)
    except GpttermError as error:
        return one_line(str(error))
    return done

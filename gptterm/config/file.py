"""Read and check config.toml. Errors name the file and the line."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn, cast

import msgspec

from gptterm.config.definitions import (
    BUILT_IN_PRESETS,
    PRESET,
    SERVER,
    SETTINGS,
    TASK,
    TASK_SETTINGS,
    TRANSCRIPT,
    TUI,
    Setting,
)
from gptterm.config.tasks import BUILT_IN_TASKS, Example, Task, check_task
from gptterm.engine.remote.servers import OPENAI, Server, normalise_url
from gptterm.errors import UsageError
from gptterm.regular_files import read_regular
from gptterm.terminal import one_line

Values = dict[str, object]
_MOST_BYTES = 1 << 20


class ConfigFile(NamedTuple):
    """The checked contents of a config.toml."""

    values: Values
    transcript: Values
    tui: Values
    keys: dict[str, str]
    """Action of the TUI to key."""
    presets: dict[str, Values]
    servers: dict[str, Server]
    tasks: dict[str, Task]
    """With the built-in ones; a table with such a name changes some of its values."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean NAME?)` for a near miss, else nothing."""
    import difflib

    close = difflib.get_close_matches(name.replace("-", "_"), list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""


def unknown_preset(name: str, known: Iterable[str]) -> str:
    """Return the error message for a preset that does not exist, with the existing ones."""
    names = sorted(known)
    return f'there is no preset "{name}"{did_you_mean(name, names)}; there are {", ".join(names)}'


def read_config(path: Path) -> ConfigFile:
    """Read and check the file. A missing file counts as empty.

    Raises:
        UsageError: the file cannot be read, is not TOML, or has an unknown key or a bad value.
    """
    try:
        source = read_regular(path, _MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return ConfigFile({}, {}, {}, {}, {}, {}, BUILT_IN_TASKS)
    except OSError as error:
        raise UsageError(f"cannot read {one_line(str(path))}: {error.strerror}") from None
    try:
        text = source.decode("utf-8-sig")  # some editors begin a file with a byte order mark
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{one_line(str(path))}:{line}: not valid UTF-8") from None
    return parse_config(path, text)


def parse_config(path: Path, text: str) -> ConfigFile:
    """Check the text of a config.toml.

    Raises:
        UsageError: it is not TOML, or has an unknown key or a bad value.
    """
    try:
        return _Validator(path, text).validate(_loads(text))
    except RecursionError:
        raise UsageError(f"{one_line(str(path))}:1: its values are nested too deeply") from None
    except ValueError as error:
        # "Expected '=' after a key (at line 3, column 5)", or "(at end of document)"
        message, _, place = str(error).partition(" (at ")
        found = re.match(r"line (\d+)", place)
        line = int(found.group(1)) if found else max(1, len(text.splitlines()))
        message = _repetition(text, line) or message
        raise UsageError(f"{one_line(str(path))}:{line}: {one_line(message)}") from None


def _loads(text: str) -> Values:
    """Parse TOML.

    Raises:
        ValueError: it is none; the message says where.
    """
    import tomllib  # 2 ms, which only a start with a file pays

    return tomllib.loads(text)


def line_of(text: str, keys: tuple[str, ...]) -> int:
    """Return the line (from 1) on which the statement that sets `keys` begins.

    tomllib reports no positions. But the text up to the end of a statement is TOML too, so the
    statement ends at the first line where the text so far parses and has the keys, and begins
    after the last earlier line where the text so far parses.
    """
    lines = text.splitlines(keepends=True)
    begin = 0
    for number in range(1, len(lines) + 1):
        try:
            data: object = _loads("".join(lines[:number]))
        except ValueError:
            continue
        for key in keys:
            data = data.get(key) if isinstance(data, dict) else None
        if data is not None:
            return begin + 1
        begin = number
    return max(len(lines), 1)


def _repetition(text: str, line: int) -> str:
    """Name the key or table that the statement ending on a line sets for the second time.

    Returns:
        An empty text if that is not what is wrong with the statement.
    """
    lines = text.splitlines(keepends=True)
    before = next((n for n in range(line - 1, -1, -1) if _parsed(lines[:n]) is not None), 0)
    known, statement = _parsed(lines[:before]), _parsed(lines[before:line])
    if not known or not statement:
        return ""
    keys = (*_table_at(lines[:before]), *_only_keys(statement))
    if lines[before].lstrip().startswith("["):
        keys = _only_keys(statement)
    data: object = known
    for depth, key in enumerate(keys):
        if not isinstance(data, dict) or key not in data:
            return ""
        data = data[key]
        if not isinstance(data, dict) or depth == len(keys) - 1:
            first = line_of("".join(lines[:before]), keys[: depth + 1])
            return f"{'.'.join(keys[: depth + 1])} is set twice, here and on line {first}"
    return ""


def _parsed(lines: list[str]) -> Values | None:
    try:
        return _loads("".join(lines))
    except ValueError:
        return None


def _only_keys(data: object) -> tuple[str, ...]:
    """The keys that lead to the one value of a statement, or to its empty table."""
    keys: list[str] = []
    while isinstance(data, dict) and data:
        key, data = next(iter(data.items()))
        keys.append(key)
    return tuple(keys)


def _table_at(lines: list[str]) -> tuple[str, ...]:
    """The table that a statement after these lines belongs to."""
    for number in range(len(lines), 0, -1):
        header = lines[number - 1]
        if header.lstrip().startswith("[") and _parsed(lines[: number - 1]) is not None:
            table = _parsed([header])
            if table is not None:
                return _only_keys(table)
    return ()


class _Validator:
    """Validates a parsed file against the definitions."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = one_line(str(path))
        self._text = text

    def validate(self, data: Mapping[str, object]) -> ConfigFile:
        presets = {
            name: self._values(value, PRESET, ("presets", name))
            for name, value in self._table(data, "presets").items()
        }
        tui = dict(self._table(data, "tui"))
        keys = self._texts(tui.pop("keys", {}), ("tui", "keys"))
        plain = {key: value for key, value in data.items() if key not in _TABLES}
        config = ConfigFile(
            values=self._values(plain, SETTINGS, (), _TABLES),
            transcript=self._values(self._table(data, "transcript"), TRANSCRIPT, ("transcript",)),
            tui=self._values(tui, TUI, ("tui",), ("keys",)),
            keys=keys,
            presets=presets,
            servers={
                name: self._server(name, value)
                for name, value in self._table(data, "servers").items()
            },
            tasks=BUILT_IN_TASKS
            | {name: self._task(name, value) for name, value in self._table(data, "tasks").items()},
        )
        preset = config.values.get("preset")
        if isinstance(preset, str) and preset not in {**BUILT_IN_PRESETS, **presets}:
            self._fail(("preset",), unknown_preset(preset, {**BUILT_IN_PRESETS, **presets}))
        return config

    def _table(
        self, data: Mapping[str, object], name: str, keys: tuple[str, ...] = ()
    ) -> Mapping[str, object]:
        table = data.get(name, {})
        if not isinstance(table, dict):
            keys = keys or (name,)
            self._fail(keys, f"{'.'.join(keys)} must be a table: [{'.'.join(keys)}]")
        return table

    def _server(self, name: str, data: object) -> Server:
        keys = ("servers", name)
        if name == OPENAI:
            self._fail(keys, "openai is OpenAI's own server: OPENAI_BASE_URL moves it")
        if not _SERVER_NAME.fullmatch(name):
            self._fail(keys, f'"{name}" cannot be the name of a server: letters, digits, - and _')
        table = dict(self._table({"": data}, "", keys))
        headers = self._texts(table.pop("headers", {}), (*keys, "headers"))
        values = self._values(table, SERVER, keys, ("headers",))
        if "url" not in values:
            self._fail(keys, f"[servers.{name}] needs a url")
        try:
            normalise_url(str(values["url"]))
        except UsageError as error:
            self._fail((*keys, "url"), str(error))
        for header, text in headers.items():
            if not (_HEADER.fullmatch(header) and text.isascii() and text.isprintable()):
                self._fail((*keys, "headers", header), f"the header {header} cannot be sent")
        return msgspec.convert({**values, "headers": headers}, Server)

    def _task(self, name: str, data: object) -> Task:
        keys = ("tasks", name)
        values = self._values(data, {**TASK, **TASK_SETTINGS}, keys)
        built_in = BUILT_IN_TASKS.get(name)
        if built_in is None and "prompt" not in values:
            self._fail(keys, f"[tasks.{name}] needs a prompt")
        task = built_in or Task(prompt="")
        fields = {key: value for key, value in values.items() if key in TASK}
        if "examples" in fields:
            pairs = cast(Iterable[tuple[str, str]], fields["examples"])
            fields["examples"] = tuple(Example(*pair) for pair in pairs)
        settings = {key: value for key, value in values.items() if key in TASK_SETTINGS}
        task = task._replace(**fields, settings=task.settings | settings)  # type: ignore[arg-type]
        try:
            check_task(task)
        except ValueError as error:
            self._fail(keys, f"[tasks.{name}]: {error}")
        return task

    def _texts(self, data: object, keys: tuple[str, ...]) -> dict[str, str]:
        if not isinstance(data, dict):
            self._fail(keys, f"{'.'.join(keys)} must be a table: [{'.'.join(keys)}]")
        for name, value in data.items():
            if not isinstance(value, str):
                self._fail((*keys, name), f'{name} must be a text, such as {name} = "ctrl+r"')
        return data

    def _values(
        self,
        data: object,
        known: Mapping[str, Setting],
        keys: tuple[str, ...],
        tables: tuple[str, ...] = (),
    ) -> Values:
        """Validate one table of settings.

        Args:
            tables: more names to suggest for an unknown key.
        """
        if not isinstance(data, dict):
            self._fail(keys, f"{'.'.join(keys)} must be a table: [{'.'.join(keys)}]")
        values: Values = {}
        for name, value in data.items():
            setting = known.get(name)
            if setting is None:
                where = f" in [{'.'.join(keys)}]" if keys else ""
                hint = did_you_mean(name, [*known, *tables])
                self._fail((*keys, name), f'unknown key "{name}"{where}{hint}')
            try:
                values[name] = setting.type.validate(value)
            except ValueError as error:
                self._fail((*keys, name), f"{name} {error}")
        return values

    def _fail(self, keys: tuple[str, ...], message: str) -> NoReturn:
        raise UsageError(f"{self._path}:{line_of(self._text, keys)}: {one_line(message)}")


_TABLES = ("presets", "servers", "tasks", "transcript", "tui")
_SERVER_NAME = re.compile(r"[\w-]{1,40}", re.ASCII)
_HEADER = re.compile(r"[\w!#$%&'*+.^`|~-]{1,100}", re.ASCII)

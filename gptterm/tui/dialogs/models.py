"""Model picker: a table of all models at hand and those that can be had."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from gptterm.format import byte_size
from gptterm.threads import in_daemon_thread
from gptterm.tui.dialogs.choice import ChoiceDialog
from gptterm.tui.state.file_paths import is_path, list_paths
from gptterm.tui.state.model_table import ModelEntry, parameters
from gptterm.tui.widgets.table_list import Column, Row, row
from gptterm.tui.workers import start_worker

COLUMNS = (
    Column("name", shrinks=24),
    Column("faint", "right", rank=4),
    Column("faint", rank=3),
    Column("faint", "right", rank=2),
    Column("faint", "right", rank=6),
    Column("faint", "right", rank=7),
    Column("faint", rank=8),
    Column("faint", "right", rank=5),
    Column("value", "right", rank=1),
)
HEADS = ("size", "", "disk", "memory", "context", "dtype", "tok/s", "")
DELAY_S = 0.3
"""Time between two looks at a running download."""


class ModelDialog(ChoiceDialog):
    """Dismissed with the name of the model to load, or None.

    Args:
        entries: The models, by section.
        loaded: Name of the loaded one.
        fetch: Starts the download of a model.
        progress: Downloads that are running, by name.
    """

    def __init__(
        self,
        entries: Sequence[ModelEntry],
        loaded: str,
        fetch: Callable[[str], None],
        progress: Mapping[str, str],
    ) -> None:
        self._entries = list(entries)
        self._loaded = loaded
        self._fetch = fetch
        self._progress = progress
        self._downloading: set[str] = set()
        """Downloads that were running when they were last looked at."""
        free = "a name, a Hub id or a path: type to filter"
        super().__init__("model", self._table(), free, columns=COLUMNS)
        self.add_class("-table")

    def on_mount(self) -> None:
        """Show the table, and go on showing the downloads."""
        super().on_mount()
        self.set_interval(DELAY_S, self._show_progress)

    def _table(self) -> list[Row]:
        rows: list[Row] = []
        section = ""
        for entry in self._entries:
            if entry.section != section:
                section = entry.section
                rows.append(row("", section, *(() if rows else HEADS)))
            rows.append(self._row(entry))
        return rows

    def _row(self, entry: ModelEntry) -> Row:
        state = self._progress.get(entry.name, "")
        if not state and entry.name == self._loaded:
            state = "loaded"
        if not state and not entry.is_usable:
            state = "offline" if entry.is_download else "unusable"
        return row(
            entry.name,
            entry.name,
            parameters(entry.parameters),
            entry.kind,
            byte_size(entry.disk) if entry.disk else "",
            byte_size(entry.memory) if entry.memory else "",
            f"{entry.context:,}" if entry.context else "",
            entry.dtype,
            f"{entry.tokens_per_s:.0f}" if entry.tokens_per_s else "",
            state,
        )

    def add(self, entries: Sequence[ModelEntry]) -> None:
        """Add models that were found later, above those that can be had."""
        known = {entry.name for entry in self._entries}
        new = [entry for entry in entries if entry.name not in known]
        at_hand = [entry for entry in self._entries if not entry.is_download]
        others = [entry for entry in self._entries if entry.is_download]
        self._entries = [*at_hand, *new, *others]
        self.set_rows(self._table())

    def _show_progress(self) -> None:
        running = {entry.name for entry in self._entries if entry.name in self._progress}
        if self._downloading - running:
            # It is on this machine now, or that failed: the notice line says so.
            self.dismiss(None)
        elif running:
            self._downloading = running
            self.set_rows(self._table())

    # -------------------------------------------------------------------------------- typing

    def filter(self, text: str) -> None:
        """Show the models that match; of a path, what it may become."""
        if is_path(text):
            start_worker(self, partial(self._show_paths, text), exclusive=True, group="paths")
        else:
            super().filter(text)

    async def _show_paths(self, text: str) -> None:
        found = await in_daemon_thread(lambda: list_paths(text, (".gguf",)))
        kinds = ("folder" if entry.is_folder else byte_size(entry.size) for entry in found)
        rows = [
            row(entry.path, entry.name, "", "", kind)
            for entry, kind in zip(found, kinds, strict=True)
        ]
        if self.typed == text:
            # A folder that is typed in full is a model, maybe.
            self.show_rows(rows, None if text.endswith("/") else "")

    def describe(self, key: str) -> str:
        """Say where a model is, or why it cannot be used."""
        return next((entry.detail for entry in self._entries if entry.name == key), "")

    def take(self, key: str) -> None:
        """Load a model; one that must be downloaded stays here and shows how far it is."""
        entry = next((entry for entry in self._entries if entry.name == key), None)
        if entry is None and key.endswith("/"):
            self.type(key)
        elif entry is None or (entry.is_usable and not entry.is_download):
            super().take(key)
        elif entry.is_usable:
            self._fetch(key)
            self._show_progress()

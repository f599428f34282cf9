"""Task dialog: the tasks, the prompt that each makes of the text, and where it comes from."""

from collections.abc import Callable, Mapping

from gptterm.config.tasks import Task
from gptterm.format import shorten
from gptterm.tui.dialogs.choice import ChoiceDialog
from gptterm.tui.widgets.table_list import row

_HEAD, _TAIL = 2, 5
"""Lines of a long prompt that are shown."""
_WIDTH = 100


class TaskDialog(ChoiceDialog):
    """Dismissed with the name of the chosen task, or None.

    Args:
        preview: Returns the prompt that a task makes.
    """

    def __init__(self, tasks: Mapping[str, Task], preview: Callable[[Task], str]) -> None:
        rows = [row(name, name, task.about) for name, task in tasks.items()]
        super().__init__("make a prompt by a task", rows)
        self._tasks = tasks
        self._prompt = preview
        self.add_class("-long-detail")

    def describe(self, key: str) -> str:
        """Return the prompt, and where it comes from."""
        task = self._tasks[key]
        lines = self._prompt(task).split("\n")
        if len(lines) > _HEAD + _TAIL + 1:
            lines = [*lines[:_HEAD], "⋮", *lines[-_TAIL:]]
        source = task.source or "[tasks] in config.toml"
        return "\n".join([*(shorten(line, _WIDTH) for line in lines), f"— {source}"])

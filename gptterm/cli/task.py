"""`--task`: the prompt that a task makes of the command line's input."""

from typing import NamedTuple

from gptterm.cli.options import RunOptions
from gptterm.cli.prompt import Input, without_newline
from gptterm.config import Settings
from gptterm.config.tasks import Example, Task
from gptterm.errors import UsageError


class TaskInput(NamedTuple):
    """Input of a task, in the place of `Input`."""

    given: Input
    task: Task
    examples: tuple[Example, ...]

    @property
    def differs(self) -> bool:
        """Whether a chat and a continuation get different texts."""
        return self.joined(True) != self.joined(False)

    def joined(self, chat: bool) -> str:
        """The task's prompt.

        Raises:
            UsageError: the task needs labels, or takes no examples.
        """
        passage, text = "", self.given.joined(False)
        if self.task.reads_passage:
            passage, text = without_newline(self.given.stdin), self.given.words
        return self.task.render(text, chat=chat, passage=passage, examples=self.examples)


def task_input(given: Input, settings: Settings, options: RunOptions) -> Input | TaskInput:
    """The input as the task that the options ask for, if any, has it.

    Raises:
        UsageError: there is no such task, its answer is a label, or the input does not fit it.
    """
    if options.task is None:
        return given
    task = settings.task(options.task)
    if task.labels:
        raise UsageError(
            f"the task {options.task} answers by a label: gptterm classify --task {options.task}"
        )
    if task.reads_passage and not (given.stdin.strip() and given.words.strip()):
        raise UsageError(
            f"the task {options.task} needs a text on stdin and a question: "
            f'gptterm --task {options.task} "Who ...?" < FILE'
        )
    return TaskInput(given, task, options.examples)

"""Tasks: templates that make a prompt of an input, for models that continue and models that answer.

A base model is told what to do by the beginning of a text (Radford et al., 2019) and by examples
(Brown et al., 2020). Light to import: `gptterm --help` names the built-in tasks.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from gptterm.config.value_types import Text
from gptterm.errors import UsageError
from gptterm.format import shorten

_FIELD = re.compile(r"\{(input|output|examples|passage|labels)\}")


class Example(NamedTuple):
    """An input and the output that it should get."""

    input: str
    output: str


class Task(NamedTuple):
    """A template, and what belongs to it. All other braces in its texts are characters."""

    prompt: str
    """The prompt of a base model. `{input}` stands for the input, `{examples}` for the examples,
    `{labels}` for the labels, `{passage}` for stdin, of which `{input}` has no part then."""
    about: str = ""
    """One line for lists of tasks."""
    example: str = ""
    """One example in the prompt, with `{input}` and `{output}`."""
    examples: tuple[Example, ...] = ()
    chat: str = ""
    """The message to a chat model; empty: `prompt`."""
    labels: tuple[str, ...] = ()
    """The possible outputs."""
    source: str = ""
    """Where the prompt comes from."""
    settings: dict[str, object] = {}  # noqa: RUF012 - never changed
    """Values of settings, below those that options set; `stop` only where the text is continued."""

    @property
    def reads_passage(self) -> bool:
        """Whether stdin is a text that the input is about."""
        return "{passage}" in self.prompt

    @property
    def gives_space(self) -> bool:
        """Whether white space at the beginning of the output belongs to the prompt's form."""
        return not self.prompt.endswith("{input}")

    def render(
        self,
        text: str,
        *,
        chat: bool = False,
        passage: str = "",
        examples: Sequence[Example] = (),
        labels: Sequence[str] = (),
    ) -> str:
        """Return the prompt for an input.

        Args:
            chat: for a model that answers.
            passage: what `{passage}` stands for.
            examples: replace the task's own; likewise `labels`.

        Raises:
            UsageError: the template needs labels that there are not, or has no place for examples.
        """
        template = (self.chat or self.prompt) if chat else self.prompt
        labels = labels or self.labels
        if "{labels}" in template and not labels:
            raise UsageError("the task needs labels: gptterm classify --labels A,B")
        if examples and not ("{examples}" in template and self.example):
            raise UsageError('the task takes no examples: its "prompt" needs {examples}')
        shown = [_fill(self.example, each._asdict()) for each in examples or self.examples]
        values = {
            "input": text,
            "passage": passage,
            "examples": "".join(shown),
            "labels": _either(labels),
        }
        return _fill(template, values)


def _fill(template: str, values: dict[str, str]) -> str:
    """Replace the fields; what they stand for is not looked at again."""
    return _FIELD.sub(lambda field: values.get(field[1], field[0]), template)


def _either(labels: Sequence[str]) -> str:
    """`A, B or C`."""
    *first, last = labels or ("",)
    return f"{', '.join(first)} or {last}" if first else last


class Arrow(Text):
    """An example as an option has it."""

    metavar = "'IN => OUT'"

    def parse(self, text: str) -> Example:  # type: ignore[override]
        given, arrow, output = (part.strip() for part in self.validate(text).rpartition("=>"))
        if not (arrow and given and output):
            raise ValueError(f'must be "INPUT => OUTPUT", not "{shorten(text, 40)}"')
        return Example(given, output)


def check_task(task: Task) -> None:
    """Check the templates of a user's task.

    Raises:
        ValueError: a field is missing; the message names the key.
    """
    for key, needed in (("prompt", "{input}"), ("chat", "{input}"), ("example", "{output}")):
        template = getattr(task, key)
        if template and needed not in template:
            raise ValueError(f"{key} has no {needed}")
    if task.examples and not ("{examples}" in task.prompt and task.example):
        raise ValueError("examples need {examples} in prompt, and example to write one")


_GPT2 = "Radford et al., 2019, Language Models are Unsupervised Multitask Learners"
_GPT3 = "Brown et al., 2020, Language Models are Few-Shot Learners"

BUILT_IN_TASKS: dict[str, Task] = {
    "continue": Task(
        about="continue the text",
        prompt="{input}",
        chat="Continue this text, in its own style. Write the continuation only.\n\n{input}",
        source=_GPT2,
    ),
    "summarise": Task(
        about="say it in short",
        prompt="{examples}{input}\nTL;DR:",
        example="{input}\nTL;DR: {output}\n\n",
        chat="Summarise the text in at most three sentences.\n\n{examples}{input}",
        # 100 tokens by top-k 2, as in the paper.
        settings={"top_k": 2, "max_tokens": 100, "stop": ("\n\n",)},
        source=f"{_GPT2}, section 3.6",
    ),
    "translate": Task(
        about="translate: English to French, or as the examples do",
        prompt="{examples}{input} =",
        example="{input} = {output}\n",
        examples=(
            Example("Good morning.", "Bonjour."),
            Example("The cat sleeps on the table.", "Le chat dort sur la table."),
            Example("Where is the station?", "Où est la gare ?"),
        ),
        chat="Translate the last line as the others are. Write the translation only."
        "\n\n{examples}{input} =",
        settings={"temperature": 0.0, "stop": ("\n",)},
        source=f"{_GPT2}, section 3.7",
    ),
    "answer": Task(
        about="answer a question from a text: stdin, or what is typed",
        prompt="{passage}\n\n{examples}Q: {input}\nA:",
        example="Q: {input}\nA: {output}\n",
        chat="Answer from this passage only, in a few words.\n\n{passage}\n\n"
        "{examples}Q: {input}\nA:",
        settings={"temperature": 0.0, "stop": ("\n",)},
        source=f"{_GPT2}, section 3.5",
    ),
    "classify": Task(
        about="answer by one of the labels",
        prompt="Classify each text as {labels}.\n\n{examples}Text: {input}\nAnswer:",
        example="Text: {input}\nAnswer: {output}\n\n",
        chat="Classify the text as {labels}. Answer with the label only."
        "\n\n{examples}Text: {input}\nAnswer:",
        settings={"temperature": 0.0, "stop": ("\n",)},
        source=f"{_GPT3}; Zhao et al., 2021, Calibrate Before Use",
    ),
    "rewrite": Task(
        about="rewrite in good English, or as the examples do",
        prompt="{examples}Poor English input: {input}\nGood English output:",
        example="Poor English input: {input}\nGood English output: {output}\n",
        examples=(
            Example("I eated the purple berries.", "I ate the purple berries."),
            Example(
                "Thank you for picking me as your designer. I'd appreciate it.",
                "Thank you for choosing me as your designer. I appreciate it.",
            ),
            Example(
                "The mentioned changes have done. or I did the alteration that you requested.",
                "The requested changes have been made. or I made the alteration that you "
                "requested.",
            ),
        ),
        chat="Rewrite the last input as the others are. Write the output only.\n\n"
        "{examples}Poor English input: {input}\nGood English output:",
        settings={"temperature": 0.0, "stop": ("\n",)},
        source=f"{_GPT3}, section 3.9.6",
    ),
    "extract": Task(
        about="list what a text names, or what the examples list",
        prompt="{examples}Text: {input}\nNames in the text:\n",
        example="Text: {input}\nNames in the text:\n{output}\n\n",
        examples=(
            Example(
                "Ada met Charles in London, and wrote to Mary about his machine.",
                "- Ada\n- Charles\n- London\n- Mary",
            ),
            Example(
                "The train from Lyon was late, so Paul waited in Turin.",
                "- Lyon\n- Paul\n- Turin",
            ),
        ),
        chat="List the names in the last text, one a line, as for the others. Write the list "
        "only.\n\n{examples}Text: {input}\nNames in the text:\n",
        settings={"temperature": 0.0, "stop": ("\n\n",)},
        source=f"{_GPT3}, section 2: few-shot prompts",
    ),
}  # fmt: skip

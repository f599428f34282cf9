"""Tasks: prompts made of a text, in the chat and in Write mode."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple

from gptterm.config import Settings
from gptterm.config.tasks import Arrow, Example, Task
from gptterm.errors import GpttermError, UsageError
from gptterm.format import plural
from gptterm.tui.actions.chat_view import ChatView
from gptterm.tui.actions.labels import likeliest_label
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.dialogs.input import InputDialog, InputRequest
from gptterm.tui.dialogs.tasks import TaskDialog

_TEXT = "\ufdd0"
"""Stands for the text while a prompt is made: no text has this character."""


class TaskPrompt(NamedTuple):
    """A task's prompt around a text."""

    name: str
    task: Task
    before: str
    after: str
    labels: tuple[str, ...]
    """One of these is the answer; empty for any other."""


Use = Callable[[TaskPrompt], Awaitable[None]]


def choose_in_chat(view: ChatView) -> None:
    """Make a message of what is typed."""
    controller, text = view.controller, view.prompt.message
    settings, info = controller.settings, controller.engine.info
    raw = settings.form == "raw"
    chat = not raw and (info is None or info.has_chat_template)

    async def use(made: TaskPrompt) -> None:
        prompt = f"{made.before}{text}{made.after}"
        view.prompt.put(prompt)
        said = f"{made.name}: Enter sends it"
        values = {key: value for key, value in made.task.settings.items() if raw}
        if values and view.change(**values):
            said = f"{said}, with {', '.join(name.replace('_', ' ') for name in values)} set for it"
        view.show_notice("info", f"{said} · {made.task.source}")
        if not made.labels or controller.engine.is_remote:
            return
        try:
            answer = await likeliest_label(
                controller.engine, settings, made.labels, prompt, chat=chat
            )
        except GpttermError as error:
            view.show_notice("error", f"{made.name}: {error}")
        else:
            view.show_notice("info", f"{made.name}: {answer.said}")

    _choose(view, settings, text, use, chat=chat)


def choose_in_document(screen: WriteView) -> None:
    """Make a prompt of the selection, else of the whole text, and continue it."""
    writing = screen.writing
    start, end = screen.area.selected_places
    if start == end:
        start, end = 0, len(writing.document.text)
    text = writing.document.text[start:end]

    async def use(made: TaskPrompt) -> None:
        if writing.document.text[start:end] != text:
            screen.show_notice("info", "the text is another one by now: choose the task again")
            return
        if made.after:
            writing.edit(end, end, made.after)
        if made.before:
            writing.edit(start, start, made.before)
        place = end + len(made.before) + len(made.after)
        if made.labels and not writing.controller.engine.is_remote:
            await _label(screen, made, text, place)
            return
        screen.grow_on(place, made.name)
        screen.show_notice("info", f"{made.name} · {made.task.source}")

    _choose(screen, writing.settings, text, use, chat=False)


async def _label(screen: WriteView, made: TaskPrompt, text: str, place: int) -> None:
    """Write the likeliest label at a place, behind the prompt."""
    writing, prompt = screen.writing, f"{made.before}{text}{made.after}"
    whole = writing.document.text
    screen.draw()
    try:
        answer = await likeliest_label(
            writing.controller.engine, writing.settings, made.labels, prompt, chat=False
        )
    except GpttermError as error:
        screen.show_notice("error", f"{made.name}: {error}")
        return
    if writing.document.text == whole:
        written = f"{'' if prompt[-1:].isspace() else ' '}{answer.label}"
        writing.edit(place, place, written)
        screen.draw()
        screen.area.go_to(place + len(written))
    screen.show_notice("info", f"{made.name}: {answer.said} · {made.task.source}")


def _choose(
    view: ChatView | WriteView, settings: Settings, text: str, use: Use, *, chat: bool
) -> None:
    """Have a task chosen, ask what else its prompt needs, and use the prompt."""
    if not text.strip():
        view.show_notice("info", "write the text first: a task makes a prompt of it")
        return

    def preview(task: Task) -> str:
        before, after = _around(task, text, chat=chat, question="…", labels=("…", "…"))
        return f"{before}{text}{after}"

    async def ask() -> None:
        name = await view.app.push_screen_wait(TaskDialog(settings.tasks, preview))
        if name is None:
            return
        task = settings.tasks[name]
        asked = await _ask_rest(view, name, task, chat=chat)
        if asked is not None:
            question, labels, examples = asked
            before, after = _around(
                task, text, chat=chat, question=question, labels=labels, examples=examples
            )
            await use(TaskPrompt(name, task, before, after, tuple(task.labels) or labels))

    view.run_worker(ask)


def _around(
    task: Task,
    text: str,
    *,
    chat: bool,
    question: str,
    labels: Sequence[str],
    examples: Sequence[Example] = (),
) -> tuple[str, str]:
    """The parts of a task's prompt before the text and behind it."""
    given = question if task.reads_passage else _TEXT
    prompt = task.render(
        given, chat=chat, passage=_TEXT, examples=examples, labels=task.labels or labels
    )
    before, _, after = prompt.partition(_TEXT)
    return before, after.replace(_TEXT, text)


_Asked = tuple[str, tuple[str, ...], tuple[Example, ...]]


async def _ask_rest(
    view: ChatView | WriteView, name: str, task: Task, *, chat: bool
) -> _Asked | None:
    """Ask for a question, labels and examples, as far as the prompt has a place for them."""
    template = (task.chat or task.prompt) if chat else task.prompt
    question, labels, examples = "", "", ""
    ask = partial(_ask, view, name)
    if task.reads_passage:
        question = await ask("a question about the text", "Who …?", _filled) or ""
        if not question:
            return None
    if "{labels}" in template and not task.labels:
        labels = await ask("the labels", "two or more: good, bad", _labels) or ""
        if not labels:
            return None
    if "{examples}" in template and task.example:
        own = plural(len(task.examples), "example") if task.examples else "none"
        hint = f"INPUT => OUTPUT; INPUT => OUTPUT · nothing: those of the task ({own})"
        found = await ask("your own examples", hint, _examples)
        if found is None:
            return None
        examples = found
    parts = tuple(label.strip() for label in labels.split(",") if label.strip())
    return question, parts, tuple(map(Arrow().parse, _split(examples)))


async def _ask(
    view: ChatView | WriteView, name: str, wanted: str, hint: str, check: Callable[[str], str]
) -> str | None:
    async def submit(value: str) -> str:
        return check(value)

    request = InputRequest(f"{name}: {wanted}", "use", hint)
    return await view.app.push_screen_wait(InputDialog(request, submit))


def _filled(value: str) -> str:
    if not value:
        raise UsageError("type a question")
    return value


def _labels(value: str) -> str:
    if sum(bool(label.strip()) for label in value.split(",")) < 2:
        raise UsageError("type two labels or more, with commas between them")
    return value


def _examples(value: str) -> str:
    for part in _split(value):
        Arrow().parse(part)
    return value


def _split(value: str) -> list[str]:
    return [part for part in value.split(";") if part.strip()]

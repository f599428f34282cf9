"""List over the prompt: commands and their values, and files, while they are typed."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from gptterm.errors import UsageError
from gptterm.format import plural, shorten
from gptterm.terminal import one_line
from gptterm.threads import in_daemon_thread
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.events import NoticeKind
from gptterm.tui.state.mentions import Mention, find_mentions, read_mention, word_before
from gptterm.tui.widgets.prompt import ChoiceKey, Prompt
from gptterm.tui.widgets.table_list import Column, Row, TableList, row
from gptterm.tui.workers import start_worker

if TYPE_CHECKING:
    # Commands are imported when one is begun: the first frame needs none.
    from gptterm.tui.state.completions import Completion, Completions, Present

NAMES = (
    Column("name"),
    Column("faint", rank=2),
    Column("text", shrinks=40),
    Column("value", "right", rank=1),
)
"""Name, argument, what it does, present value."""
FILES = (Column("name", shrinks=24), Column("faint", "right", rank=1))


class Suggester:
    """Fills the list, and takes a row of it into the prompt.

    Args:
        controller: Knows the present values.
        prompt: The prompt.
        shown: The list.
        submit: Sends the text of the prompt.
        notify: Says why a file cannot be put into the prompt.
    """

    def __init__(
        self,
        controller: Controller,
        prompt: Prompt,
        shown: TableList,
        submit: Callable[[str], None],
        notify: Callable[[NoticeKind, str], None],
    ) -> None:
        self._controller = controller
        self._prompt = prompt
        self._list = shown
        self._submit = submit
        self._rows: Sequence[Completion] = ()
        """Commands or values."""
        self._mentions: Sequence[Mention] = ()
        """Files, while the word at the cursor begins with @."""
        self._notify = notify
        self._line = ""
        """The line that the list is for."""
        self._models: Sequence[tuple[str, str]] = ()
        """Models at hand, and what is known of each."""
        self._asked_models = False
        """Whether they were looked up since the argument of /model was begun."""
        self.hint = ""
        """The argument that the typed command expects."""

    @property
    def is_open(self) -> bool:
        """Whether there is something to choose from."""
        return bool(self._rows or self._mentions)

    def update(self, line: str, *, is_new: bool = True) -> None:
        """Show what fits the line that is typed.

        Args:
            line: The text of the prompt; empty to show nothing.
            is_new: Something was typed; otherwise the highlighted row stays.
        """
        self._line = line
        is_command = line.startswith("/") and not line.startswith("//") and "\n" not in line
        found = self._complete(line) if is_command else None
        self.hint = _hint(line, found) if found is not None else ""
        self._look_up_models(line)
        word = None if is_command or not line else word_before(self._prompt.before_cursor)
        if word is not None:
            find = partial(self._find_files, word)
            start_worker(self._prompt, find, exclusive=True, group="files")
            return
        completions = found.rows if found is not None else ()
        if not completions and not self.is_open:
            return
        self._mentions = ()
        preferred = found.preferred if found is not None else ""
        self._rows = completions
        rows = [_row(completion) for completion in completions]
        self._list.show(rows, NAMES, preferred if is_new else self._list.key)
        self._list.display = self.is_open

    def close(self) -> bool:
        """Hide the list; False if there is none."""
        was_open, self._rows, self._mentions = self.is_open, (), ()
        self._list.display = False
        return was_open

    def press(self, key: ChoiceKey, line: str) -> bool:
        """Move in the list, or take its highlighted row; False if that is not for the list.

        Args:
            key: The key.
            line: The text of the prompt. Where it was typed faster than it was shown, the list is
                still for an earlier one, and what it offers must not replace this one.
        """
        if line != self._line:
            self._mentions = ()
            self.update(line)
        if not self.is_open:
            if key == "tab":
                self.update(self._prompt.text)
            return self.is_open
        if key in ("up", "down"):
            self._list.move(1 if key == "down" else -1)
            return True
        taken = self._list.key
        if taken is None and key == "tab":
            taken = self._list.rows[0].key
        return taken is not None and self.take(taken, submits=key == "enter")

    def take(self, line: str, *, submits: bool) -> bool:
        """Put a completed line into the prompt; one that is whole can be sent at once."""
        if self._mentions:
            self._take_file(line, reads=submits)
            return True
        completion = next(found for found in self._rows if found.line == line)
        submits = submits and completion.is_whole
        self._prompt.put(line.strip() if submits else line)
        if submits:
            self.close()
            self._submit(line.strip())
        return True

    def _complete(self, line: str) -> "Completions":
        from gptterm.tui.state.completions import complete

        return complete(line, self._present())

    def _present(self) -> "Present":
        from gptterm.tui.actions.export import file_name
        from gptterm.tui.state.completions import Present

        controller = self._controller
        tree, info = controller.chat.tree, controller.engine.info
        reply = tree.last_reply()
        run = tree.node(reply).generation if reply is not None else None
        return Present(
            controller.settings,
            info.name if info is not None else controller.settings.model,
            tree.system,
            file_name(tree.title),
            run.seed if run is not None else None,
            self._models,
        )

    # --------------------------------------------------------------------------------- files

    async def _find_files(self, word: str) -> None:
        found = await in_daemon_thread(lambda: find_mentions(word))
        if word_before(self._prompt.before_cursor) != word:
            return
        self._rows, self._mentions = (), found
        self._list.show([row(item.typed, item.name, item.about) for item in found], FILES)
        self._list.display = self.is_open

    def _take_file(self, typed: str, *, reads: bool) -> None:
        """Complete the word, and go on to the file once it is whole or if it is to be read."""
        word = f"@{word_before(self._prompt.before_cursor) or ''}"
        mention = next(item for item in self._mentions if item.typed == typed)
        if mention.is_folder or not (reads or word == f"@{typed}"):
            self._prompt.replace_word(word, f"@{typed}")
            return
        self.close()
        put = partial(self._put_file, word, typed)
        start_worker(self._prompt, put, exclusive=True, group="files")

    async def _put_file(self, word: str, typed: str) -> None:
        try:
            name, text = await in_daemon_thread(lambda: read_mention(typed))
        except UsageError as error:
            self._notify("error", str(error))
            return
        tokens = await self._controller.engine.count_tokens(text)
        size = plural(len(text), "character") if tokens is None else plural(tokens, "token")
        if not self._prompt.replace_word(word, f"[{name} · {size}]", text):
            self._notify("info", f"{name} was not put in: the cursor is elsewhere")

    # -------------------------------------------------------------------------------- models

    def _look_up_models(self, line: str) -> None:
        is_wanted = line.startswith("/model ")
        if is_wanted and not self._asked_models:
            start_worker(self._prompt, self._list_models, exclusive=True, group="models")
        self._asked_models = is_wanted

    async def _list_models(self) -> None:
        from gptterm.tui.actions.pickers import models_at_hand
        from gptterm.tui.state.model_table import facts

        entries = await models_at_hand(self._controller)
        self._models = [(entry.name, facts(entry)) for entry in entries]
        if self._asked_models:
            self.update(self._prompt.text, is_new=not self.is_open)


def _row(completion: "Completion") -> Row:
    texts = completion.name, completion.argument, completion.help, completion.value
    return row(completion.line, *texts)._replace(matched=completion.matched)


def _hint(line: str, found: "Completions") -> str:
    from gptterm.conversation.command_help import hint
    from gptterm.conversation.commands import split_command

    head, gap, _ = split_command(line)
    if gap or found.rows:
        return hint(line)
    return f"there is no command /{shorten(one_line(head), 40)}; // sends a slash"

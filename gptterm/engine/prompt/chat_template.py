"""A chat by the model's own template, with every message kept what it is: text, or given ids.

The names of special tokens count where the template wrote them and nowhere else, whatever a
message says; and the ids of earlier replies are used as they are, so that the cached prefix
stays. Templates trim, split and measure what they are given, so they are run over the messages'
own text, with marks in it: private-use characters that occur nowhere else.

- A shield stands before each special token's name in a message.
- An opening and a closing mark stand around each message. A template that treats a message by
  what it begins with, or by its length, would write something else because of them. So it is run
  without them, too; where the results differ, that one counts, and all ids are made anew.
"""

import re
from collections.abc import Iterable
from itertools import chain, islice

from gptterm.engine.api import ChatPrompt, Message
from gptterm.engine.prompt import jinja
from gptterm.engine.prompt.builder import PromptBuilder
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import ModelError

_PRIVATE_USE = (range(0xE000, 0xF900), range(0xF0000, 0xFFFFE))
_NEVER = "(?!)"


def render_template(prompt: ChatPrompt, tokenizer: Tokenizer, source: str) -> list[int]:
    """The chat as `source`, the model's template, writes it.

    Raises:
        ModelError: the template fails, or leaves a message out.
    """
    return _TemplateRenderer(prompt, tokenizer, source).ids()


class _Markers:
    """The three private-use characters, and what finds them in a template's output."""

    def __init__(self, taken: str, names: Iterable[str]) -> None:
        free = (chr(code) for code in chain(*_PRIVATE_USE) if chr(code) not in taken)
        self.shield, self._open, self._close = islice(free, 3)
        longest_first = sorted(names, key=len, reverse=True)
        name = "|".join(re.escape(name) for name in longest_first) or _NEVER
        self._shielded = re.compile(f"(?={name})")
        self._mark = re.compile(f"([{self._open}{self._close}])[0-9]+\\1")
        self.any = re.compile(
            f"{self._open}(?P<message>[0-9]+){self._open}|{self._close}[0-9]+{self._close}"
            f"|[{self.shield}{self._open}{self._close}]|(?<!{self.shield})(?P<special>{name})"
        )

    def shielded(self, text: str) -> str:
        """A message's text in which no name counts."""
        return self._shielded.sub(self.shield, text)

    def opening(self, index: int) -> str:
        return f"{self._open}{index}{self._open}"

    def closing(self, index: int) -> str:
        return f"{self._close}{index}{self._close}"

    def removed(self, text: str) -> str:
        """A text without opening and closing marks."""
        return self._mark.sub("", text)


class _TemplateRenderer:
    def __init__(self, prompt: ChatPrompt, tokenizer: Tokenizer, source: str) -> None:
        self._prompt = prompt
        self._tokenizer = tokenizer
        self._source = source
        texts = (message.text for message in prompt.messages)
        taken = "".join([source, *tokenizer.template_tokens.values(), *texts])
        self._marks = _Markers(taken, tokenizer.specials)
        self._contents = [self._content(i) for i in range(len(prompt.messages))]

    # ------------------------------------------------------------------ what the template sees

    def _content(self, index: int) -> tuple[str, str, str]:
        """A message's text: white space that a template may trim, the rest, and such again."""
        message = self._prompt.messages[index]
        core = message.text.strip()
        before, _, after = message.text.partition(core) if core else (message.text, "", "")
        if message.ids:
            before = after = ""  # the ids have it
        elif self._is_continued(index):
            core, after = core + after, ""
        return before, self._marks.shielded(core), after

    def _is_continued(self, index: int) -> bool:
        return self._prompt.continue_last and index == len(self._prompt.messages) - 1

    def _run(self, count: int, *, marked: bool, begin_reply: bool) -> str:
        """The template's text for the first `count` messages."""
        messages = []
        for i, (before, core, after) in enumerate(self._contents[:count]):
            if marked and core:
                core = self._marks.opening(i) + core
            if (marked and core) or self._is_continued(i):
                core += self._marks.closing(i)
            role = self._prompt.messages[i].role
            messages.append({"role": role, "content": before + core + after})
        return jinja.render(
            self._source,
            messages=messages,
            tools=None,
            documents=None,
            add_generation_prompt=begin_reply,
            **self._tokenizer.template_tokens,
        )

    # ------------------------------------------------------------------------ what it writes

    def ids(self) -> list[int]:
        text = self._text()
        extra = self._extra_space(text)
        builder, at = PromptBuilder(self._tokenizer), 0
        while found := self._marks.any.search(text, at):
            before, at = text[at : found.start()], found.end()
            index, name = found["message"], found["special"]
            message = None if index is None else self._prompt.messages[int(index)]
            whole = self._whole(int(index)) if message and message.ids else ""
            if message and message.ids and text.startswith(whole, found.start()):
                builder.add_text(before.removesuffix(extra))
                builder.add_ids(message.ids)
                at = found.start() + len(whole)
                continue
            builder.add_text(before)
            if name is not None:
                builder.add_special(self._tokenizer.specials[name])
        builder.add_text(text[at:])
        return builder.build()

    def _whole(self, index: int) -> str:
        core = self._contents[index][1]
        return self._marks.opening(index) + core + self._marks.closing(index)

    def _text(self) -> str:
        """The template's text, with all marks in it if they did not change it."""
        count, begin_reply = len(self._prompt.messages), not self._prompt.continue_last
        text = self._run(count, marked=False, begin_reply=begin_reply)
        try:
            marked = self._run(count, marked=True, begin_reply=begin_reply)
        except ModelError:
            marked = ""
        if self._marks.removed(marked) == self._marks.removed(text):
            text = marked
            self._check_complete(text)
        if self._prompt.continue_last:
            before, found, _ = text.rpartition(self._marks.closing(count - 1))
            if not found:
                raise ModelError(_left_out(self._prompt.messages[-1]))
            text = before + found
        return text

    def _check_complete(self, text: str) -> None:
        """What a reply thought may be left out; what was said to the model may not."""
        for i, message in enumerate(self._prompt.messages):
            present = self._marks.opening(i) in text or not message.text.strip()
            if not present and message.role != "assistant":
                raise ModelError(_left_out(message))

    def _extra_space(self, text: str) -> str:
        """White space that the template writes before a reply, but not where it has one begun.

        The ids of the reply came right after what it wrote there (Llama 2's has a space before
        each reply that is there, and the model made its own).
        """
        messages = self._prompt.messages
        index = next((i for i in reversed(range(len(messages))) if messages[i].ids), 0)
        before, found, _ = text.partition(self._marks.opening(index))
        if not (found and index):
            return ""
        try:
            begun = self._run(index, marked=False, begin_reply=True)
        except ModelError:
            return ""
        rest = self._marks.removed(before).removeprefix(self._marks.removed(begun))
        return rest if rest.isspace() else ""


def _left_out(message: Message) -> str:
    return (
        f"the model's chat template has no place for a {message.role} message here;"
        " --raw goes without it"
    )

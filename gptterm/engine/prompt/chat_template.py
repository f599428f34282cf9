"""Render a chat with the model's own template.

Special tokens are recognised where the template wrote them, never in a message (prompt
injection); and the ids of earlier replies are reused, so that the prefix stays cached. Templates
trim, split and measure messages, so they are run over the messages' real text, with markers in
it: private-use characters that occur nowhere else.

- A shield precedes each name of a special token in a message.
- An opening and a closing marker enclose each message. A template that looks at how a message
  begins, or at its length, would write something else because of them. So it is also run without
  them; where the results differ, that one is used, and all ids are encoded anew.
"""

import re
from collections.abc import Iterable
from itertools import chain, islice

from gptterm.engine.api import ChatPrompt, Message
from gptterm.engine.prompt import jinja
from gptterm.engine.prompt.builder import PromptBuilder
from gptterm.engine.prompt.jinja_budget import Budget, size
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import ModelError

_PRIVATE_USE = (range(0xE000, 0xF900), range(0xF0000, 0xFFFFE))
_NEVER = "(?!)"
_PARTS = re.compile(r"""['"]text['"]|\.text\b""")
"""A template that names this field may accept a message as a list of parts."""


def render_template(prompt: ChatPrompt, tokenizer: Tokenizer, source: str) -> list[int]:
    """Return the ids of a chat as rendered by `source`, the model's template.

    Raises:
        ModelError: the template fails, or leaves a message out.
    """
    return _TemplateRenderer(prompt, tokenizer, source).ids()


class _Markers:
    """Three private-use characters, and the patterns that find them in a template's output."""

    def __init__(self, taken: str, names: Iterable[str]) -> None:
        free = (chr(code) for code in chain(*_PRIVATE_USE) if chr(code) not in taken)
        self.shield, self._open, self._close = islice(free, 3)
        longest_first = sorted(names, key=len, reverse=True)
        name = "|".join(re.escape(name) for name in longest_first) or _NEVER
        self._shielded = re.compile(f"(?={name})")
        self._marker = re.compile(f"([{self._open}{self._close}])[0-9]+\\1")
        self.any = re.compile(
            f"{self._open}(?P<message>[0-9]+){self._open}|{self._close}[0-9]+{self._close}"
            f"|[{self.shield}{self._open}{self._close}]|(?<!{self.shield})(?P<special>{name})"
        )

    def shielded(self, text: str) -> str:
        """Return a message's text with each special token's name shielded."""
        return self._shielded.sub(self.shield, text)

    def opening(self, index: int) -> str:
        return f"{self._open}{index}{self._open}"

    def closing(self, index: int) -> str:
        return f"{self._close}{index}{self._close}"

    def removed(self, text: str) -> str:
        """Return a text without opening and closing markers."""
        return self._marker.sub("", text)


class _TemplateRenderer:
    """One rendering of a chat; `ids` is its result."""

    def __init__(self, prompt: ChatPrompt, tokenizer: Tokenizer, source: str) -> None:
        self._prompt = prompt
        self._tokenizer = tokenizer
        self._source = source
        texts = (message.text for message in prompt.messages)
        taken = "".join([source, *tokenizer.template_tokens.values(), *texts])
        self._markers = _Markers(taken, tokenizer.specials)
        self._contents = [self._content(i) for i in range(len(prompt.messages))]
        self._as_parts = False
        self._budget = Budget(sum(size(message.text) for message in prompt.messages))

    # ---------------------------------------------------------------------- template's input

    def _content(self, index: int) -> tuple[str, str, str]:
        """Return a message's leading white space, its core, and its trailing white space.

        A template may trim the white space, so the markers enclose the core alone.
        """
        message = self._prompt.messages[index]
        core = message.text.strip()
        before, _, after = message.text.partition(core) if core else (message.text, "", "")
        if message.ids:
            before = after = ""  # the ids contain it
        elif self._is_continued(index):
            core, after = core + after, ""
        return before, self._markers.shielded(core), after

    def _is_continued(self, index: int) -> bool:
        return self._prompt.continue_last and index == len(self._prompt.messages) - 1

    def _run(self, count: int, *, marked: bool, begin_reply: bool) -> str:
        """Run the template over the first `count` messages."""
        messages = []
        for i, (before, core, after) in enumerate(self._contents[:count]):
            if marked and core:
                core = self._markers.opening(i) + core
            if (marked and core) or self._is_continued(i):
                core += self._markers.closing(i)
            text = before + core + after
            content = [{"type": "text", "text": text}] if self._as_parts else text
            messages.append({"role": self._prompt.messages[i].role, "content": content})
        variables = {
            "messages": messages,
            "tools": None,
            "documents": None,
            "add_generation_prompt": begin_reply,
        }
        return jinja.render(self._source, variables | self._tokenizer.template_tokens, self._budget)

    # --------------------------------------------------------------------- template's output

    def ids(self) -> list[int]:
        text = self._text_of_any_form()
        extra = self._extra_space(text)
        builder, at = PromptBuilder(self._tokenizer), 0
        while found := self._markers.any.search(text, at):
            before, at = text[at : found.start()], found.end()
            index, name = found["message"], found["special"]
            message = None if index is None else self._prompt.messages[int(index)]
            marked = self._marked(int(index)) if message and message.ids else ""
            if message and message.ids and text.startswith(marked, found.start()):
                builder.add_text(before.removesuffix(extra))
                builder.add_ids(message.ids)
                at = found.start() + len(marked)
                continue
            builder.add_text(before)
            if name is not None:
                builder.add_special(self._tokenizer.specials[name])
        builder.add_text(text[at:])
        return builder.build()

    def _marked(self, index: int) -> str:
        core = self._contents[index][1]
        return self._markers.opening(index) + core + self._markers.closing(index)

    def _text_of_any_form(self) -> str:
        """Return the template's output, over texts or else over lists of parts.

        Multimodal models' templates may accept a message only as a list of parts. They fail over
        a text, or leave it out: its characters are no parts.
        """
        try:
            return self._text()
        except ModelError as error:
            if not _PARTS.search(self._source):
                raise
            self._as_parts = True
            try:
                return self._text()
            except ModelError:
                raise error from None

    def _text(self) -> str:
        """Return the template's output, with the markers in it if they did not change it."""
        count, begin_reply = len(self._prompt.messages), not self._prompt.continue_last
        text = self._run(count, marked=False, begin_reply=begin_reply)
        try:
            marked = self._run(count, marked=True, begin_reply=begin_reply)
        except ModelError:
            marked = ""
        if self._markers.removed(marked) == self._markers.removed(text):
            text = marked
            self._check_complete(text)
        if self._prompt.continue_last:
            before, found, _ = text.rpartition(self._markers.closing(count - 1))
            if not found:
                raise ModelError(_left_out(self._prompt.messages[-1]))
            text = before + found
        return text

    def _check_complete(self, text: str) -> None:
        """Require every message but the model's own, whose reasoning a template may leave out.

        Raises:
            ModelError: the template has left one out.
        """
        for i, message in enumerate(self._prompt.messages):
            present = self._markers.opening(i) in text or not message.text.strip()
            if not present and message.role != "assistant":
                raise ModelError(_left_out(message))

    def _extra_space(self, text: str) -> str:
        """Return the white space that the template writes before a reply that exists, but not
        before one that begins.

        The reply's ids were generated after the latter. Llama 2's template has a space before
        each existing reply, and the model generated its own.
        """
        messages = self._prompt.messages
        index = next((i for i in reversed(range(len(messages))) if messages[i].ids), 0)
        before, found, _ = text.partition(self._markers.opening(index))
        if not (found and index):
            return ""
        try:
            begun = self._run(index, marked=False, begin_reply=True)
        except ModelError:
            return ""
        rest = self._markers.removed(before).removeprefix(self._markers.removed(begun))
        return rest if rest.isspace() else ""


def _left_out(message: Message) -> str:
    return (
        f"the model's chat template has no place for a {message.role} message here;"
        " --raw goes without it"
    )

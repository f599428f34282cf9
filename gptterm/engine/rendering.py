"""From a prompt of the contract to ids: raw text, a chat template, or a transcript."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from gptterm.engine.api import ChatPrompt, Message, TextPrompt, TokenPrompt, Transcript
from gptterm.engine.tokenizer import Tokenizer
from gptterm.errors import ModelError, UsageError


@dataclass(frozen=True)
class Rendered:
    """A prompt as the model gets it.

    Attributes:
        ids: the prompt's tokens.
        stop: stop texts that the form of the prompt brings with it.
        strip: the reply's leading white space belongs to the form, not to the reply.
    """

    ids: list[int]
    stop: tuple[str, ...] = ()
    strip: bool = False


def render_text(prompt: TextPrompt, tokenizer: Tokenizer) -> Rendered:
    """Ordinary text after the tokenizer's start tokens."""
    return Rendered([*tokenizer.start_ids, *tokenizer.encode(prompt.text)])


def render_tokens(prompt: TokenPrompt, vocab_size: int) -> Rendered:
    """Ids as they are.

    Raises:
        UsageError: an id is not in the vocabulary.
    """
    for token_id in prompt.ids:
        if not 0 <= token_id < vocab_size:
            raise UsageError(f"token id {token_id} is not in [0, {vocab_size})")
    return Rendered(list(prompt.ids))


def render_chat(prompt: ChatPrompt, tokenizer: Tokenizer) -> Rendered:
    """A chat by the model's template, or as a transcript if it has none.

    Raises:
        ModelError: the template fails.
        UsageError: there is no message.
    """
    if not prompt.messages:
        raise UsageError("a chat needs at least one message")
    if tokenizer.chat_template is None:
        return _render_transcript(prompt, tokenizer)
    return _render_template(prompt, tokenizer, tokenizer.chat_template)


# --------------------------------------------------------------------------------- transcript


def _render_transcript(prompt: ChatPrompt, tokenizer: Tokenizer) -> Rendered:
    form = prompt.transcript
    messages = prompt.messages
    preamble = form.preamble
    if messages[0].role == "system":
        preamble, messages = messages[0].text, messages[1:]
    parts = _Parts(tokenizer)
    parts.text(f"{preamble}\n\n" if preamble else "")
    for position, message in enumerate(messages):
        parts.text(f"{_speaker(message, form)}:")
        parts.message(message, before=" ")
        if not (prompt.continue_last and position == len(messages) - 1):
            parts.text("\n")
    if not prompt.continue_last:
        parts.text(f"{form.assistant}:")
    stop = (f"\n{form.user}:", f"\n{form.assistant}:")
    return Rendered([*tokenizer.start_ids, *parts.ids()], stop, strip=not prompt.continue_last)


def _speaker(message: Message, form: Transcript) -> str:
    return form.assistant if message.role == "assistant" else form.user


class _Parts:
    """Joins text and ready-made ids. Neighbouring texts are encoded as one."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._pending = ""

    def text(self, text: str) -> None:
        self._pending += text

    def special(self, token_id: int) -> None:
        self._flush()
        self._ids.append(token_id)

    def message(self, message: Message, before: str = "") -> None:
        if message.ids:
            self._flush()
            self._ids += message.ids
        else:
            self._pending += before + message.text

    def _flush(self) -> None:
        if self._pending:
            self._ids += self._tokenizer.encode(self._pending)
        self._pending = ""

    def ids(self) -> list[int]:
        self._flush()
        return self._ids


# ----------------------------------------------------------------------------------- template


def _render_template(prompt: ChatPrompt, tokenizer: Tokenizer, source: str) -> Rendered:
    """Run the template over stand-ins, then put the messages in their places.

    So the names of special tokens count where the template wrote them and nowhere else, whatever
    a message says, and the ids of earlier replies are used as they are. Everything between two
    special tokens is encoded as one text: the same ids as for the whole string at once.
    """
    marks = [f"\ue000{i}\ue001" for i in range(len(prompt.messages))]
    text = _run_template(
        source,
        messages=[
            {"role": message.role, "content": mark}
            for message, mark in zip(prompt.messages, marks, strict=True)
        ],
        add_generation_prompt=not prompt.continue_last,
        **tokenizer.template_tokens,
    )
    if prompt.continue_last:
        text = text[: text.rindex(marks[-1]) + len(marks[-1])] if marks[-1] in text else text
    parts = _Parts(tokenizer)
    for message, mark in zip(prompt.messages, marks, strict=True):
        before, found, text = text.partition(mark)
        if not found:
            raise ModelError(
                f"the model's chat template has no place for a {message.role} message here;"
                " --raw goes without it"
            )
        _template_text(parts, before, {n: s.id for n, s in tokenizer.specials.items()})
        parts.message(message)
    _template_text(parts, text, {n: s.id for n, s in tokenizer.specials.items()})
    return Rendered(parts.ids())


def _template_text(parts: _Parts, text: str, specials: dict[str, int]) -> None:
    """Text that the template itself wrote: special tokens in it are meant."""
    while text:
        found = [(at, -len(name), name) for name in specials if (at := text.find(name)) >= 0]
        if not found:
            parts.text(text)
            return
        at, _, name = min(found)
        parts.text(text[:at])
        parts.special(specials[name])
        text = text[at + len(name) :]


def _run_template(source: str, **variables: Any) -> str:
    from jinja2.exceptions import TemplateError

    try:
        return str(_compile(source).render(**variables))
    except (TemplateError, TypeError, ValueError) as error:
        raise ModelError(f"the model's chat template fails: {error}; --raw goes without") from error


@lru_cache(maxsize=4)
def _compile(source: str) -> Any:
    """The template in a sandbox, with what the transformers library's templates may use."""
    import json
    from datetime import datetime

    from jinja2.exceptions import TemplateError
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> NoReturn:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = lambda value, **options: json.dumps(
        value, ensure_ascii=False, **options
    )
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment.from_string(source)


def without_oldest(messages: Sequence[Message]) -> list[tuple[Message, ...]]:
    """The chat as it is, without its oldest turn, without the two oldest, … down to the last one.

    The system's text stays. A turn is a user's message with the replies to it.
    """
    start = 1 if messages[0].role == "system" else 0
    turns = [start, *(i for i in range(start + 1, len(messages)) if messages[i].role == "user")]
    return [(*messages[:start], *messages[turn:]) for turn in turns]

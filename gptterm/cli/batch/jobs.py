"""Jobs: what a line of the input asks for, with the settings of the run and its own."""

from collections.abc import Callable, Container, Mapping
from typing import Any, NamedTuple

import msgspec

from gptterm.config import Settings
from gptterm.config.definitions import SETTINGS
from gptterm.config.file import did_you_mean
from gptterm.engine.api import ChatPrompt, GenerateRequest, Message, Prompt, Role, TextPrompt
from gptterm.errors import UsageError
from gptterm.format import shorten
from gptterm.json_values import as_text

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_LINE_SETTINGS = (
    *(name for name, setting in SETTINGS.items() if setting.sampling),
    "preset", "seed", "stop", "until", "form", "overflow", "system",
)  # fmt: skip
"""Settings that a line may have for itself."""
ASKED: tuple[str, ...] = ("prompt", "messages")
"""The keys of what a line asks, of which it has one."""
_KEYS = ("id", *ASKED, "logprobs", *_LINE_SETTINGS)
_OF_THE_RUN = (
    *("model", "server", "adapter", "device", "dtype", "kv_dtype", "context", "keep_alive"),
    "offline",
)
_MOST_LOGPROBS = 1000
MOST_SAMPLES = 128
"""Continuations that one line can ask for."""
_SEEDS = 2**63
_SAMPLED_SEEDS = 2**31
"""Distance from the seeds of lines with one sample to those of lines with several: a fixed one, so
that a line's seeds depend on its number alone. Half of what llama.cpp, whose seeds have 32 bits,
tells apart: no two lines of 16 million share a seed there, of 2 billion elsewhere."""


class Job(NamedTuple):
    """One line that can be run."""

    line: int
    """Number of the line, from 1."""
    request: GenerateRequest
    asked: Mapping[str, Any]
    """`prompt` or `messages`, as the line has it."""
    id: str | int | None = None
    """The line's own name for itself."""
    url: str = ""
    """The call that a line of OpenAI's names; empty for one of ours."""


class BadLineError(ValueError):
    """A line that cannot be run; the message says why."""

    def __init__(self, message: str, id_: str | int | None = None, *, is_openai: bool = False):
        super().__init__(shorten(message, 300))
        self.id = id_
        self.is_openai = is_openai


class JobMaker:
    """Makes the jobs of lines.

    Args:
        settings: what holds for a line that says nothing else.
        answers: whether the model has a chat, for lines that leave it open.
        logprobs: alternatives a token for all lines; None: no log probabilities.
        models: the model's names, for lines that name one.
        note: called with what the user should know, more than once perhaps.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        answers: bool,
        logprobs: int | None = None,
        models: Container[str] = (),
        note: Callable[[str], None],
    ) -> None:
        self.settings = settings
        self.logprobs = logprobs
        self._answers = answers
        self._models = models
        self._note = note

    def note_model(self, name: object) -> None:
        """Tell the user if a line names another model than the one that runs."""
        if name not in self._models:
            self._note("the models that lines name are not used: all lines are for one, -m's")

    def with_fields(self, fields: Mapping[str, Any]) -> Settings:
        """Return the settings with those of a line.

        Raises:
            ValueError: one is unknown, or has a bad value.
        """
        if not fields:
            return self.settings
        values: dict[str, object] = {}
        for name, value in fields.items():
            if name in _OF_THE_RUN:
                raise ValueError(f"{name} is the same for all lines: give it as an option")
            if name not in _LINE_SETTINGS:
                raise ValueError(f"there is no setting {shorten(name, 40)}{_hint(name)}")
            is_text = name in ("stop", "until") and isinstance(value, str)
            try:
                values[name] = SETTINGS[name].type.validate([value] if is_text else value)
            except ValueError as error:
                raise ValueError(f"{name} {error}") from None
        try:
            return self.settings.with_values(values, "line")
        except UsageError as error:
            raise ValueError(str(error)) from None

    def job(
        self,
        number: int,
        settings: Settings,
        asked: Mapping[str, Any],
        *,
        logprobs: int | None = None,
        samples: int = 1,
        id_: str | int | None = None,
        url: str = "",
    ) -> Job:
        """Make the job of a line.

        Args:
            samples: number of continuations, 1 to `MOST_SAMPLES`; each has a seed of its own.

        Raises:
            ValueError: its prompt is not one.
        """
        prompt = self._prompt(settings, asked)
        logprobs = self.logprobs if logprobs is None else logprobs
        request = settings.request(prompt, samples=samples, logprobs=logprobs)
        if request.seed is not None and settings.origins["seed"] != "line":
            seed = _line_seed(request.seed, number, samples)
            request = msgspec.structs.replace(request, seed=seed)
        return Job(number, request, asked, id_, url)

    def _prompt(self, settings: Settings, asked: Mapping[str, Any]) -> Prompt:
        if len(asked) != 1:
            raise ValueError('a line needs "prompt" or "messages", one of them')
        form = settings.form
        if "messages" in asked:
            if form == "raw":
                raise ValueError("messages are a chat, which form raw (--raw) turns off")
            return _chat(settings, _messages(asked["messages"]))
        text = asked["prompt"]
        if not isinstance(text, str) or not text.strip():
            raise ValueError("prompt must be a text, and not blank")
        if form == "chat" or (form == "auto" and self._answers):
            return _chat(settings, (Message(role="user", text=text),))
        return TextPrompt(text=text)


def _line_seed(seed: int, number: int, samples: int) -> int:
    """Return the seed of a line's first sample; sample i has this plus i.

    Equal prompts get different texts: no two lines share a seed, whatever the others ask for.
    """
    if samples == 1:
        return (seed + number - 1) % _SEEDS
    return (seed + _SAMPLED_SEEDS + (number - 1) * MOST_SAMPLES) % _SEEDS


def _chat(settings: Settings, messages: tuple[Message, ...]) -> ChatPrompt:
    if settings.system and messages[0].role != "system":
        messages = (Message(role="system", text=settings.system), *messages)
    return ChatPrompt(
        messages=messages,
        continue_last=messages[-1].role == "assistant",
        transcript=settings.transcript,
    )


def _messages(value: object) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("messages must be a list of messages, and not empty")
    return tuple(_message(item) for item in value)


def _message(item: object) -> Message:
    if not isinstance(item, dict):
        raise ValueError('a message must be an object with "role" and "content"')
    role = _ROLES.get(as_text(item.get("role")))
    if role is None:
        raise ValueError("the role of a message must be system, user or assistant")
    content = item.get("content")
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else None for part in content]
        if not all(isinstance(part, str) for part in parts):
            raise ValueError("the content of a message has parts that are no text")
        content = "".join(map(str, parts))
    if not isinstance(content, str):
        raise ValueError("the content of a message must be a text")
    return Message(role=role, text=content)


def line_logprobs(value: object) -> int | None:
    """Check a line's number of alternatives.

    Raises:
        ValueError: it is none.
    """
    if value is None or (type(value) is int and 0 <= value <= _MOST_LOGPROBS):
        return value
    raise ValueError(f"logprobs must be a whole number from 0 to {_MOST_LOGPROBS}")


def _hint(name: str) -> str:
    return did_you_mean(name, _KEYS) or "; see gptterm batch --help"

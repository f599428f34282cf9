"""The context budget: what a prompt loses when it and its reply do not fit together."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec

from gptterm.engine.api import ChatPrompt, GenerateRequest, Message, TextPrompt
from gptterm.engine.prompt.rendering import RenderedPrompt, render
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import PromptTooLongError, UsageError

_LONG_TOKEN = 32
"""Characters; few tokens have more."""
_STEP = 0.4
"""Of a chat's room, how much is given up at once."""
_FORM = 8
"""About how many tokens a chat's form takes for a message."""


@dataclass(frozen=True)
class FittedPrompt:
    """A prompt that fits.

    Attributes:
        prompt: as rendered, cut to size.
        max_tokens: most tokens of the reply, limited by what the context leaves.
        dropped_tokens, dropped_messages: what was cut away.
        notices: the same in words.
    """

    prompt: RenderedPrompt
    max_tokens: int
    dropped_tokens: int = 0
    dropped_messages: int = 0
    notices: tuple[str, ...] = ()


def fit(
    request: GenerateRequest, tokenizer: Tokenizer, context: int, vocab_size: int
) -> FittedPrompt:
    """Render a request's prompt within `context` tokens, the reply's room included.

    A text loses its oldest tokens, a chat whole oldest turns (and then the beginning of its last
    one). A chat loses many turns at once, down to about 60 % of its room, so that the turns that
    follow begin as this one and find their past in the cache. The reply's room is `max_tokens`,
    but never more than half the context: a prompt is not dropped for the sake of a reply that may
    never be that long.

    Raises:
        PromptTooLongError: it does not fit and the request forbids truncation.
        UsageError: the prompt is empty.
        ModelError: the model's chat template fails.
    """
    prompt = request.prompt
    rendered = render(prompt, tokenizer, vocab_size)
    length = len(rendered.ids)
    if not length:
        raise UsageError("the prompt is empty")
    room = max(1, min(request.max_tokens, context // 2))
    budget = context - room
    if length <= budget:
        return _fitted(rendered, request, context)
    if request.overflow == "error":
        raise PromptTooLongError(
            f"the prompt has {length} tokens and the reply may take {room}, but the model holds"
            f" {context}; shorten it, lower --max-tokens, or use --overflow truncate"
        )
    if isinstance(prompt, ChatPrompt):
        shortened = _TruncatedChat(prompt, rendered, tokenizer, vocab_size, budget)
        return _fitted(
            shortened.rendered,
            request,
            context,
            dropped_tokens=length - len(shortened.rendered.ids),
            dropped_messages=len(prompt.messages) - len(shortened.messages),
            cut=shortened.cut,
        )
    start = tokenizer.start_ids if isinstance(prompt, TextPrompt) else ()
    start = start if len(start) < budget else ()
    kept = [*start, *rendered.ids[length - (budget - len(start)) :]]
    return _fitted(replace(rendered, ids=kept), request, context, dropped_tokens=length - len(kept))


class _TruncatedChat:
    """A chat whose oldest turns are gone.

    Attributes:
        messages: what is left of it.
        rendered: the same as the model gets it.
        cut: whether one of the messages that are left has lost its beginning.

    Raises:
        PromptTooLongError: there is no room even for the end of its last message.
    """

    def __init__(
        self,
        prompt: ChatPrompt,
        rendered: RenderedPrompt,
        tokenizer: Tokenizer,
        vocab_size: int,
        budget: int,
    ) -> None:
        self.messages = prompt.messages
        self.rendered = rendered
        self._prompt = prompt
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._budget = budget
        has_system = prompt.messages[0].role == "system" and len(prompt.messages) > 1
        first = 1 if has_system else 0
        turns = _turns(prompt.messages, first)
        if len(turns) > 1:
            starts = self._starts(turns)
            # A search: a long chat has thousands of turns.
            found = bisect_left(
                starts[:-1], True, key=lambda turn: self._fits(self._without(first, turn))
            )
            self._render(self._without(first, starts[found]))
        self.cut = len(self.rendered.ids) > budget
        if self.cut:
            self._cut_last_turn(first)

    def _starts(self, turns: list[int]) -> list[int]:
        """The turns that a shortened chat may begin with.

        The first to begin in each stretch of `_STEP` of the room: which those are depends on the
        messages before them alone, so a chat that grows keeps its beginning for a while. After the
        last of them any turn may be the one, for chats of a few very long turns.
        """
        step = max(1.0, _STEP * self._budget)
        starts, stretch, position = [], 0, 0
        for turn, following in pairwise(turns):
            position += sum(map(self._size, self._prompt.messages[turn:following]))
            if position >= (stretch + 1) * step:
                stretch = int(position / step)
                starts.append(following)
        last = starts[-1] if starts else turns[0]
        return [*starts, *(turn for turn in turns if turn > last)]

    def _size(self, message: Message) -> int:
        """About how many tokens a message has. Exact counts need the whole chat around it."""
        return _FORM + len(message.ids or self._tokenizer.encode(message.text))

    def _without(self, first: int, turn: int) -> tuple[Message, ...]:
        """The system's text, and the messages from a turn on."""
        return (*self._prompt.messages[:first], *self._prompt.messages[turn:])

    def _fits(self, messages: tuple[Message, ...]) -> bool:
        self._render(messages)
        return len(self.rendered.ids) <= self._budget

    def _render(self, messages: tuple[Message, ...]) -> None:
        prompt = msgspec.structs.replace(self._prompt, messages=messages)
        self.messages = messages
        self.rendered = render(prompt, self._tokenizer, self._vocab_size)

    def _cut_last_turn(self, first: int) -> None:
        for position in range(first, len(self.messages)):
            if self._cut(position):
                return
        raise PromptTooLongError(
            f"the chat's system text and form alone take {len(self.rendered.ids)} tokens of the"
            f" {self._budget} that are left beside the reply; shorten it or lower --max-tokens"
        )

    def _cut(self, position: int) -> bool:
        """Drop as many of a message's first tokens as must be; returns whether that was enough."""
        if not self.messages[position].ids:
            self._cut_to_tail(position)
        message = self.messages[position]
        ids = list(message.ids) or self._tokenizer.encode(message.text)
        is_last = position == len(self.messages) - 1
        most = len(ids) - 1 if is_last else len(ids)
        cut = 0
        # Its neighbours may be encoded differently beside the rest: then a few more go.
        while cut < most:
            cut = min(most, cut + max(1, len(self.rendered.ids) - self._budget))
            text = self._tokenizer.decode(ids[cut:])
            shorter = msgspec.structs.replace(
                message,
                text=text if message.ids else text.lstrip("\N{REPLACEMENT CHARACTER}"),
                ids=message.ids[cut:],
            )
            if self._fits(self._with(position, shorter)):
                return True
        return False

    def _cut_to_tail(self, position: int) -> None:
        """Leave of a very long text an end with more tokens than can be kept, which is quick."""
        message = self.messages[position]
        size = _LONG_TOKEN * self._budget
        while size < len(message.text):
            tail = message.text[-size:]
            if len(self._tokenizer.encode(tail)) > self._budget:
                self._render(self._with(position, msgspec.structs.replace(message, text=tail)))
                return
            size *= 2

    def _with(self, position: int, message: Message) -> tuple[Message, ...]:
        return (*self.messages[:position], message, *self.messages[position + 1 :])


def _turns(messages: Sequence[Message], first: int) -> list[int]:
    """Where turns begin: a turn is a user's message with the replies to it."""
    later = (i for i in range(first + 1, len(messages)) if messages[i].role == "user")
    return [first, *later]


def _fitted(
    rendered: RenderedPrompt,
    request: GenerateRequest,
    context: int,
    *,
    dropped_tokens: int = 0,
    dropped_messages: int = 0,
    cut: bool = False,
) -> FittedPrompt:
    notices = []
    if dropped_tokens:
        what = "chat" if isinstance(request.prompt, ChatPrompt) else "prompt"
        whole = dropped_tokens + len(rendered.ids)
        first = f"first {dropped_tokens}" if dropped_tokens > 1 else "first"
        notices.append(
            f"the {what} is too long: the {first} of its {whole} tokens"
            f" {'were' if dropped_tokens > 1 else 'was'} dropped{_parts(dropped_messages, cut)}"
        )
    left = context - len(rendered.ids)
    if request.max_tokens > left:
        notices.append(f"the reply is limited to {left} tokens by the model's {context}")
    return FittedPrompt(
        rendered,
        min(request.max_tokens, left),
        dropped_tokens,
        dropped_messages,
        tuple(notices),
    )


def _parts(dropped_messages: int, cut: bool) -> str:
    """What of a chat was dropped, as the end of a sentence."""
    parts = []
    if dropped_messages:
        many = f"its {dropped_messages} oldest messages"
        parts.append(many if dropped_messages > 1 else "its oldest message")
    if cut:
        parts.append("the beginning of the message that is answered")
    return f": {' and '.join(parts)}" if parts else ""

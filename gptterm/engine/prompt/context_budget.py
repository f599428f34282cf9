"""Context budget: truncate a prompt so that it and its reply fit the context."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec

from gptterm.engine.api import ChatPrompt, GenerateRequest, Message, MixedPrompt, TextPrompt
from gptterm.engine.prompt.infill import Infill, infill
from gptterm.engine.prompt.mixed import MixedIds, mixed_ids
from gptterm.engine.prompt.rendering import RenderedPrompt, render
from gptterm.engine.text.infill_tokens import InfillTokens
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import PromptTooLongError, UsageError

_LONG_TOKEN = 32
"""Characters; few tokens are longer."""
_DROP_FRACTION = 0.4
"""Share of a chat's budget that is dropped at once."""
_TEMPLATE_TOKENS = 8
"""Rough number of tokens that a template adds to a message."""


@dataclass(frozen=True)
class FittedPrompt:
    """A rendered prompt that fits the context.

    Attributes:
        prompt: the rendered prompt, truncated.
        max_tokens: limit of the reply's tokens, within what the context leaves.
        dropped_tokens, dropped_messages: how many were dropped.
        notices: the same as sentences.
    """

    prompt: RenderedPrompt
    max_tokens: int
    dropped_tokens: int = 0
    dropped_messages: int = 0
    notices: tuple[str, ...] = ()


def fit(
    request: GenerateRequest, tokenizer: Tokenizer, context: int, vocab_size: int
) -> FittedPrompt:
    """Render a request's prompt so that it and its reply fit `context` tokens.

    Truncation drops the oldest tokens of a text, but not its memory and its note, and the oldest
    turns of a chat (then the beginning of its last one). A chat loses many turns at once, down to
    about 60 % of its budget, so that later prompts share this one's prefix and find it in the
    cache. The reply's reserve is `max_tokens`, but at most half the context: a prompt is not
    dropped for a reply that may never be that long.

    Raises:
        PromptTooLongError: it does not fit, and the request forbids truncation.
        UsageError: the prompt is empty.
        ModelError: the model's chat template fails.
    """
    prompt = request.prompt
    rendered = render(prompt, tokenizer, vocab_size)
    length = len(rendered.ids)
    if not length:
        raise UsageError("the prompt is empty")
    reserve = max(1, min(request.max_tokens, context // 2))
    budget = context - reserve
    if isinstance(prompt, MixedPrompt) and prompt.after and (signs := tokenizer.infill):
        before = mixed_ids(prompt, tokenizer, vocab_size)
        filled = infill(before, prompt.after, signs, tokenizer, budget)
        return _fitted_middle(filled, request, signs, context)
    if length <= budget:
        return _fitted(rendered, request, context)
    if request.overflow == "error":
        # A front end gives only the end of a long text: its length is not known here.
        many = f"more than {budget}" if isinstance(prompt, MixedPrompt) else f"{length}"
        raise PromptTooLongError(
            f"the prompt has {many} tokens and the reply may take {reserve}, but the model holds"
            f" {context}; shorten it, lower --max-tokens, or use --overflow truncate"
        )
    if isinstance(prompt, ChatPrompt):
        truncated = _TruncatedChat(prompt, rendered, tokenizer, vocab_size, budget)
        return _fitted(
            truncated.rendered,
            request,
            context,
            dropped_tokens=length - len(truncated.rendered.ids),
            dropped_messages=len(prompt.messages) - len(truncated.messages),
            cut=truncated.cut,
        )
    if isinstance(prompt, MixedPrompt) and rendered.kept:
        ids = mixed_ids(prompt, tokenizer, vocab_size)
        return _fitted_end(ids, rendered, request, context, budget)
    start = tokenizer.start_ids if isinstance(prompt, TextPrompt | MixedPrompt) else ()
    start = start if len(start) < budget else ()
    tail = [*start, *rendered.ids[length - (budget - len(start)) :]]
    seen = len(tail) - len(start) if isinstance(prompt, MixedPrompt) else None
    cut = replace(rendered, ids=tail)
    return _fitted(cut, request, context, dropped_tokens=length - len(tail), seen=seen)


def _fitted_end(
    ids: MixedIds, rendered: RenderedPrompt, request: GenerateRequest, context: int, budget: int
) -> FittedPrompt:
    """Keep the end of a text, with all of its memory and its note.

    Raises:
        PromptTooLongError: they leave no room for the text.
    """
    rest = budget - len(ids.front) - len(ids.note)
    if rest < 1:
        raise PromptTooLongError(
            f"the memory and the note have {ids.kept} tokens, and only {budget} are left beside"
            " the reply; shorten them or lower --max-tokens"
        )
    tail = replace(rendered, ids=ids.joined(rest))
    dropped = len(rendered.ids) - len(tail.ids)
    return _fitted(tail, request, context, dropped_tokens=dropped, seen=rest)


def _fitted_middle(
    filled: Infill, request: GenerateRequest, signs: InfillTokens, context: int
) -> FittedPrompt:
    """Tell what was dropped of the texts before and after a place.

    Raises:
        PromptTooLongError: something was, and the request forbids truncation.
    """
    rendered = RenderedPrompt(filled.ids, ends=signs.ends, kept=filled.kept)
    fitted = _fitted(rendered, request, context)
    if not filled.dropped:
        return fitted
    texts = "the texts before and after the place"
    if request.overflow == "error":
        raise PromptTooLongError(
            f"{texts} have more tokens than the model holds; shorten them or use --overflow"
            " truncate"
        )
    notice = f"{texts} are too long: the model sees the {filled.seen} tokens nearest to it"
    return replace(fitted, dropped_tokens=filled.dropped, notices=(notice, *fitted.notices))


class _TruncatedChat:
    """A chat without its oldest turns.

    Attributes:
        messages: the remaining messages.
        rendered: the remaining messages, rendered.
        cut: whether one of them has lost its beginning.

    Raises:
        PromptTooLongError: not even the end of the last message fits.
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
            # Binary search: a long chat has thousands of turns.
            found = bisect_left(
                starts[:-1], True, key=lambda turn: self._fits(self._without(first, turn))
            )
            self._render(self._without(first, starts[found]))
        self.cut = len(self.rendered.ids) > budget
        if self.cut:
            self._cut_last_turn(first)

    def _starts(self, turns: list[int]) -> list[int]:
        """Return the turns that a truncated chat may begin with.

        One per `_DROP_FRACTION` of the budget, which depends on the messages before it alone: a
        growing chat keeps its beginning for a while. After the last of them any turn may be the
        first, for chats of a few very long turns.
        """
        step = max(1.0, _DROP_FRACTION * self._budget)
        starts, stretch, position = [], 0, 0
        for turn, following in pairwise(turns):
            position += sum(map(self._size, self._prompt.messages[turn:following]))
            if position >= (stretch + 1) * step:
                stretch = int(position / step)
                starts.append(following)
        last = starts[-1] if starts else turns[0]
        return [*starts, *(turn for turn in turns if turn > last)]

    def _size(self, message: Message) -> int:
        """Estimate a message's tokens; an exact count would need the whole chat around it."""
        return _TEMPLATE_TOKENS + len(message.ids or self._tokenizer.encode(message.text))

    def _without(self, first: int, turn: int) -> tuple[Message, ...]:
        """Return the system message and the messages from a turn on."""
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
            f"the chat's system message and template alone take {len(self.rendered.ids)} tokens"
            f" of the {self._budget} that are left beside the reply; shorten it or lower"
            " --max-tokens"
        )

    def _cut(self, position: int) -> bool:
        """Drop as many of a message's first tokens as needed; return whether that sufficed."""
        if not self.messages[position].ids:
            self._cut_to_tail(position)
        message = self.messages[position]
        ids = list(message.ids) or self._tokenizer.encode(message.text)
        is_last = position == len(self.messages) - 1
        most = len(ids) - 1 if is_last else len(ids)
        cut = 0
        # The text beside the cut may be encoded differently: then a few more tokens go.
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
        """Shorten a very long text to an end of more tokens than fit: faster to encode."""
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
    """Return the first index of each turn: a user's message with the replies to it."""
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
    seen: int | None = None,
) -> FittedPrompt:
    """Tell what was dropped of a prompt.

    Args:
        seen: tokens that are left of a text whose length is not known.
    """
    notices = []
    if seen is not None:
        last = f"last {seen} tokens" if seen > 1 else "last token"
        notices.append(f"the text is too long: the model sees its {last}")
    elif dropped_tokens:
        what = "chat" if isinstance(request.prompt, ChatPrompt) else "prompt"
        whole = dropped_tokens + len(rendered.ids)
        first = f"first {dropped_tokens}" if dropped_tokens > 1 else "first"
        notices.append(
            f"the {what} is too long: the {first} of its {whole} tokens"
            f" {'were' if dropped_tokens > 1 else 'was'} dropped"
            f"{_describe_dropped(dropped_messages, cut)}"
        )
    if rendered.kept > context // 2:
        notices.append(
            f"the memory and the note take {rendered.kept} of the {context} tokens that the model"
            " sees: more than half"
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


def _describe_dropped(dropped_messages: int, cut: bool) -> str:
    """Describe the dropped parts of a chat, as the end of a notice."""
    parts = []
    if dropped_messages:
        many = f"its {dropped_messages} oldest messages"
        parts.append(many if dropped_messages > 1 else "its oldest message")
    if cut:
        parts.append("the beginning of the message that is answered")
    return f": {' and '.join(parts)}" if parts else ""

"""The context budget: what a prompt loses when it and its reply do not fit together."""

from bisect import bisect_left
from dataclasses import dataclass, replace

import msgspec

from gptterm.engine.api import (
    ChatPrompt,
    GenerateRequest,
    Message,
    TextPrompt,
    TokenPrompt,
)
from gptterm.engine.rendering import (
    Rendered,
    render_chat,
    render_text,
    render_tokens,
    without_oldest,
)
from gptterm.engine.tokenizer import Tokenizer
from gptterm.errors import PromptTooLongError, UsageError


@dataclass(frozen=True)
class Fitted:
    """A prompt that fits.

    Attributes:
        prompt: as rendered, cut to size.
        max_tokens: most tokens of the reply, limited by what the context leaves.
        dropped_tokens, dropped_messages: what was cut away.
        notices: the same in words.
    """

    prompt: Rendered
    max_tokens: int
    dropped_tokens: int = 0
    dropped_messages: int = 0
    notices: tuple[str, ...] = ()


def fit(request: GenerateRequest, tokenizer: Tokenizer, context: int, vocab_size: int) -> Fitted:
    """Render a request's prompt within `context` tokens, the reply's room included.

    A text loses its oldest tokens, a chat whole oldest turns (and then the beginning of its last
    message). The reply's room is `max_tokens`; where the context could not hold that many even
    alone, half of it.

    Raises:
        PromptTooLongError: it does not fit and the request forbids truncation.
        UsageError: the prompt is empty.
        ModelError: the model's chat template fails.
    """
    prompt = request.prompt
    rendered = _render(prompt, tokenizer, vocab_size)
    if not rendered.ids:
        raise UsageError("the prompt is empty")
    room = request.max_tokens if request.max_tokens < context else context // 2
    budget = context - room
    length = len(rendered.ids)
    if length <= budget:
        return _fitted(rendered, request, context)
    if request.overflow == "error":
        raise PromptTooLongError(
            f"the prompt has {length} tokens and the reply may take {room}, but the model holds"
            f" {context}; shorten it, lower --max-tokens, or use --overflow truncate"
        )
    if isinstance(prompt, ChatPrompt):
        return _fit_chat(prompt, rendered, request, tokenizer, context, budget)
    start = tokenizer.start_ids if isinstance(prompt, TextPrompt) else ()
    if len(start) >= budget:
        start = ()
    kept = [*start, *rendered.ids[length - (budget - len(start)) :]]
    dropped = length - len(kept)
    return _fitted(
        replace(rendered, ids=kept),
        request,
        context,
        dropped_tokens=dropped,
        notices=(f"the prompt is too long: its first {dropped} of {length} tokens were dropped",),
    )


def _render(
    prompt: TextPrompt | TokenPrompt | ChatPrompt, tokenizer: Tokenizer, vocab_size: int
) -> Rendered:
    if isinstance(prompt, ChatPrompt):
        return render_chat(prompt, tokenizer)
    if isinstance(prompt, TokenPrompt):
        return render_tokens(prompt, vocab_size)
    return render_text(prompt, tokenizer)


def _fit_chat(
    prompt: ChatPrompt,
    whole: Rendered,
    request: GenerateRequest,
    tokenizer: Tokenizer,
    context: int,
    budget: int,
) -> Fitted:
    def render(messages: tuple[Message, ...]) -> Rendered:
        return render_chat(msgspec.structs.replace(prompt, messages=messages), tokenizer)

    # The fewest turns are dropped that will do; a search, since a long chat has thousands.
    choices = without_oldest(prompt.messages)
    drop = bisect_left(choices[:-1], True, key=lambda messages: len(render(messages).ids) <= budget)
    messages = choices[drop]
    rendered = render(messages)
    dropped_messages = len(prompt.messages) - len(messages)
    if len(rendered.ids) > budget:
        last = messages[-1]
        ids = list(last.ids) or tokenizer.encode(last.text)
        excess = len(rendered.ids) - budget
        # Cutting at a token may make its neighbours encode differently: a few are given up more.
        while len(rendered.ids) > budget and excess < len(ids):
            shorter = msgspec.structs.replace(last, ids=tuple(ids[excess:]))
            rendered = render((*messages[:-1], shorter))
            excess += max(1, len(rendered.ids) - budget)
    if len(rendered.ids) > budget:
        raise PromptTooLongError(
            f"the chat's system text and form alone take {len(rendered.ids)} tokens of the"
            f" {budget} that are left beside the reply; shorten it or lower --max-tokens"
        )
    dropped = len(whole.ids) - len(rendered.ids)
    turns = f", {dropped_messages} oldest messages of it" if dropped_messages else ""
    return _fitted(
        rendered,
        request,
        context,
        dropped_tokens=dropped,
        dropped_messages=dropped_messages,
        notices=(f"the chat is too long: {dropped} tokens were dropped{turns}",),
    )


def _fitted(
    rendered: Rendered,
    request: GenerateRequest,
    context: int,
    *,
    dropped_tokens: int = 0,
    dropped_messages: int = 0,
    notices: tuple[str, ...] = (),
) -> Fitted:
    left = context - len(rendered.ids)
    if request.max_tokens > left:
        notices = (*notices, f"the reply is limited to {left} tokens by the model's {context}")
    return Fitted(
        rendered, min(request.max_tokens, left), dropped_tokens, dropped_messages, notices
    )

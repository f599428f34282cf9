"""The numbers of the last reply in view: rate, time to the first token, context, seed."""

from typing import NamedTuple

from gptterm.tui.state.controller import Controller


class ReplyNumbers(NamedTuple):
    """Numbers of a reply; None where unknown."""

    tokens_per_s: float | None = None
    first_token_s: float | None = None
    context: tuple[int, int] | None = None
    """Tokens of prompt and reply, and the limit."""
    seed: int | None = None
    prompt: tuple[int, int] | None = None
    """Tokens of the prompt that were found in the prefix cache, and all of them."""


def reply_numbers(controller: Controller) -> ReplyNumbers:
    """Return the numbers of the last reply in view; without one, the seed that is set."""
    chat, given = controller.chat, controller.settings.seed
    key = chat.tree.last_reply()
    if key is None:
        return ReplyNumbers(seed=given)
    if (reply := controller.last_reply_for(key)) is not None:
        started = reply.started
        return ReplyNumbers(
            reply.tokens_per_s,
            reply.first_token_s,
            reply.context,
            None if started is None else started.seed,
            None if started is None else (started.reused_tokens, started.prompt_tokens),
        )
    run, info = chat.tree.node(key).generation, controller.engine.info
    if run is None:
        return ReplyNumbers(seed=given)
    context = None
    is_own = info is not None and run.model == info.name
    if is_own and info is not None and info.context_length and run.usage is not None:
        context = run.usage.prompt_tokens + run.tokens, info.context_length
    timings, usage = run.timings, run.usage
    return ReplyNumbers(
        None if timings is None else timings.tokens_per_s or None,
        None if timings is None or not run.tokens else timings.first_token_s,
        context,
        run.seed,
        None if usage is None else (usage.reused_tokens, usage.prompt_tokens),
    )

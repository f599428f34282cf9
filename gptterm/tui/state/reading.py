"""Reading of a text by the loaded model: its tokens, and their scores as they come."""

import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from gptterm.conversation.token_map import Part, TurnToken, turn_tokens
from gptterm.engine.api import Prompt
from gptterm.engine.inspection.answers import Encoded, TokenScore, TokenScores
from gptterm.engine.inspection.requests import EncodeRequest, ScoreRequest
from gptterm.errors import GpttermError
from gptterm.tui.state.asking import ask, events_of

if TYPE_CHECKING:
    from gptterm.tui.state.engine_manager import Client

Ids = tuple[int, ...]
Turns = dict[str, tuple[TurnToken, ...]]


async def read_tokens(
    client: "Client", prompt: Prompt, marked: Prompt, messages: Sequence[Sequence[Part]]
) -> tuple[Ids, Turns]:
    """Return a prompt's ids, and the tokens that spell each part of its messages.

    Args:
        marked: the prompt with a mark in the place of each message; see `token_map`.

    Raises:
        GpttermError: the model cannot be asked.
    """
    found = await ask(client, EncodeRequest(prompt=prompt), Encoded)
    literals = await ask(client, EncodeRequest(prompt=marked), Encoded)
    pieces = tuple(piece.piece for piece in found.pieces)
    turns = turn_tokens(pieces, b"".join(p.piece for p in literals.pieces), messages)
    return tuple(piece.id for piece in found.pieces), dict(turns)


def still_valid(before: Ids, scores: Sequence[TokenScore], ids: Ids) -> list[TokenScore]:
    """Scores of the tokens that two readings begin with.

    Args:
        before: ids of the earlier reading, and its scores.
    """
    pairs = zip(before, ids, strict=False)
    same = next((i for i, (one, other) in enumerate(pairs) if one != other), len(ids))
    return list(scores[:same])


async def score_rest(
    client: "Client", ids: Ids, scores: list[TokenScore]
) -> AsyncGenerator[None, None]:
    """Score the tokens that have no score yet; yield after each part that came.

    Raises:
        GpttermError: the model cannot be asked.
    """
    request = ScoreRequest(ids=ids, start_token=False, first=len(scores))
    async with contextlib.aclosing(events_of(client, request)) as events:
        async for event in events:
            if isinstance(event, TokenScores):
                scores.extend(event.tokens)
                yield
    if len(scores) < len(ids):
        raise GpttermError("the engine has not scored all of the text")

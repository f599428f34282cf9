"""Asking an engine for inspections, and what transformers says of the same text."""

from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor

from gptterm.engine.api import Failed
from gptterm.engine.inspection.answers import (
    InspectionEvent,
    Progress,
    TokenScores,
    is_last,
)
from gptterm.engine.inspection.requests import InspectableEngine, InspectionRequest

R = TypeVar("R")


def events_of(engine: InspectableEngine, request: InspectionRequest) -> list[InspectionEvent]:
    """All events, of which only the last may be the last."""
    assert isinstance(engine, InspectableEngine)
    events = list(engine.inspect(request))
    assert [is_last(event) for event in events] == [False] * (len(events) - 1) + [True]
    return events


def result_of(engine: InspectableEngine, request: InspectionRequest, kind: type[R]) -> R:
    """The last event, which must be of this kind."""
    last = events_of(engine, request)[-1]
    assert isinstance(last, kind), last
    return last


def failure_of(engine: InspectableEngine, request: InspectionRequest) -> Failed:
    return result_of(engine, request, Failed)


def progress_of(events: list[InspectionEvent]) -> list[tuple[int, int]]:
    return [(event.done, event.total) for event in events if isinstance(event, Progress)]


def scores_of(events: list[InspectionEvent]) -> TokenScores:
    """The scores of all tokens, which must follow one another."""
    parts = [event for event in events if isinstance(event, TokenScores)]
    for part, following in pairwise(parts):
        assert part.first + len(part.tokens) == following.first
    tokens = tuple(token for part in parts for token in part.tokens)
    return TokenScores(first=parts[0].first, tokens=tokens)


@torch.inference_mode()
def reference_logits(model: Any, ids: list[int]) -> Tensor:
    """(n, vocabulary) float64 logits after each of the ids, by one pass."""
    logits: Tensor = model(torch.tensor([ids]), use_cache=False).logits[0]
    return logits.double()


def reference_rank(logits: Tensor, token_id: int) -> int:
    """1 + the tokens before it by descending logit, then ascending id."""
    order = logits.argsort(descending=True, stable=True)
    return int((order == token_id).nonzero()) + 1


def reference_ranks(logits: Tensor, token_id: int, slack: float = 2e-5) -> range:
    """Ranks that a token can have where each logit is computed to within half of `slack`.

    Two ways to compute logits differ in their last bits, by the CPU's instructions too.
    """
    own = logits[token_id]
    return range(
        int((logits > own + slack).sum()) + 1,
        int((logits >= own - slack).sum()) + 1,
    )

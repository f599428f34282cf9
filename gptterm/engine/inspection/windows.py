"""Windows over a text that is longer than the context."""

from collections.abc import Iterator
from typing import NamedTuple


class Window(NamedTuple):
    """One pass over a part of a text, whose first token is at position 0 for the model."""

    start: int
    """Index of the first token that is read."""
    first: int
    """Index of the first token that is scored; `end` is behind the last, which is not read."""
    end: int


def score_windows(length: int, context: int, stride: int) -> Iterator[Window]:
    """Windows that score each token of a text but the first, once.

    The first window scores as many tokens as it reads, each other one `stride`, after at least
    context - stride others. These are the rolling windows of lm-evaluation-harness
    (`get_rolling_token_windows`), of which `stride` = context has them disjoint, as perplexities
    are commonly reported.

    Args:
        length: of the text, with its start token.
        context: tokens that a window reads at most.
        stride: from 1 to `context`.
    """
    first = 1
    while first < length:
        end = min(first + (context if first == 1 else stride), length)
        yield Window(max(0, end - 1 - context), first, end)
        first = end


def view_start(end: int, context: int) -> int:
    """First position of the window in which a text is looked at up to `end`, not included.

    0 while the text fits. Behind that windows begin half a context apart, so that moving by a token
    seldom changes what was read.
    """
    if end <= context:
        return 0
    step = max(1, context // 2)
    return -(-(end - context) // step) * step

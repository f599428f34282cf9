"""Tokens of a text as an inspection shows them."""

from collections.abc import Sequence

from gptterm.engine.api import Alternative
from gptterm.engine.decoders.base import Logits
from gptterm.engine.sampling.chain import topk
from gptterm.engine.text.tokenizer import Tokenizer


class TextPieces:
    """Bytes of a text's tokens, by their place: some tokenizers drop a space at its beginning."""

    def __init__(self, tokenizer: Tokenizer, ids: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self._ids = ids
        special = tokenizer.special_ids
        self._beginning = next((i for i, id_ in enumerate(ids) if id_ not in special), 0)

    def __getitem__(self, index: int) -> bytes:
        first = index == self._beginning
        spell = self._tokenizer.first_piece if first else self._tokenizer.piece
        return spell(self._ids[index])


def best_tokens(
    row: Logits, log_total: float, tokenizer: Tokenizer, limit: int
) -> tuple[Alternative, ...]:
    """The most probable tokens of a (vocabulary,) row of logits, best first.

    Args:
        log_total: see `RowStatistics`.
    """
    if not limit:
        return ()
    best = topk(row, limit)
    columns = zip(best.tolist(), row[best].tolist(), strict=True)
    return tuple(
        Alternative(id=id_, piece=tokenizer.piece(id_), logprob=logit - log_total)
        for id_, logit in columns
    )

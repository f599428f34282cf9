"""Biases and bans of words, as those of the tokens that may come next."""

from collections.abc import Sequence

import msgspec

from gptterm.engine.api import MOST_WORD, SamplingParams
from gptterm.engine.text.tokenizer import Tokenizer

_TAIL = 4 * MOST_WORD + 8
"""Bytes of the text that are read, of at least one a token: a character has at most 4."""


def for_next_token(
    params: SamplingParams, ids: Sequence[int], tokenizer: Tokenizer
) -> SamplingParams:
    """Return the samplers of the token behind some ids, with biases of tokens alone.

    A bias is added to the logit of each token that would complete the word. One that is to make a
    word likelier is also added to the longest token that goes on with it where none completes it.
    """
    if not params.word_bias:
        return params
    text = _tail(ids, tokenizer)
    found = tokenizer.word_completions
    biases = list(params.logit_bias)
    for word, value in params.word_bias:
        completing = found.completing(word, text)
        biases += [(token_id, value) for token_id in sorted(completing)]
        if value > 0 and (token_id := found.going_on(word, text)) is not None:
            biases.append((token_id, value))
    return msgspec.structs.replace(params, logit_bias=tuple(biases), word_bias=())


def _tail(ids: Sequence[int], tokenizer: Tokenizer) -> bytes:
    """The bytes of the last tokens, as far back as a word can reach or a token is no text.

    What fills the middle goes on with the text before it.
    """
    pieces: list[bytes] = []
    at, length, signs = len(ids), 0, tokenizer.infill
    while at > 0 and length <= _TAIL and len(pieces) <= _TAIL:
        at -= 1
        if signs is not None and ids[at] == signs.middle:
            # The text before the middle ends where that behind it begins.
            at = next((i for i in range(at - 1, 0, -1) if ids[i] == signs.suffix), 0)
        elif ids[at] in tokenizer.special_ids:
            break
        else:
            pieces.append(tokenizer.piece(ids[at]))
            length += len(pieces[-1])
    return b"".join(reversed(pieces))

"""Tap: shows what happens inside a decoder while it is fed.

A forward pass without a tap does nothing for it. With one, the step that the architecture's page is
given is a `TappedStep`, which passes on what the page shows of its residual stream and recomputes
attention weights from queries and cached keys: the kernels never form them.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.decoders.attention_step import AttentionStep, Point
from gptterm.engine.decoders.base import Cache, Decoder, Ids, Logits
from gptterm.engine.decoders.layers import Array

Floats = NDArray[np.float32]
AttentionWeights = Callable[[], Floats]
"""Computes (heads, n, positions) attention weights of n new tokens; each row sums to 1."""


class Tap(Protocol):
    """Receives what a forward pass of n tokens shows."""

    def residual(self, layer: int, point: Point, x: Floats) -> None:
        """(n, hidden_size) numbers of the residual stream, which the tap may keep.

        Layer L of L layers, at its input, is what the final norm and the LM head read.
        """
        ...

    def attention(self, layer: int, weights: AttentionWeights) -> None:
        """Attention weights of a layer, to be computed during this call or never."""
        ...


class Observable(Decoder, Protocol):
    """A decoder that can be observed."""

    @property
    def num_layers(self) -> int: ...

    @property
    def num_heads(self) -> int:
        """Heads of the queries, the same in every layer."""
        ...

    @property
    def attention_refusal(self) -> str:
        """Why a tap is given no attention weights; empty if it is."""
        ...

    @property
    def lens_refusal(self) -> str:
        """Why `unembed` cannot be asked; empty if it can."""
        ...

    def observe(self, ids: Ids, cache: Cache, tap: Tap) -> None:
        """Feed (1, n) ids as `Decoder.forward` does, and show the pass to a tap."""
        ...

    def unembed(self, residual: Floats) -> Logits:
        """(m, hidden_size) residuals of any layer → (m, vocab_size) logits.

        The final norm and the LM head, as the last layer's go through them (nostalgebraist,
        "interpreting GPT: the logit lens", 2020).
        """
        ...


class TappedStep(AttentionStep):
    """A step that shows itself to a tap.

    Args:
        keys: computes (kv_heads, positions, head_dim) keys of a layer, the new tokens' included.
        host: converts the backend's arrays to float32 on the host.
    """

    def __init__(
        self,
        step: AttentionStep,
        tap: Tap,
        keys: Callable[[int], Floats],
        host: Callable[[Array], Floats],
    ) -> None:
        self._step, self._tap, self._keys, self._host = step, tap, keys, host
        self.rows = step.rows

    @property
    def positions(self) -> Array:
        return self._step.positions

    def tap(self, layer: int, point: Point, x: Array) -> None:
        self._tap.residual(layer, point, self._copy(x))

    def attend(self, layer: int, query: Array, key: Array, value: Array, **how: Any) -> Array:
        kept = self._copy(query)
        attended = self._step.attend(layer, query, key, value, **how)
        self._tap.attention(layer, lambda: attention_weights(kept, self._keys(layer), **how))
        return attended

    def commit(self) -> None:
        self._step.commit()

    def _copy(self, x: Array) -> Floats:
        return np.array(self._host(x), np.float32)


def attention_weights(
    query: Floats,
    keys: Floats,
    *,
    scale: float | None = None,
    window: int | None = None,
    soft_cap: float | None = None,
    bias: Floats | None = None,
) -> Floats:
    """Softmax of masked, scaled dot products; arguments as those of `AttentionStep.attend`.

    Args:
        query: (n, heads · head_dim), of the last n positions.
        keys: (kv_heads, positions, head_dim).

    Returns:
        (heads, n, positions), 0 where a token does not attend.
    """
    kv_heads, count, head_dim = keys.shape
    n = len(query)
    heads = query.reshape(n, kv_heads, -1, head_dim).transpose(1, 2, 0, 3)
    scores = heads @ keys[:, None].swapaxes(2, 3)
    scores *= np.float32(head_dim**-0.5 if scale is None else scale)
    if soft_cap is not None:
        scores = np.float32(soft_cap) * np.tanh(scores / np.float32(soft_cap))
    if bias is not None:
        scores += np.asarray(bias, np.float32)[:, :count].reshape(kv_heads, -1, 1, count)
    own, column = np.arange(count - n, count)[:, None], np.arange(count)
    hidden = column > own
    if window is not None:
        hidden |= column <= own - window
    scores[..., hidden] = -np.inf
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    weights: Floats = scores.reshape(-1, n, count)
    return weights

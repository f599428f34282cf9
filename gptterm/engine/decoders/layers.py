"""Layers that a decoder is built of, as its page sees them: either backend makes them.

An architecture's page names weights and hands arrays from one layer to the next. What the arrays
are, and what computes, is up to the backend: `kernel_backend` (the C kernels, on a CPU) or
`torch_backend` (GPUs, and CPUs without kernels).
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from gptterm.engine.decoders.config_values import ActivationName
from gptterm.engine.decoders.rotary import Rotary as RotarySettings

Array = Any
"""Numbers of a backend: a NumPy array or a torch tensor."""


class Embedding(Protocol):
    """Table of vectors."""

    def __call__(self, index: Array, residual: Array | None = None) -> Array:
        """(m,) integers → (m, width), with `residual` of that shape added."""
        ...


class LayerNorm(Protocol):
    """Layer normalisation (Ba et al., 2016)."""

    def __call__(self, x: Array) -> Array:
        """(m, width) → the same shape."""
        ...


class Activation(Protocol):
    """Function of each number on its own."""

    def __call__(self, x: Array, /) -> Array:
        """(m, width) → the same shape; may overwrite its input."""
        ...


class Gate(Protocol):
    """Activation of one half of a gated MLP, times the other (Shazeer, 2020)."""

    def __call__(self, gate: Array, up: Array, /) -> Array:
        """(m, width) each → the same shape; may overwrite `gate`."""
        ...


class Rotary(Protocol):
    """Rotary embedding (Su et al., 2021): where a token is, in its queries and keys."""

    def __call__(self, positions: Array) -> Callable[[Array], Array]:
        """(m,) positions, or (1,) of all rows → function of (m, heads · head_dim) queries or keys.

        It returns the same shape, and may overwrite its input.
        """
        ...


class LinearLayer(Protocol):
    """x · W + b."""

    def __call__(self, x: Array, residual: Array | None = None) -> Array:
        """(m, in) → (m, out), with `residual` of that shape added."""
        ...


class LinearGroup(Protocol):
    """Linear layers with the same input."""

    def __call__(self, x: Array) -> list[Array]:
        """(m, in) → (m, out) of each layer."""
        ...


class FusedLinear:
    """Several linear layers with the same input, whose weights lie side by side.

    Args:
        outputs: of each of them.
    """

    def __init__(self, layer: LinearLayer, outputs: Sequence[int]) -> None:
        self._layer = layer
        ends = [sum(outputs[: i + 1]) for i in range(len(outputs))]
        starts = [0, *ends]
        self._columns = [(slice(None), slice(a, b)) for a, b in zip(starts, ends, strict=False)]

    def __call__(self, x: Array) -> list[Array]:
        """(m, in) → (m, out) of each layer, as views."""
        y = self._layer(x)
        return [y[columns] for columns in self._columns]


class GroupedLinear:
    """Fused queries, keys and values, a group of heads after the other.

    Args:
        layer: its outputs are those of each group's query heads, then of its key, then of its
            value.
        groups: heads of keys and values.
    """

    def __init__(self, layer: LinearLayer, groups: int, head_dim: int) -> None:
        self._layer, self._shape = layer, (groups, -1, head_dim)

    def __call__(self, x: Array) -> tuple[Array, Array, Array]:
        """(m, in) → (m, heads · head_dim) queries, (m, groups · head_dim) keys and values."""
        rows = len(x)
        y = self._layer(x).reshape(rows, *self._shape)
        parts = y[:, :, :-2], y[:, :, -2], y[:, :, -1]
        query, key, value = (part.reshape(rows, -1) for part in parts)
        return query, key, value


class LayerMaker(Protocol):
    """Makes layers by the names of their weights, for one device and dtype.

    Every method raises ModelError if a weight is missing or has another shape.
    """

    def embedding(self, name: str, rows: int, width: int) -> Embedding:
        """Table stored (rows, width)."""
        ...

    def norm(self, name: str, width: int, epsilon: float) -> LayerNorm:
        """Layer normalisation with `name.weight` and `name.bias`."""
        ...

    def rms_norm(self, name: str, width: int, epsilon: float, *, above: float = 0) -> LayerNorm:
        """Root mean square normalisation of each `width` numbers of a row.

        Args:
            above: added to `name.weight`.
        """
        ...

    def rotary(self, settings: RotarySettings, head_dim: int) -> Rotary: ...

    def activation(self, name: ActivationName) -> Activation: ...

    def gate(self, name: ActivationName) -> Gate: ...

    def soft_cap(self, bound: float) -> Activation:
        """bound · tanh(x / bound)."""
        ...

    def conv1d(self, name: str, inputs: int, outputs: int) -> LinearLayer:
        """x · W + b with W stored (in, out), as in OpenAI's files: a convolution of width 1."""
        ...

    def linear(self, name: str, inputs: int, outputs: int, *, bias: bool = True) -> LinearLayer:
        """x · Wᵀ + b with W stored (out, in)."""
        ...

    def group(self, *layers: LinearLayer) -> LinearGroup:
        """Layers of this maker with the same input, computed side by side."""
        ...

    def lm_head(
        self, name: str, inputs: int, outputs: int, *, bias: str | None = None
    ) -> LinearLayer:
        """x · Wᵀ + b with W stored (vocabulary, in), which may be the token embedding.

        Args:
            bias: name of b; None if there is none.
        """
        ...

    def distance_bias(self, slopes: Sequence[float], positions: int) -> Array:
        """Biases of attention by position: (heads, positions), slope · position (ALiBi)."""
        ...

"""Layers on the C kernels, from a model's weights.

Weights stay views into the mapped files where the dtype allows it: nothing is copied or converted
at start-up. The kernels sum in float32, whatever the weights' dtype.
"""

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.decoders.adapted_weights import AdaptedWeights
from gptterm.engine.decoders.config_values import ActivationName
from gptterm.engine.decoders.gguf_weights import GgufWeights
from gptterm.engine.decoders.int8_weights import Int8Weights
from gptterm.engine.decoders.layers import LinearLayer
from gptterm.engine.decoders.rotary import Rotary as RotarySettings
from gptterm.engine.decoders.weights import Weights
from gptterm.engine.item_sizes import default_cache_dtype
from gptterm.engine.kernels.blocks import FORMATS, WIDE, blocks, widened
from gptterm.engine.kernels.compiled import Floats
from gptterm.engine.kernels.elementwise import Activation, LayerNorm, RMSNorm, Rotation
from gptterm.engine.kernels.linear import Linear, LinearGroup, float32, half, int8
from gptterm.engine.kernels.packed_memory import PackedMemory
from gptterm.engine.runtime.memory import FilePages
from gptterm.engine.stored_tensor import BlockTensor, StoredTensor


class Embedding:
    """Table of vectors, whose rows are converted as they are looked up."""

    def __init__(self, table: StoredTensor) -> None:
        self._table = table
        self.width = table.shape[1]

    def __call__(self, index: NDArray[np.int64], residual: Floats | None = None) -> Floats:
        """(m,) integers → (m, width) float32, with `residual` of that shape added.

        Raises:
            IndexError: the table has no such row.
        """
        rows: Floats = self._table.take(index)
        if residual is not None:
            rows += residual
        return rows


class Rotary:
    """Rotary embedding, whose angles are computed for the positions of each step.

    In float32, as in transformers: an angle's rounding grows with the position.
    """

    def __init__(self, settings: RotarySettings, head_dim: int) -> None:
        self._frequencies = np.array(settings.frequencies(head_dim), np.float32)
        self._magnitude = np.float32(settings.magnitude)
        self.half = len(self._frequencies)
        self.neighbours = settings.neighbours
        self._head_dim = head_dim

    def __call__(self, positions: NDArray[np.int64]) -> Rotation:
        """(m,) positions → the rotation of their queries and keys."""
        return Rotation(*self.angles(positions), self._head_dim, neighbours=self.neighbours)

    def angles(self, positions: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """(m,) positions → (m, half) cosines and sines."""
        angles = positions.astype(np.float32)[:, None] * self._frequencies
        cosine, sine = np.cos(angles), np.sin(angles)
        if self._magnitude != 1:
            cosine *= self._magnitude
            sine *= self._magnitude
        return cosine, sine


class SwitchedRotary(Rotary):
    """Rotary embedding of which longer texts have another, from their first token on.

    A token beyond the switch is one of a longer text; those before it are, too, while
    `is_long` is set, which each thread sets for itself.
    """

    def __init__(self, settings: RotarySettings, head_dim: int) -> None:
        assert settings.reach is not None
        assert settings.beyond is not None
        super().__init__(settings, head_dim)
        self.switch = settings.reach
        self._beyond = Rotary(settings.beyond, head_dim)
        self._thread = threading.local()

    @property
    def is_long(self) -> bool:
        return getattr(self._thread, "is_long", False)

    @is_long.setter
    def is_long(self, value: bool) -> None:
        self._thread.is_long = value

    def angles(self, positions: NDArray[np.int64]) -> tuple[Floats, Floats]:
        beyond = positions >= self.switch
        if self.is_long or beyond.all():
            return self._beyond.angles(positions)
        cosine, sine = super().angles(positions)
        if beyond.any():
            cosine[beyond], sine[beyond] = self._beyond.angles(positions[beyond])
        return cosine, sine


class SoftCap:
    """bound · tanh(x / bound)."""

    def __init__(self, bound: float) -> None:
        self._bound = np.float32(bound)

    def __call__(self, x: Floats) -> Floats:
        """Of any shape, in place."""
        x /= self._bound
        np.tanh(x, out=x)
        x *= self._bound
        return x


class KernelLayers:
    """Implements `LayerMaker`.

    Args:
        dtype: of the weights in memory: float32, bfloat16, float16 or int8; `stored` is that of
            each weight in its file.
        int8_weights: supplies the weights of int8 layers.

    Attributes:
        cache_dtype: of keys and values, unless asked for another.
        switched: the rotary embedding, where longer texts have another.
    """

    def __init__(
        self,
        weights: Weights | GgufWeights | AdaptedWeights,
        dtype: str,
        int8_weights: Int8Weights | None,
    ) -> None:
        self._weights = weights
        self._int8_weights = int8_weights or Int8Weights()
        self._dtype = dtype
        self._pages = FilePages()
        self._memory = PackedMemory()
        self._widened: set[str] = set()
        self._converts = self.dtype != "float32"
        # float16 halves what a step reads of a long context; more precise than bfloat16, and than
        # int8 needs.
        self.cache_dtype = default_cache_dtype(self.dtype)
        self.switched: SwitchedRotary | None = None

    @property
    def dtype(self) -> str:
        """Of the weights in memory: where they are of several, what most numbers are in."""
        return self._weights.main_type if self._dtype == "stored" else self._dtype

    @property
    def notices(self) -> tuple[str, ...]:
        """Lines for the user, about weights in another form than their file's."""
        if not self._widened:
            return ()
        kinds = ", ".join(sorted(self._widened))
        return (f"{kinds}: widened to 8 bits, as this version computes with no smaller form of it",)

    def embedding(self, name: str, rows: int, width: int) -> Embedding:
        return Embedding(self._weights.get(name, rows, width))

    def norm(self, name: str, width: int, epsilon: float) -> LayerNorm:
        weight, bias = (self._vector(f"{name}.{kind}", width) for kind in ("weight", "bias"))
        return LayerNorm(weight, bias, epsilon)

    def rms_norm(self, name: str, width: int, epsilon: float, *, above: float = 0) -> RMSNorm:
        weight = self._vector(f"{name}.weight", width)
        return RMSNorm(weight + np.float32(above) if above else weight, epsilon)

    def rotary(self, settings: RotarySettings, head_dim: int) -> Rotary:
        if settings.beyond is None:
            return Rotary(settings, head_dim)
        self.switched = SwitchedRotary(settings, head_dim)
        return self.switched

    def activation(self, name: ActivationName) -> Activation:
        return Activation(name)

    def gate(self, name: ActivationName) -> Activation:
        return Activation(name)

    def soft_cap(self, bound: float) -> SoftCap:
        return SoftCap(bound)

    def conv1d(self, name: str, inputs: int, outputs: int) -> Linear:
        weight = self._weights.get(f"{name}.weight", inputs, outputs)
        return self._linear(name, weight.T, self._vector(f"{name}.bias", outputs))

    def linear(self, name: str, inputs: int, outputs: int, *, bias: bool = True) -> Linear:
        weight = self._weights.get(f"{name}.weight", outputs, inputs)
        return self._linear(name, weight, self._vector(f"{name}.bias", outputs) if bias else None)

    def group(self, *layers: LinearLayer) -> LinearGroup:
        linears = [layer for layer in layers if isinstance(layer, Linear)]
        assert len(linears) == len(layers)
        return LinearGroup(linears)

    def lm_head(self, name: str, inputs: int, outputs: int, *, bias: str | None = None) -> Linear:
        vector = None if bias is None else self._vector(bias, outputs)
        return self._linear(name, self._weights.get(name, outputs, inputs), vector)

    def distance_bias(self, slopes: Sequence[float], positions: int) -> Floats:
        return np.outer(np.array(slopes, np.float32), np.arange(positions, dtype=np.float32))

    def release_pages(self) -> None:
        """Release the pages of converted weights; to be called once all layers are made."""
        if self._converts:
            for weight in self._weights:
                self._pages.release(weight.array)

    def _vector(self, name: str, size: int) -> Floats:
        vector: Floats = self._weights.get(name, size).converted("float32")
        # It lies on the same pages as weights that are released after conversion.
        return vector.copy() if self._converts else vector

    def _linear(self, name: str, weight: StoredTensor, bias: Floats | None) -> Linear:
        """A layer of (out, in) weights."""
        dtype = self._dtype
        if dtype == "stored":
            if isinstance(weight, BlockTensor):
                return self._blocks(weight, bias)
            dtype = weight.dtype if weight.dtype in ("float16", "bfloat16") else "float32"
        if dtype == "float32":
            return float32(weight.converted("float32"), bias)
        if dtype == "int8":
            packed, scales = self._int8_weights.get(name, weight)
            self._pages.release(weight.array)
            return int8(packed, scales, weight.shape[1], bias)
        return half(weight, dtype, bias, self._pages.release, self._memory.allocate)

    def _blocks(self, weight: BlockTensor, bias: Floats | None) -> Linear:
        """A layer of weights in blocks; of types without a kernel, in 8 bits."""
        kind, rows, order = weight.dtype, weight.array, weight.order
        if kind not in FORMATS:
            self._widened.add(kind)
            rows = widened(weight.unpack, rows)
            kind = WIDE
        release, allocate = self._pages.release, self._memory.allocate
        return blocks(kind, weight.width, rows, bias, order, release, allocate)

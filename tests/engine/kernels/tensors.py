"""The kernels' wrappers on tensors, in which what they are compared with is written."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gptterm.engine.kernels.attention import Attention, KVLayout
from gptterm.engine.kernels.elementwise import (
    Activation,
    LayerNorm,
    RMSNorm,
    Rotation,
)
from gptterm.engine.kernels.linear import Linear
from gptterm.engine.stored_tensor import StoredTensor


def stored(tensor: Tensor) -> StoredTensor:
    """As a file would hold it."""
    name = str(tensor.dtype).removeprefix("torch.")
    if tensor.dtype is torch.bfloat16:
        return StoredTensor(tensor.view(torch.int16).numpy().view(np.uint16), name)
    return StoredTensor(tensor.numpy(), name)


def array(tensor: Tensor | None) -> Any:
    return None if tensor is None else stored(tensor).array


class Layer:
    """`Linear` on tensors."""

    def __init__(self, linear: Linear) -> None:
        self.linear = linear

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        return torch.from_numpy(self.linear(array(x), array(residual)))


def norm(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """`LayerNorm` with an epsilon of 1e-5."""
    return torch.from_numpy(LayerNorm(array(weight), array(bias), 1e-5)(array(x)))


def rms_norm(weight: Tensor, x: Tensor) -> Tensor:
    """`RMSNorm` with an epsilon of 1e-5."""
    return torch.from_numpy(RMSNorm(array(weight), 1e-5)(array(x)))


def rotated(x: Tensor, angles: Tensor, head_dim: int, *, neighbours: bool = False) -> Tensor:
    """`Rotation` by (m, half) angles, in place."""
    turn = Rotation(array(angles.cos()), array(angles.sin()), head_dim, neighbours=neighbours)
    return torch.from_numpy(turn(array(x)))


def activated(name: str, x: Tensor, up: Tensor | None = None) -> Tensor:
    """`Activation`, in the place of `x`."""
    return torch.from_numpy(Activation(name)(array(x), array(up)))


def layout(keys: list[Tensor], values: list[Tensor]) -> KVLayout:
    return KVLayout([*map(array, keys)], [*map(array, values)])


class TensorAttention:
    """`Attention` on tensors."""

    def __init__(
        self,
        kv: KVLayout,
        positions: Tensor,
        *,
        same_sequence: bool,
        groups: int = 1,
        shared: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self._attention = Attention(
            kv, array(positions), heads=groups * kv.kv_heads, same_sequence=same_sequence,
            shared=None if shared is None else (array(shared[0]), array(shared[1])),
        )  # fmt: skip

    def __call__(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        scale: float | None,
        window: int | None,
        soft_cap: float | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        rows = array(query), array(key), array(value)
        attended = self._attention(layer, *rows, scale, window, soft_cap, array(bias))
        return torch.from_numpy(attended)

"""Linear layers: one for each way of keeping the weights.

At batch 1 a layer's time is the time to read its weights, so the kernel matters: measured on two
CPU cores for all layers of one GPT-2 124M token, `F.linear` takes 35 ms in float32, `addmm` on
(in, out) weights and `mv` on (out, in) ones 17 ms, which is all the memory gives.

What did not pay for 16 bits (one core, one token, all layers): `F.linear` and `mv` on plain
weights, 32 to 35 ms in bfloat16 and float16, against 23 ms packed by oneDNN and 26 ms by FBGEMM.
"""

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from gptterm.errors import ModelError

Linear = Callable[[Tensor], Tensor]
"""(m, in) → (m, out)."""


class Packed(Protocol):
    """A layer that is of use once its weights are packed for their kernel.

    Packing is most of a start's time, and layers can be packed side by side.
    """

    def __call__(self, x: Tensor) -> Tensor: ...

    @property
    def size(self) -> int:
        """Numbers in the weights, by which the work of packing goes."""
        ...

    def pack(self) -> None: ...


def plain(weight: Tensor, bias: Tensor | None) -> Linear:
    """x · W + b with W as GPT-2's files hold it, (in, out): no copy is made of a mapped file."""
    if bias is None:
        return lambda x: x @ weight
    return lambda x: torch.addmm(bias, x, weight)


def plain_head(weight: Tensor) -> Linear:
    """x · Wᵀ with W (vocabulary, in), shared with the token embedding."""
    if weight.device.type != "cpu":
        return lambda x: F.linear(x, weight)
    return lambda x: torch.mv(weight, x[0]).unsqueeze(0) if len(x) == 1 else F.linear(x, weight)


class Bfloat16:
    """bfloat16 weights (out, in) in oneDNN's own blocked layout; activations are bfloat16 too."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight = weight
        self._bias = bias
        self.size = weight.numel()

    def pack(self) -> None:
        weight = self._weight.to(torch.bfloat16).contiguous()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, 1)

    def __call__(self, x: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(
            x, self._weight, self._bias, "none", [], ""
        )
        return product


class Float16:
    """float16 weights (out, in), float32 arithmetic (FBGEMM).

    FBGEMM rounds the weights one by one: 2.3 s of one core for GPT-2 124M, whatever dtype they
    come in, and its packed form cannot be kept in a file.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self._weight: Tensor | None = weight
        self._bias = bias
        self.size = weight.numel()

    def pack(self) -> None:
        assert self._weight is not None
        weight = self._weight.float().contiguous()
        self._packed = torch.ops.quantized.linear_prepack_fp16(weight, self._bias)
        self._weight = None

    def __call__(self, x: Tensor) -> Tensor:
        product: Tensor = torch.ops.quantized.linear_dynamic_fp16(x, self._packed)
        return product


def check_kernels(dtype: str) -> None:
    """See to it that this CPU has the kernels for weights kept in a dtype.

    Raises:
        ModelError: it has not.
    """
    if dtype in ("int8", "float16"):
        if "fbgemm" not in torch.backends.quantized.supported_engines:
            raise ModelError(
                f"{dtype} on a CPU needs FBGEMM, that is x86-64 with AVX2; --dtype float32 works"
                " everywhere"
            )
        # The other engines pack to something of their own; FBGEMM's is the fastest at one row.
        torch.backends.quantized.engine = "fbgemm"
    if dtype == "bfloat16" and not torch._C._has_mkldnn:
        raise ModelError(
            "bfloat16 on a CPU needs a torch with oneDNN; --dtype float32 works everywhere"
        )

"""Linear layers at one row: one class per way of keeping the weights.

At batch 1 a layer's time is the time to read its weights, so the kernel matters: measured on two
CPU cores for all layers of one GPT-2 124M token, `F.linear` takes 35 ms in float32, `addmm` on
(in, out) weights and `mv` on (out, in) ones 17 ms, which is all the memory gives.
"""

import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Linear = Callable[[Tensor], Tensor]
"""(m, in) → (m, out)."""


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


def prepacked(weight: Tensor, bias: Tensor | None) -> Linear:
    """Weights (out, in) in oneDNN's own blocked layout: what bfloat16 needs to be fast on a CPU."""
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), 1)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")


def half(weight: Tensor, bias: Tensor | None) -> Linear:
    """float16 weights (out, in), float32 arithmetic (FBGEMM)."""
    packed = torch.ops.quantized.linear_prepack_fp16(weight.float().contiguous(), bias)
    return lambda x: torch.ops.quantized.linear_dynamic_fp16(x, packed)


def int8(weight: Tensor, bias: Tensor | None) -> Linear:
    """int8 weights (out, in), one scale per output, activations quantised per call (FBGEMM)."""
    weight = weight.float()
    scales = weight.abs().amax(1).clamp_min(1e-8) / 127
    zeros = torch.zeros(len(weight), dtype=torch.int64)
    with warnings.catch_warnings(action="ignore"):  # it is deprecated, and the kernel needs it
        quantised = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(quantised, bias)
    # reduce_range: FBGEMM's 16-bit sums would saturate with 8-bit activations on older CPUs.
    return lambda x: torch.ops.quantized.linear_dynamic(x, packed, True)

"""Linear layers with int8 weights: one scale an output channel, activations in two halves.

At one row int8 weights cost a quarter of float32's time to read. What costs fidelity is not they
but the activations: a row of them has a few values thirty times the others' size, and 8 bits for
the row leave little of the rest. Mean KL divergence from float32 over 160 tokens of English, of a
trained model of 135M parameters, all linear layers and the head in int8:

| activations kept as | nats a token |
|---|---|
| float32 | 0.005 |
| 7 bits, one scale for all rows (FBGEMM's own, safe on every CPU) | 1.1 |
| 8 bits, one scale for all rows | 0.56 |
| 7 bits, a scale a row | 0.14 |
| 8 bits, a scale a row | 0.038 |
| 7 bits a row, and 7 bits for what is left over | 0.005 |

So each row goes through the kernel twice: rounded to 7 bits, and the remainder of the rounding
to 7 bits of its own. While reading the weights is the limit a second row costs next to nothing
(one core, all layers of GPT-2 124M: 11.6 ms for one row, 13.0 ms for two). With the rounding
around it a step of the whole model takes 16.4 ms instead of 12.6. 7 bits, because sums
of two 8-bit products saturate on CPUs without VNNI. All sums are integers and exact: a row gives
the same bits alone and among others.

What did not pay (the same measure, ms at 1, 2, 4, 16 rows; FBGEMM 11.6, 13.0, 15.3, 22.5):
`_int_mm`, which reads plain weights and so could map them from a file without packing, 11.2, 18.5,
19.3, 24.4; the x86 engine 11.9, 14.0, 16.7, 24.1; `_weight_int8pack_mm`, which keeps bfloat16
activations, 20 ms at 1 row and 84 ms at 16.
"""

import torch
from torch import Tensor

_LEVELS = 63
"""Largest integer of a 7-bit half."""
_ZERO = 64
"""What FBGEMM's unsigned activations are shifted by."""
_FINER = 2 * _LEVELS
"""Steps of the second half in one of the first: a remainder is at most half a step."""
# As tensors: a Python number costs a small operation more time than the operation takes.
_TO_FINER = torch.tensor(float(_FINER))
_TINY = torch.tensor(1e-30)
"""Keeps a row of zeros from being divided by zero."""


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(out, in) weights → int8 of the same shape, and (out,) float32 scales."""
    weight = weight.float()
    low, high = torch.aminmax(weight, dim=1)
    scales = torch.maximum(-low, high).clamp_min(1e-30) / 127
    # In place, block by block: a vocabulary's worth of float32 is no small copy.
    result = torch.empty(weight.shape, dtype=torch.int8)
    for start in range(0, len(weight), 4096):
        block = slice(start, start + 4096)
        result[block] = (weight[block] / scales[block, None]).round_()
    return result, scales


class Int8:
    """int8 weights (out, in) with a scale an output.

    Args:
        weight: (out, in) int8.
        scales: (out,) float32.
    """

    def __init__(self, weight: Tensor, scales: Tensor, bias: Tensor | None) -> None:
        self._weight: Tensor | None = weight
        self._scales = scales
        self._bias = bias
        self.size = weight.numel()

    def pack(self) -> None:
        assert self._weight is not None
        zeros = torch.zeros(len(self._scales), dtype=torch.int64)
        weight = torch._make_per_channel_quantized_tensor(self._weight, self._scales, zeros, 0)
        self._packed = torch.ops.quantized.linear_prepack(weight, None)
        self._weight = None

    def __call__(self, x: Tensor) -> Tensor:
        step = torch.add(_TINY, x.abs().amax(1, keepdim=True), alpha=1 / _LEVELS)
        steps = x / step
        whole = steps.round()
        rest = steps.sub_(whole).mul_(_TO_FINER)
        products: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            torch.cat((whole, rest)), 1.0, _ZERO, self._packed
        )
        product = products[: len(x)].add_(products[len(x) :], alpha=1 / _FINER)
        return product.mul_(step) if self._bias is None else product.mul_(step).add_(self._bias)

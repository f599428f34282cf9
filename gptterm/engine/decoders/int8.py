"""Weights in int8, one scale an output channel.

At one row int8 weights cost a quarter of float32's time to read. What costs fidelity is more the
activations than they: a row of them has a few values thirty times the others' size, and 8 bits for
the row leave little of the rest. Mean KL divergence from float32 over 160 tokens of English, of a
trained model of 135M parameters, all linear layers and the head in int8:

| activations kept as | nats a token |
|---|---|
| float32 | 0.005 |
| 7 bits, one scale for all rows | 1.1 |
| 8 bits, a scale a row | 0.040 |
| 8 bits, a scale for every 192 numbers | 0.017 |
| 64 numbers | 0.011 |
| 32 numbers (taken) | 0.008 |
| 16 numbers | 0.007 |
"""

import torch
from torch import Tensor


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

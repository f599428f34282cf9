"""Linear layers on torch's operations, for GPUs and for CPUs without kernels.

For one row `F.linear` reads memory at half its bandwidth, `addmm` on (in, out) weights and `mv` on
(out, in) ones at nearly all of it on some CPUs.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from gptterm.engine.decoders.layers import LinearLayer


def multiply_in_out(weight: Tensor, bias: Tensor | None) -> LinearLayer:
    """x · W + b with W stored (in, out), as in GPT-2's files: a mapped file is not copied."""

    def multiply(x: Tensor, residual: Tensor | None = None) -> Tensor:
        product = x @ weight if bias is None else torch.addmm(bias, x, weight)
        return product if residual is None else residual + product

    return multiply


def lm_head(weight: Tensor, bias: Tensor | None = None) -> LinearLayer:
    """x · Wᵀ + b with W stored (vocabulary, in), as the token embedding is."""

    def multiply(x: Tensor, residual: Tensor | None = None) -> Tensor:
        if len(x) == 1 and weight.device.type == "cpu":
            product = torch.mv(weight, x[0]).unsqueeze(0)
            product = product if bias is None else product + bias
        else:
            product = F.linear(x, weight, bias)
        return product if residual is None else residual + product

    return multiply

"""Linear layers on torch's operations, for GPUs and for CPUs without kernels.

For one row `F.linear` reads memory at half its bandwidth, `addmm` on (in, out) weights and `mv` on
(out, in) ones at nearly all of it on some CPUs.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from gptterm.engine.kernels.library import library
from gptterm.errors import ModelError


class LinearLayer(Protocol):
    """Linear layer, on torch or on the kernels."""

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(m, in) → (m, out), with `residual` of that shape added."""
        ...


def linear(weight: Tensor, bias: Tensor | None) -> LinearLayer:
    """x · W + b with W stored (in, out), as in GPT-2's files: a mapped file is not copied."""

    def multiply(x: Tensor, residual: Tensor | None = None) -> Tensor:
        product = x @ weight if bias is None else torch.addmm(bias, x, weight)
        return product if residual is None else residual + product

    return multiply


def lm_head(weight: Tensor) -> LinearLayer:
    """x · Wᵀ with W stored (vocabulary, in), as the token embedding is."""

    def multiply(x: Tensor, residual: Tensor | None = None) -> Tensor:
        if len(x) == 1 and weight.device.type == "cpu":
            product = torch.mv(weight, x[0]).unsqueeze(0)
        else:
            product = F.linear(x, weight)
        return product if residual is None else residual + product

    return multiply


def kernels_available(dtype: str) -> bool:
    """Whether there are C kernels for this CPU; without them torch computes.

    Raises:
        ModelError: there are none, and torch is of no use for the dtype either.
    """
    if library() is not None:
        return True
    if dtype in ("int8", "float16"):
        raise ModelError(
            f"{dtype} on a CPU needs gptterm's kernels, which were not built: install a C compiler"
            " (Debian: gcc), then gptterm again; --dtype float32 works everywhere"
        )
    return False

"""Linear layers of torch's own: what a GPU has, and a CPU without kernels.

`F.linear` reads memory at half its speed for one row, `addmm` on (in, out) weights and `mv` on
(out, in) ones at all of it on some CPUs.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from gptterm.engine.kernels.library import library
from gptterm.errors import ModelError


class LinearLayer(Protocol):
    """A layer of weights."""

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(m, in) → (m, out), `residual` added, which is of that shape."""
        ...


def plain(weight: Tensor, bias: Tensor | None) -> LinearLayer:
    """x · W + b with W as GPT-2's files hold it, (in, out): no copy is made of a mapped file."""

    def multiply(x: Tensor, residual: Tensor | None = None) -> Tensor:
        product = x @ weight if bias is None else torch.addmm(bias, x, weight)
        return product if residual is None else residual + product

    return multiply


def plain_head(weight: Tensor) -> LinearLayer:
    """x · Wᵀ with W (vocabulary, in), shared with the token embedding."""

    def multiply(x: Tensor, residual: Tensor | None = None) -> Tensor:
        if len(x) == 1 and weight.device.type == "cpu":
            product = torch.mv(weight, x[0]).unsqueeze(0)
        else:
            product = F.linear(x, weight)
        return product if residual is None else residual + product

    return multiply


def kernels_available(dtype: str) -> bool:
    """Whether this CPU has kernels of ours; without them it is left to torch.

    Raises:
        ModelError: it has none, and torch none that are of use for the dtype.
    """
    if library() is not None:
        return True
    if dtype in ("int8", "float16"):
        raise ModelError(
            f"{dtype} on a CPU needs gptterm's kernels, which were not built: install a C compiler"
            " (Debian: gcc), then gptterm again; --dtype float32 works everywhere"
        )
    return False

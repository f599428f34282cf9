"""Linear layers of torch's own: what a GPU has, and a CPU without kernels.

`F.linear` reads memory at half its speed for one row, `addmm` on (in, out) weights and `mv` on
(out, in) ones at all of it on some CPUs.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gptterm.engine import kernels
from gptterm.errors import ModelError

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


def check_kernels(dtype: str) -> bool:
    """Whether this CPU has kernels of ours; without them it is left to torch.

    Raises:
        ModelError: it has none, and torch none that are of use for the dtype.
    """
    if kernels.library() is not None:
        return True
    if dtype in ("int8", "float16"):
        raise ModelError(
            f"{dtype} on a CPU needs gptterm's kernels, which were not built: install a C compiler"
            " (Debian: gcc), then gptterm again; --dtype float32 works everywhere"
        )
    return False

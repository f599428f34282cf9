"""Random weights in ggml's block formats: every bit random, but for the scales."""

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from numpy.typing import NDArray

_SCALES = {
    "Q4_1": (0, 2), "Q5_1": (0, 2), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,),
    "Q2_K": (80, 82), "Q3_K": (108,),
}  # fmt: skip
"""Where a block's float16 scales lie, by type; the others have one at the beginning."""


def random_blocks(
    kind: str, outer: int, inner: int, seed: int = 0, scale: float = 0.01
) -> NDArray[np.uint8]:
    """(outer, bytes) rows of blocks.

    Args:
        scale: standard deviation of the blocks' scales.
    """
    generator = np.random.default_rng(seed)
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    rows = generator.integers(0, 256, (outer, inner // block, size), dtype=np.uint8)
    if kind == "MXFP4":  # an exponent
        rows[..., 0] = generator.integers(118, 123, rows.shape[:2], dtype=np.uint8)
        return rows.reshape(outer, -1)
    for at in _SCALES.get(kind, (0,)):
        scales = generator.normal(0, scale, rows.shape[:2]).astype(np.float16)
        rows[..., at : at + 2] = scales[..., None].view(np.uint8)
    return rows.reshape(outer, -1)

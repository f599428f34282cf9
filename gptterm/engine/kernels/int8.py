"""Quantisation of a linear layer's weights to int8, in C; source/linear.h describes the format."""

import ctypes

import numpy as np
from numpy.typing import NDArray

from gptterm.cores import thread_count
from gptterm.engine.kernels.compiled import PANEL, LinearStruct, address, loaded_library
from gptterm.engine.kernels.linear import WeightFormat, packed_int8_shape
from gptterm.engine.stored_tensor import StoredTensor

_AT_ONCE = 128 * PANEL
"""Outputs that are quantised at a time: a float32 copy of a whole vocabulary's would be large."""


def quantise(weight: StoredTensor) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Quantise (out, in) weights, of any strides, symmetrically with one scale for each output.

    Returns:
        `packed_int8_shape` panels with zero point 128, and (out,) scales.
    """
    outputs, inputs = weight.shape
    panels = np.empty(packed_int8_shape(outputs, inputs), np.uint8)
    scales = np.empty(outputs, np.float32)
    for start in range(0, outputs, _AT_ONCE):
        source = weight[start : start + _AT_ONCE].converted("float32")
        layer = LinearStruct(WeightFormat.INT8, inputs, len(source), thread_count())
        loaded_library().linear_convert(
            ctypes.addressof(layer),
            address(panels[start // PANEL :]),
            address(scales[start:]),
            address(source),
            *(stride // source.itemsize for stride in source.strides),
        )
    return panels, scales

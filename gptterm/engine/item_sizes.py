"""Bytes of numbers, by dtype."""

_ITEM_SIZES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}


def item_size(dtype: str) -> int:
    """Bytes of a number."""
    return _ITEM_SIZES[dtype]


def cache_row_size(dtype: str, head_dim: int) -> int:
    """Bytes of a head's key or value in a KV cache: in int8, with the float32 that scales it."""
    return item_size(dtype) * head_dim + (item_size("float32") if dtype == "int8" else 0)

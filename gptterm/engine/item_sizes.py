"""Bytes of numbers, by dtype, and those of a KV cache."""

_ITEM_SIZES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}


def item_size(dtype: str) -> int:
    """Bytes of a number."""
    return _ITEM_SIZES[dtype]


def default_cache_dtype(dtype: str) -> str:
    """Dtype of the KV cache of a native decoder on a CPU, by that of its weights."""
    return "float32" if dtype == "float32" else "float16"


def kv_width(dtype: str, head_dim: int) -> int:
    """Elements of a head's key or value: in int8 the numbers, then the float32 that scales them."""
    return head_dim + item_size("float32") if dtype == "int8" else head_dim


def cache_row_size(dtype: str, head_dim: int) -> int:
    """Bytes of a head's key or value in a KV cache."""
    return item_size(dtype) * kv_width(dtype, head_dim)

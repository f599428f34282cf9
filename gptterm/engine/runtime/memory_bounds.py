"""Bounds of memory, held before it is taken: what weights and KV caches need, and what is free.

An operating system promises more memory than there is, and kills whoever uses the promise.
"""

from gptterm.engine.item_sizes import item_size
from gptterm.engine.runtime.device import available_memory, devices_of_kind, free_memory
from gptterm.errors import OutOfMemoryError
from gptterm.format import byte_size, plural

_SMALL = 64 << 20
"""Bytes for which it is not worth asking the system what is free."""
_PLACED = 0.9
"""Share of a GPU's free memory that weights may take: the rest is for activations and caches."""


def converted_size(size: int, stored: str, dtype: str) -> int:
    """Bytes of weights that are stored in one dtype, in another one.

    Args:
        size: bytes of the files.
        dtype: `auto` leaves them as they are.
    """
    return size if dtype == "auto" else size * item_size(dtype) // item_size(stored)


def is_spread(needed: int, device: str) -> bool:
    """Whether a model is to be spread over several devices, which the transformers library does.

    Args:
        needed: bytes that its weights take on the device, without files that are only mapped.

    Raises:
        OutOfMemoryError: it fits neither the device nor, where it is a GPU, all GPUs with main
            memory.
    """
    share = 1 if device == "cpu" else _PLACED
    if needed <= _SMALL or needed <= share * (free := free_memory(device)):
        return False
    if not device.startswith("cuda"):
        raise _no_room(needed, device, free)
    devices = devices_of_kind(device)
    everywhere = sum(map(free_memory, devices)) + available_memory()
    if needed > _PLACED * everywhere:
        raise _no_room(needed, f"{' + '.join(devices)} with main memory", everywhere)
    return True


def check_cache(tokens: int, bytes_per_token: int, device: str) -> None:
    """Check that the KV cache of a request will fit.

    Args:
        tokens: of its prompt that are not cached yet, and of its reply.

    Raises:
        OutOfMemoryError: it will not.
    """
    needed = tokens * bytes_per_token
    if needed > _SMALL and needed > (free := free_memory(device)):
        raise OutOfMemoryError(
            f"{plural(tokens, 'token')} of prompt and reply take {byte_size(needed)} of KV cache,"
            f" and {device} has {byte_size(free)} free: shorten the prompt, lower --max-tokens, or"
            " bound both with --context"
        )


def _no_room(needed: int, device: str, free: int) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"the weights take {byte_size(needed)}, and {device} has {byte_size(free)} free: a smaller"
        " --dtype, a GGUF file or a smaller model may fit"
    )

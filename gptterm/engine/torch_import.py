"""The import of torch, without a quarter of it that nearly no generation needs.

torch ends its import by registering the arithmetic of its `meta` device in Python
(`torch._meta_registrations`: 0.28 of 1.13 s on one core, the reference implementations it is
derived from included). That device has shapes and no numbers. Compiling uses it, and so does the
transformers library when it builds a model; native decoders do not.
"""

import contextlib
import importlib
import sys
from types import ModuleType

_NAME = "torch._meta_registrations"


class _Later(ModuleType):
    """Stands for the module, and becomes it for whoever looks inside."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(_NAME, None)
        return getattr(importlib.import_module(_NAME), name)


def import_torch() -> None:
    """Import torch, if that was not done, and leave that part to `complete_torch`."""
    if "torch" in sys.modules:
        return
    later = _Later(_NAME)
    sys.modules[_NAME] = later
    try:
        import torch

        if not hasattr(torch, "_meta_registrations"):
            torch._meta_registrations = later
    finally:
        # From here on whoever imports it gets the module itself.
        if sys.modules.get(_NAME) is later:
            del sys.modules[_NAME]


def complete_torch() -> None:
    """Import torch as it is."""
    # The module is torch's own affair: another version may have none.
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module(_NAME)

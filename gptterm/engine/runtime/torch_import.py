"""The import of torch, without the third of it that nearly no generation needs.

torch imports all of itself. Left for later are the arithmetic of its `meta` device, written in
Python (`torch._meta_registrations`, with the reference implementations it is derived from: 0.28 of
1.13 s on one core), and parts that it imports only to have them under their names (7 MiB, 0.1 s).
The `meta` device has shapes and no numbers: compiling uses it, and so does the transformers library
when it builds a model; native decoders do not.
"""

import contextlib
import importlib
import sys
from importlib import metadata
from types import ModuleType

_LATER = (
    "torch._meta_registrations",
    "torch.distributions",
    "torch.export",
    "torch.masked",
    "torch.quantization",
    "torch.utils.data",
)
_KNOWN = "2.13."
"""The version whose modules import each other in an order that goes on without these."""


class _Later(ModuleType):
    """Stands for a module, and becomes it for whoever looks inside."""

    def __getattr__(self, name: str) -> object:
        # The path is looked at for the sake of a module below it.
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        self.leave()
        return getattr(importlib.import_module(self.__name__), name)

    def leave(self) -> None:
        """From here on whoever imports it gets the module itself."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]


def import_torch() -> None:
    """Import torch, if that was not done, and leave those parts for later."""
    if "torch" in sys.modules:
        return
    later = [_Later(name) for name in _LATER] if _is_known() else []
    sys.modules.update({each.__name__: each for each in later})
    try:
        importlib.import_module("torch")
        for each in later:
            parent, _, name = each.__name__.rpartition(".")
            vars(sys.modules[parent]).setdefault(name, each)
    finally:
        for each in later:
            each.leave()


def complete_torch() -> None:
    """Import torch as it is."""
    for name in _LATER:
        # The modules are torch's own affair: another version may have others.
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)


def _is_known() -> bool:
    try:
        return metadata.version("torch").startswith(_KNOWN)
    except metadata.PackageNotFoundError:
        return False

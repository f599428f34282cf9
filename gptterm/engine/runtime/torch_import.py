"""Import torch faster, without the third of it that hardly any generation needs.

torch imports all of itself. Deferred are the arithmetic of its `meta` device, written in Python
(`torch._meta_registrations`, with the reference implementations it is derived from: 0.28 of 1.13 s
on one core), and modules that it imports only for their names (7 MiB, 0.1 s). The `meta` device has
shapes and no numbers: compiling uses it, and so does the transformers library when it builds a
model; native decoders do not.
"""

import contextlib
import importlib
import sys
from importlib import metadata
from types import ModuleType

_DEFERRED = (
    "torch._meta_registrations",
    "torch.distributions",
    "torch.export",
    "torch.masked",
    "torch.quantization",
    "torch.utils.data",
)
_KNOWN = "2.13."
"""The torch version whose modules are known to import without the deferred ones."""


class _Placeholder(ModuleType):
    """Placeholder of a module that imports it on the first attribute access."""

    def __getattr__(self, name: str) -> object:
        # An import of a submodule reads the path.
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        self.withdraw()
        return getattr(importlib.import_module(self.__name__), name)

    def withdraw(self) -> None:
        """Make imports find the module itself from now on."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]


def import_torch() -> None:
    """Import torch, if it is not imported, with the deferred modules as placeholders."""
    if "torch" in sys.modules:
        return
    placeholders = [_Placeholder(name) for name in _DEFERRED] if _is_known() else []
    sys.modules.update({each.__name__: each for each in placeholders})
    try:
        importlib.import_module("torch")
        for placeholder in placeholders:
            parent, _, name = placeholder.__name__.rpartition(".")
            vars(sys.modules[parent]).setdefault(name, placeholder)
    finally:
        for placeholder in placeholders:
            placeholder.withdraw()


def complete_torch() -> None:
    """Import the deferred modules of torch."""
    for name in _DEFERRED:
        # They are private to torch: another version may lack some.
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)


def _is_known() -> bool:
    try:
        return metadata.version("torch").startswith(_KNOWN)
    except metadata.PackageNotFoundError:
        return False

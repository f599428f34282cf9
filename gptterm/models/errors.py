"""Why a model cannot be used. All are `ModelError`; the kinds decide what is tried next."""

from gptterm.errors import ModelError


class IncompleteModelError(ModelError):
    """Files are missing, or only such as gptterm refuses are there; a download may bring others."""


class DamagedModelError(ModelError):
    """A file is there, but truncated or garbled."""


class NotHereError(ModelError):
    """The model is not on this machine and the network cannot help."""


class UnreachableError(NotHereError):
    """The Hub, or the proxy on the way to it, does not answer."""

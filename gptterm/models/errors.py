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


def shown(name: str | bytes) -> str:
    """`name` for a one-line message: one line, no control characters, not endless."""
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    if len(text) > 200:
        text = text[:100] + "…" + text[-99:]
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def size(count: float) -> str:
    """A number of bytes for people, in powers of 1,000 as disks are sold: `548 MB`."""
    unit = "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if count < 999.5:
            break
        count, unit = count / 1000, larger
    return f"{count:.1f} {unit}" if unit != "bytes" and count < 10 else f"{count:.0f} {unit}"

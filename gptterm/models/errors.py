"""Errors of models. All are `ModelError`; the subclass decides what is tried next."""

from collections.abc import Iterator

from gptterm.errors import ModelError


class IncompleteModelError(ModelError):
    """Files are missing, or gptterm refuses those that are there; a download may bring others."""


class DamagedModelError(ModelError):
    """A file is truncated or garbled."""


class NotCachedError(ModelError):
    """The model is not on this machine, and the network cannot be used or does not help."""


class UnreachableError(NotCachedError):
    """The Hub, or the proxy on the way to it, does not answer."""


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and the chain of exceptions that led to it, the root cause last."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__

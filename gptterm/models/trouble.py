"""Turn what goes wrong in a download into one line that says what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from gptterm.errors import ModelError
from gptterm.models import cache
from gptterm.models.names import suggestion
from gptterm.models.problems import shown

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_WRITING = frozenset({errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR})


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Raise whatever the block raises as a `ModelError`, for the user to read.

    Everything, because huggingface_hub lets through the errors of three HTTP and storage
    libraries, which have no base of their own. The original is the cause.
    """
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(explanation(error, name)) from error


def explanation(error: Exception, name: str) -> str:
    """One line for an error that came up while `name` was downloaded."""
    chain = list(_chain(error))
    codes = {link.errno for link in chain if isinstance(link, OSError)}
    if codes & _NO_ROOM or any("No space left" in str(link) for link in chain):
        return (
            f"the disk is full: {shown(name)} does not fit in {cache.cache_folder()}; make room "
            "(`gptterm models list` shows what is there) or set HF_HOME to another disk"
        )
    if codes & _NO_WRITING:
        return (
            f"{shown(name)} cannot be saved in {cache.cache_folder()}, which is not writable; "
            "set HF_HOME to a folder that is"
        )
    for link in chain:
        if message := _from_server(link, name):
            return message
    return (
        f"the download of {shown(name)} broke off ({_first_line(chain[-1])}); "
        f"run `gptterm models pull {shown(name)}` again, files that are complete are kept"
    )


def _from_server(error: BaseException, name: str) -> str | None:
    """What the Hub's own answer means; None when the error is no such answer."""
    from huggingface_hub import errors

    subject = shown(name)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return (
            f"{subject} is gated: accept its terms on its page on the Hub, "
            "then set HF_TOKEN to a token of yours"
        )
    if isinstance(error, errors.HFValidationError):
        return f"'{subject}' is not the name of a model{suggestion(name)}"
    if isinstance(error, errors.RepositoryNotFoundError) or status == 404:
        return (
            f"there is no model {subject} on the Hub, or it is private and needs HF_TOKEN"
            f"{suggestion(name)}"
        )
    if status in (401, 403):
        return f"the Hub refuses access to {subject}: set HF_TOKEN to a token that may read it"
    if status == 429:
        return f"the Hub refuses more requests for now; wait a minute, then ask for {subject} again"
    if status is not None and status >= 500:
        return f"the Hub has a fault of its own (status {status}); ask for {subject} again later"
    return None


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return shown(lines[0].rstrip(" .:")) if lines else type(error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it, the root last."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__

"""Download a model from the Hub: only what is needed, only what is safe to load.

The repository's file list is looked at first, then its config.json, so that a model that cannot
be used is refused before its weights are fetched. huggingface_hub moves the files; it is imported
here only, when there is something to download.
"""

import errno
import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gptterm.errors import ModelError
from gptterm.format import byte_size, escaped, first_line
from gptterm.models import cache
from gptterm.models.errors import (
    DamagedModelError,
    IncompleteModelError,
    UnreachableError,
)
from gptterm.models.names import suggestion
from gptterm.models.progress import OnProgress, Tally
from gptterm.models.reachability import unreachable
from gptterm.models.safetensors_check import read_header
from gptterm.models.validation import (
    CONFIG,
    INDEX,
    TOKENIZER_FILES,
    WEIGHTS,
    check_config,
    check_directory,
    check_tokenizer,
    check_weight_names,
    read_config,
    shards,
)

_TIMEOUT = 10.0  # seconds without a byte from a server that had answered before
_SPARE = 50_000_000  # bytes left free on the disk


def endpoint() -> str:
    """The Hub's address: HF_ENDPOINT, or huggingface.co."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def require_reachable(name: str, within: float) -> None:
    """See that the Hub answers before anything slow is tried.

    Raises:
        UnreachableError: it does not, within that many seconds.
        ModelError: HF_ENDPOINT is no web address.
    """
    address = endpoint()
    if not address.startswith(("http://", "https://")):
        raise ModelError(f"HF_ENDPOINT must be a web address, not '{escaped(address)}'")
    try:
        reason = unreachable(address, within)
    except ValueError as error:
        raise ModelError(f"HF_ENDPOINT or a proxy variable is no web address: {error}") from error
    if reason is not None:
        host = address.split("://", 1)[1]
        raise UnreachableError(
            f"{escaped(name)} is not on this machine and {escaped(host)} cannot be reached: "
            f"{reason}"
        )


def download(repo_id: str, name: str, on_progress: OnProgress) -> cache.Snapshot:
    """Bring the newest revision of `repo_id` into the cache, whole, and look it over.

    Files that are there and whole are kept; damaged ones are fetched again.

    Args:
        repo_id: the repository.
        name: what messages call the model.
        on_progress: told the bytes of all files together.

    Raises:
        ModelError: anything that goes wrong, in one line that says what to do.
    """
    # Set before the import reads it: nobody asked that it be reported what runs here.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import HfApi

    with explained(name), _quietly():
        listing = HfApi().model_info(repo_id, files_metadata=True, timeout=_TIMEOUT)
        sizes = {file.rfilename: file.size or 0 for file in listing.siblings or ()}
        revision = listing.sha or ""
        _check_listing(sizes, name)
        _sweep(cache.repository_folder(repo_id))
        fetch = _fetcher(repo_id, revision)
        directory = fetch(CONFIG, sizes[CONFIG], None).parent
        check_config(read_config(directory, name), name)
        wanted = _wanted(sizes, name, lambda: fetch(INDEX, sizes[INDEX], None))
        missing = {f: sizes[f] for f in wanted if _is_to_fetch(directory / f, sizes[f])}
        _check_space(sum(missing.values()), name)
        tally = Tally(sum(missing.values()), on_progress)
        for file, length in missing.items():
            fetch(file, length, tally)
        check_directory(directory, name)
        _write_main(cache.repository_folder(repo_id), revision)
    return cache.Snapshot(directory, revision)


def _check_listing(sizes: Mapping[str, int], name: str) -> None:
    try:
        if CONFIG not in sizes:
            check_weight_names(sizes, name)
            raise IncompleteModelError(f"{escaped(name)} has no config.json: not a model to load")
        check_weight_names(sizes, name)
        check_tokenizer(sizes, name)
    except IncompleteModelError as error:
        # Nothing that another look at the Hub could mend.
        raise ModelError(str(error)) from error


def _wanted(sizes: Mapping[str, int], name: str, index: Callable[[], Path]) -> list[str]:
    """The files to have, small ones first. Never pickles, code, pictures or other frameworks'."""
    small = [f for f in sizes if f in TOKENIZER_FILES or f == "generation_config.json"]
    if WEIGHTS in sizes:
        return [*small, WEIGHTS]
    files = shards(index(), name)
    absent = [file for file in files if file not in sizes]
    if absent:
        raise ModelError(f"{escaped(name)} lists {escaped(absent[0])}, which its repository lacks")
    return [*small, *files]


def _is_to_fetch(path: Path, length: int) -> bool:
    """Whether a file is missing or not whole."""
    try:
        if length and path.stat().st_size != length:
            return True
        if path.suffix == ".safetensors":
            read_header(path)
    except (OSError, DamagedModelError):
        return True
    return False


def _fetcher(repo_id: str, revision: str) -> Callable[[str, int, Tally | None], Path]:
    """A function that brings one file of a revision into the cache and returns its path there."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import tqdm

    def counter(tally: Tally | None) -> type[Any]:
        class Counter(tqdm):
            """A tqdm that draws nothing and reports to a tally."""

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]

            def update(self, n: float | None = 1) -> None:
                if tally is not None:
                    tally.add(int(n or 0))

            # Present, so that a Xet download counts its bytes in one bar and not in two.
            def update_transfer(self, n: float) -> None: ...
            def set_transfer_postfix_str(self, *args: Any, **kwargs: Any) -> None: ...

        return Counter

    def fetch(file: str, length: int, tally: Tally | None) -> Path:
        present = cache.repository_folder(repo_id) / "snapshots" / revision / file
        return Path(
            hf_hub_download(
                repo_id,
                file,
                revision=revision,
                force_download=present.exists() and _is_to_fetch(present, length),
                tqdm_class=counter(tally),
            )
        )

    return fetch


def _check_space(needed: int, name: str) -> None:
    """Find out before the download, and not after an hour of it, that the disk is too small."""
    folder = cache.cache_folder()
    place = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(place).free
    if needed and needed + _SPARE > free:
        raise ModelError(
            f"{escaped(name)} needs {byte_size(needed)} in {folder}, which has {byte_size(free)} "
            "free; make room (`gptterm models list` shows what is there) or set HF_HOME to another "
            "disk"
        )


def _sweep(folder: Path) -> None:
    """Delete the pieces that killed downloads have left: nothing else ever would, and
    huggingface_hub, which names each anew, cannot go on with them."""
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # lazy

    locks = folder.parent / ".locks" / folder.name
    for piece in (folder / "blobs").glob("*.incomplete"):
        blob = piece.name.split(".", 1)[0]
        # Who is at work on a blob holds its lock. Not getting it in time is an OSError as well.
        with suppress(OSError), WeakFileLock(locks / f"{blob}.lock", timeout=0.05):
            piece.unlink()


def _write_main(folder: Path, revision: str) -> None:
    """Let `main` point to the revision, now that it is whole."""
    refs = folder / "refs"
    with suppress(OSError):  # the snapshot is found without it
        refs.mkdir(parents=True, exist_ok=True)
        temporary = refs / f".main.{os.getpid()}"
        temporary.write_text(revision, encoding="utf-8")
        temporary.replace(refs / "main")


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep huggingface_hub's warnings off stderr: what matters becomes an error's one line."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


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
            f"the disk is full: {escaped(name)} does not fit in {cache.cache_folder()}; make room "
            "(`gptterm models list` shows what is there) or set HF_HOME to another disk"
        )
    if codes & _NO_WRITING:
        return (
            f"{escaped(name)} cannot be saved in {cache.cache_folder()}, which is not writable; "
            "set HF_HOME to a folder that is"
        )
    for link in chain:
        if message := _from_server(link, name):
            return message
    return (
        f"the download of {escaped(name)} broke off ({first_line(chain[-1]).rstrip(' .:')}); "
        f"run `gptterm models pull {escaped(name)}` again, files that are complete are kept"
    )


def _from_server(error: BaseException, name: str) -> str | None:
    """What the Hub's own answer means; None when the error is no such answer."""
    from huggingface_hub import errors

    subject = escaped(name)
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


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it, the root last."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__

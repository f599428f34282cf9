"""Download a model from the Hub: only files that are needed and safe to load.

The repository's file list is checked first, then its config.json, so that a model that cannot be
used is refused before its weights are downloaded. huggingface_hub transfers the files; it is
imported only for a download, here and in `reachability`.
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
from urllib.parse import urlsplit

from gptterm.engine.runtime.model_files import CONFIG, INDEX, WEIGHTS, size_limit
from gptterm.engine.runtime.safetensors_header import SafetensorsHeaderError, read_header
from gptterm.errors import ModelError
from gptterm.format import byte_size, escaped, first_line
from gptterm.models import cache
from gptterm.models.errors import (
    IncompleteModelError,
    UnreachableError,
    causes,
)
from gptterm.models.folder_kinds import (
    TOKENIZER_FILES,
    check_has_config,
    check_tokenizer,
    check_weight_names,
)
from gptterm.models.names import suggestion
from gptterm.models.progress import DownloadProgress, OnProgress
from gptterm.models.reachability import unreachable_reason
from gptterm.models.validation import check_config, check_directory, read_config, shards

_TIMEOUT_S = 10.0  # without a byte from a server that has answered before
_SMALL = TOKENIZER_FILES | {CONFIG, INDEX, "generation_config.json"}
_SPARE_BYTES = 50_000_000  # left free on the disk


Fetch = Callable[[str, int, DownloadProgress | None], Path]
"""Downloads a file, given its name, its length and the progress to update; returns its path."""


def endpoint() -> str:
    """The address of the Hub: HF_ENDPOINT, or huggingface.co."""
    from huggingface_hub import constants

    return constants.ENDPOINT


def require_reachable(name: str, within: float) -> None:
    """Check that the Hub answers, before anything that takes long.

    Args:
        name: the model, for messages.
        within: seconds.

    Raises:
        UnreachableError: it does not answer in time.
        ModelError: HF_ENDPOINT is not a web address.
    """
    address = endpoint()
    if not _is_web_address(address):
        raise ModelError(f"HF_ENDPOINT must be a web address, not '{escaped(address)}'")
    # Set before the import reads it: nobody asked to report what runs here.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    reason = unreachable_reason(address, within)
    if reason is not None:
        host = address.split("://", 1)[1]
        raise UnreachableError(
            f"{escaped(name)} is not on this machine and {escaped(host)} cannot be reached: "
            f"{reason}"
        )


def _is_web_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        return False


def download(repo_id: str, name: str, on_progress: OnProgress) -> cache.Snapshot:
    """Download the newest revision of a repository into the cache and validate it.

    Complete files are not downloaded again; damaged ones are.

    Args:
        repo_id: the repository.
        name: the model, for messages.
        on_progress: called with the bytes of all files together.

    Raises:
        ModelError: anything that goes wrong, in one line that says what to do.
    """
    from huggingface_hub import HfApi

    with as_model_error(name), _quiet_library():
        listing = HfApi().model_info(repo_id, files_metadata=True, timeout=_TIMEOUT_S)
        sizes = {file.rfilename: file.size or 0 for file in listing.siblings or ()}
        revision = listing.sha or ""
        _check_listing(sizes, name)
        _delete_partial_files(cache.repository_folder(repo_id))
        fetch = _fetch_function(repo_id, revision)
        directory = fetch(CONFIG, sizes[CONFIG], None).parent
        check_config(read_config(directory, name), name)
        files = _files_to_have(sizes, name, lambda: fetch(INDEX, sizes[INDEX], None))
        missing = {f: sizes[f] for f in files if _needs_download(directory / f, sizes[f])}
        _check_space(sum(missing.values()), name)
        progress = DownloadProgress(sum(missing.values()), on_progress)
        for file, length in missing.items():
            fetch(file, length, progress)
        check_directory(directory, name)
        _write_main(cache.repository_folder(repo_id), revision)
    return cache.Snapshot(directory, revision)


def _check_listing(sizes: Mapping[str, int], name: str) -> None:
    try:
        check_has_config(sizes, name)
        check_weight_names(sizes, name)
        check_tokenizer(sizes, name)
    except IncompleteModelError as error:
        # This is what the Hub has: asking again would not help.
        raise ModelError(str(error)) from error
    for file in _SMALL & sizes.keys():
        if sizes[file] > size_limit(file):
            raise ModelError(
                f"{escaped(name)} has a {file} of {byte_size(sizes[file])}, more than such a file "
                "can have; choose another model"
            )


def _files_to_have(sizes: Mapping[str, int], name: str, index: Callable[[], Path]) -> list[str]:
    """The files to download, small ones first: no pickles, code or weights of other frameworks."""
    small = [f for f in sizes if f in _SMALL - {CONFIG, INDEX}]
    if WEIGHTS in sizes:
        return [*small, WEIGHTS]
    files = shards(index(), name)
    absent = [file for file in files if file not in sizes]
    if absent:
        raise ModelError(f"{escaped(name)} lists {escaped(absent[0])}, which its repository lacks")
    return [*small, *files]


def _needs_download(path: Path, length: int) -> bool:
    """Whether a file is missing, incomplete or damaged."""
    try:
        if length and path.stat().st_size != length:
            return True
        if path.suffix == ".safetensors":
            read_header(path)
    except (OSError, SafetensorsHeaderError):
        return True
    return False


def _fetch_function(repo_id: str, revision: str) -> Fetch:
    """Return a function that downloads one file of a revision and returns its path."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import tqdm

    def bar_class(progress: DownloadProgress | None) -> type[Any]:
        class SilentBar(tqdm):
            """A tqdm that draws nothing and reports to `progress`."""

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]

            def update(self, n: float | None = 1) -> None:
                if progress is not None:
                    progress.add(int(n or 0))

            # With these, a Xet download counts its bytes in one bar instead of two.
            def update_transfer(self, n: float) -> None: ...
            def set_transfer_postfix_str(self, *args: Any, **kwargs: Any) -> None: ...

        return SilentBar

    def fetch(file: str, length: int, progress: DownloadProgress | None) -> Path:
        present = cache.repository_folder(repo_id) / "snapshots" / revision / file
        return Path(
            hf_hub_download(
                repo_id,
                file,
                revision=revision,
                force_download=present.exists() and _needs_download(present, length),
                tqdm_class=bar_class(progress),
            )
        )

    return fetch


def _check_space(needed: int, name: str) -> None:
    """Refuse a download that does not fit the disk, rather than fail after an hour of it."""
    folder = cache.cache_folder()
    place = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(place).free
    if needed and needed + _SPARE_BYTES > free:
        raise ModelError(
            f"{escaped(name)} needs {byte_size(needed)} in {folder}, which has {byte_size(free)} "
            "free; make room (`gptterm models list` shows what is there) or set HF_HOME to another "
            "disk"
        )


def _delete_partial_files(folder: Path) -> None:
    """Delete the partial files of killed downloads.

    huggingface_hub gives each partial file a new name, so it never resumes or deletes old ones.
    """
    from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]  # lazy

    locks = folder.parent / ".locks" / folder.name
    for partial in (folder / "blobs").glob("*.incomplete"):
        blob = partial.name.split(".", 1)[0]
        # A download in progress holds the blob's lock; the time-out is an OSError.
        with suppress(OSError), WeakFileLock(locks / f"{blob}.lock", timeout=0.05):
            partial.unlink()


def _write_main(folder: Path, revision: str) -> None:
    """Point `main` to the revision, now that it is complete."""
    refs = folder / "refs"
    with suppress(OSError):  # snapshots are found without it
        refs.mkdir(parents=True, exist_ok=True)
        temporary = refs / f".main.{os.getpid()}"
        temporary.write_text(revision, encoding="utf-8")
        temporary.replace(refs / "main")


@contextmanager
def _quiet_library() -> Iterator[None]:
    """Keep huggingface_hub's warnings off stderr: what matters is raised as an error."""
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
def as_model_error(name: str) -> Iterator[None]:
    """Raise every exception of the block as a `ModelError` with one line for the user.

    Every exception, because huggingface_hub passes on those of three HTTP and storage libraries,
    which have no common base class. The original is the cause.
    """
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(explain(error, name)) from error


def explain(error: Exception, name: str) -> str:
    """Explain in one line why the download of `name` failed."""
    chain = list(causes(error))
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
        if message := _explain_answer(link, name):
            return message
    return (
        f"the download of {escaped(name)} failed ({first_line(chain[-1]).rstrip(' .:')}); "
        f"run `gptterm models pull {escaped(name)}` again: complete files are not downloaded twice"
    )


def _explain_answer(error: BaseException, name: str) -> str | None:
    """Explain an answer of the Hub; None if the error is not one."""
    from huggingface_hub import errors

    subject = escaped(name)
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        return (
            f"{subject} is gated: accept its terms on its page on the Hub, "
            "then set HF_TOKEN to one of your tokens"
        )
    if isinstance(error, errors.HFValidationError):
        return f"'{subject}' is not the name of a model{suggestion(name)}"
    if isinstance(error, errors.RepositoryNotFoundError) or status == 404:
        return (
            f"there is no model {subject} on the Hub, or it is private and needs HF_TOKEN"
            f"{suggestion(name)}"
        )
    if status in (401, 403):
        return f"the Hub refuses access to {subject}: set HF_TOKEN to a token with read access"
    if status == 429:
        return f"the Hub allows no more requests for now; wait a minute, then try {subject} again"
    if status is not None and status >= 500:
        return f"the Hub has a server error (status {status}); try {subject} again later"
    return None

"""The Hugging Face cache on this machine, read without the network.

Its layout is public (https://huggingface.co/docs/huggingface_hub/guides/manage-cache):
`models--ORG--NAME/refs/main` holds a commit, `snapshots/COMMIT/` the files of one revision, as
links into `blobs/`. Of huggingface_hub only its constants are imported, which takes milliseconds;
they honour HF_HOME and HF_HUB_CACHE.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gptterm.errors import ModelError
from gptterm.format import first_line
from gptterm.json_values import as_text
from gptterm.models.errors import IncompleteModelError
from gptterm.models.names import alias_of
from gptterm.models.validation import check_directory, read_config
from gptterm.regular_files import read_regular

_COMMIT = re.compile(r"[0-9a-f]{40}")
_LONGEST_REF = 1024


class Snapshot(NamedTuple):
    """One revision of a repository in the cache."""

    directory: Path
    revision: str


class CachedModel(NamedTuple):
    """A repository in the cache, complete or not."""

    name: str
    """Its name on the command line."""
    repo_id: str
    revision: str
    """Commit of the snapshot that would be used; empty if there is none."""
    path: str
    """That snapshot's directory, or the repository's folder."""
    size: int
    """Bytes on disk, all revisions together."""
    architecture: str
    """`model_type` of its config.json; empty if unknown."""
    problem: str | None
    """The reason why it cannot be used; None if it can."""


def cache_folder() -> Path:
    """The folder of downloaded models."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids network access."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def repository_folder(repo_id: str) -> Path:
    """The folder of a repository, which need not exist."""
    return cache_folder() / f"models--{repo_id.replace('/', '--')}"


def snapshots(repo_id: str) -> list[Snapshot]:
    """List the revisions in the cache: the one `main` points to, then the newest first."""
    folder = repository_folder(repo_id)
    try:
        found = [
            entry
            for entry in (folder / "snapshots").iterdir()
            if _COMMIT.fullmatch(entry.name) and entry.is_dir()
        ]
    except OSError:
        return []
    main = _read_ref(folder)
    found.sort(key=lambda entry: (entry.name == main, entry.stat().st_mtime), reverse=True)
    return [Snapshot(entry, entry.name) for entry in found]


def find_snapshot(repo_ids: Sequence[str], name: str) -> Snapshot | None:
    """Return the first snapshot that holds a complete model; None if a download is needed.

    Raises:
        DamagedModelError: a file of it is truncated or garbled.
        ModelError: it is in the cache, but gptterm refuses it or cannot read it.
    """
    for repo_id in repo_ids:
        for snapshot in snapshots(repo_id):
            try:
                check_directory(snapshot.directory, name)
            except IncompleteModelError:
                continue
            return snapshot
    return None


def cached_models() -> list[CachedModel]:
    """List the models in the cache by name, with the problems that make some unusable."""
    return sorted(_scan(), key=lambda model: model.name.lower())


def remove(repo_ids: Sequence[str]) -> int:
    """Delete repositories with all their revisions from the cache; return the bytes freed.

    Raises:
        OSError: a folder cannot be deleted.
    """
    import shutil

    freed = 0
    for repo_id in repo_ids:
        folder = repository_folder(repo_id)
        locks = folder.parent / ".locks" / folder.name
        if folder.is_dir():
            freed += _bytes_in(folder)
            shutil.rmtree(folder)
        shutil.rmtree(locks, ignore_errors=True)
    return freed


def _scan() -> Iterator[CachedModel]:
    try:
        folders = [f for f in cache_folder().iterdir() if f.name.startswith("models--")]
    except OSError:
        return
    for folder in folders:
        repo_id = folder.name.removeprefix("models--").replace("--", "/")
        if (folder / "snapshots").is_dir():
            try:
                yield _describe(folder, repo_id)
            except Exception as error:  # one entry must not hide the others
                yield CachedModel(
                    alias_of(repo_id),
                    repo_id,
                    "",
                    str(folder),
                    0,
                    "",
                    f"cannot be used: {first_line(error)}",
                )


def _describe(folder: Path, repo_id: str) -> CachedModel:
    name = alias_of(repo_id)
    problem: str | None = "not downloaded yet"
    chosen = Snapshot(folder, "")
    for number, snapshot in enumerate(snapshots(repo_id)):
        try:
            check_directory(snapshot.directory, name)
        except ModelError as error:
            if number == 0:
                chosen, problem = snapshot, str(error)
            continue
        chosen, problem = snapshot, None
        break
    return CachedModel(
        name=name,
        repo_id=repo_id,
        revision=chosen.revision,
        path=str(chosen.directory),
        size=_bytes_in(folder),
        architecture=_architecture(chosen.directory, name),
        problem=problem,
    )


def _architecture(directory: Path, name: str) -> str:
    try:
        return as_text(read_config(directory, name).get("model_type"))
    except (ModelError, OSError):
        return ""


def _bytes_in(folder: Path) -> int:
    """Bytes of all files under `folder`, links followed, each file counted once."""
    seen: dict[tuple[int, int], int] = {}
    for path in folder.rglob("*"):
        try:
            status = path.stat()
        except OSError:
            continue
        if path.is_file():
            seen[status.st_dev, status.st_ino] = status.st_size
    return sum(seen.values())


def _read_ref(folder: Path) -> str:
    try:
        return read_regular(folder / "refs" / "main", _LONGEST_REF).decode().strip()
    except (OSError, UnicodeDecodeError):
        return ""

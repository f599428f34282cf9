"""The Hugging Face cache on this machine, read without asking the network.

Its layout is public (https://huggingface.co/docs/huggingface_hub/guides/manage-cache):
`models--ORG--NAME/refs/main` holds a commit, `snapshots/COMMIT/` the files of one revision, as
links into `blobs/`. Only huggingface_hub's constants are imported here, which takes milliseconds;
they honour HF_HOME and HF_HUB_CACHE.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gptterm.errors import ModelError
from gptterm.models.errors import IncompleteModelError
from gptterm.models.names import alias_of
from gptterm.models.validation import check_directory, read_config

_COMMIT = re.compile(r"[0-9a-f]{40}")


class Snapshot(NamedTuple):
    """One revision of a repository in the cache."""

    directory: Path
    revision: str


class CachedModel(NamedTuple):
    """A repository in the cache, whole or not."""

    name: str
    """What to call it on the command line."""
    repo_id: str
    revision: str
    """Commit of the snapshot that would be used; empty when there is none."""
    path: str
    """That snapshot's directory, or the repository's folder."""
    size: int
    """Bytes on disk, all revisions together."""
    architecture: str
    """`model_type` of its config.json; empty when unknown."""
    problem: str | None
    """Why it cannot be used; None when it can."""


def cache_folder() -> Path:
    """Where downloaded models are kept."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE forbids asking the network."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def repository_folder(repo_id: str) -> Path:
    """Where one repository's files are kept, whether it is there or not."""
    return cache_folder() / f"models--{repo_id.replace('/', '--')}"


def snapshots(repo_id: str) -> list[Snapshot]:
    """The revisions at hand: the one `main` points to first, then the newest first."""
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


def find(repo_ids: Sequence[str], name: str) -> Snapshot | None:
    """The first snapshot that holds a whole model; None when a download has to complete one.

    Raises:
        DamagedModelError: a file of it is truncated or garbled.
        ModelError: it is there, but gptterm refuses it or cannot read it.
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
    """All models in the cache by name, with what keeps each from being used, if anything does."""
    return sorted(_scan(), key=lambda model: model.name.lower())


def remove(repo_ids: Sequence[str]) -> int:
    """Delete repositories from the cache, all their revisions; return the bytes that were there.

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
            yield _describe(folder, repo_id)


def _describe(folder: Path, repo_id: str) -> CachedModel:
    name = alias_of(repo_id)
    problem: str | None = "nothing is downloaded yet"
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
        return str(read_config(directory, name).get("model_type", ""))
    except (ModelError, OSError):
        return ""


def _bytes_in(folder: Path) -> int:
    """Bytes of everything under `folder`, each file once, links as what they lead to."""
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
        return (folder / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""

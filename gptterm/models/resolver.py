"""Resolve the name of a model to the directory it is loaded from."""

import stat
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from gptterm.engine.api import ModelSource
from gptterm.engine.gguf_parts import part_paths
from gptterm.errors import ModelError
from gptterm.format import escaped
from gptterm.models import cache, names
from gptterm.models.errors import (
    DamagedModelError,
    IncompleteModelError,
    NotCachedError,
    UnreachableError,
)
from gptterm.models.names import BUNDLED
from gptterm.models.progress import OnProgress, progress_bar
from gptterm.models.validation import check_directory, notices
from gptterm.regular_files import open_regular

# Time for the Hub to answer: 3 s less the start of the program. Less for the default model, since
# the bundled one then has to load before its first token.
_REACH_S = 2.5
_REACH_BEFORE_FALLBACK_S = 1.5


def resolve(
    name: str,
    *,
    offline: bool = False,
    progress: bool = False,
    fallback: bool = False,
    on_progress: OnProgress | None = None,
) -> ModelSource:
    """Find the files of a model, downloading them if it is on the Hub and not in the cache.

    `gptterm.models.names` has the rules for names. A complete model in the cache is used as it
    is, without asking the network. torch and transformers are never imported, huggingface_hub
    only for a name on the Hub.

    Args:
        name: `tiny`, an alias, a Hub id, a directory, or a .gguf file.
        offline: open no socket, as with HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE.
        progress: draw a bar on stderr during a download, if it is a terminal.
        fallback: return the bundled model, with a notice, if this one is not available: the user
            did not ask for it by name.
        on_progress: called with (bytes downloaded, bytes in all), instead of a bar.

    Raises:
        ModelError: it is not available, or cannot be used.
    """
    target = names.parse(name)
    try:
        source = _find_local(target, name)
        if source is not None:
            return source
        assert isinstance(target, names.HubModel)
        if offline or cache.is_offline():
            raise NotCachedError(
                f"{escaped(name)} is not on this machine and gptterm is offline"
                f"{names.suggestion(name)}; {_remedy(name)} when there is a network"
            )
        within = _REACH_BEFORE_FALLBACK_S if fallback else _REACH_S
        return _download(target, name, within, progress, on_progress)
    except ModelError as error:
        if fallback and not isinstance(target, names.BundledModel):
            return _fall_back(name, error)
        if isinstance(error, UnreachableError):
            raise UnreachableError(f"{error}; check the network, or use -m {BUNDLED}") from error
        raise


def find_local(name: str) -> ModelSource:
    """Find the files of a model on this machine, without the network.

    Raises:
        ModelError: it is not on this machine, incomplete, or cannot be used.
    """
    source = _find_local(names.parse(name), name)
    if source is None:
        hint = names.suggestion(name)
        raise NotCachedError(f"{escaped(name)} is not on this machine{hint}; {_remedy(name)}")
    return source


def pull(
    name: str, *, progress: bool = False, on_progress: OnProgress | None = None
) -> ModelSource:
    """Download the newest revision of a model from the Hub, replacing damaged files.

    Raises:
        ModelError: it is not available, cannot be used, or is not on the Hub.
    """
    target = names.parse(name)
    if not isinstance(target, names.HubModel):
        raise ModelError(f"{escaped(name)} is not on the Hub: there is nothing to download")
    if cache.is_offline():
        raise NotCachedError("HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set: nothing is downloaded")
    return _download(target, name, _REACH_S, progress, on_progress)


def cached_repositories(name: str) -> list[str]:
    """List the repositories in the cache that `remove` would delete.

    Raises:
        ModelError: there is none.
    """
    target = names.parse(name)
    if not isinstance(target, names.HubModel):
        raise ModelError(
            f"{escaped(name)} is not in the cache; only downloaded models can be deleted"
        )
    present = [repo_id for repo_id in target.repo_ids if cache.repository_folder(repo_id).is_dir()]
    if not present:
        raise ModelError(f"{escaped(name)} is not in the cache{names.suggestion(name)}")
    return present


def remove(name: str) -> int:
    """Delete a model from the cache; return the bytes freed.

    Raises:
        ModelError: it is not in the cache, or cannot be deleted.
    """
    try:
        return cache.remove(cached_repositories(name))
    except OSError as error:
        where = escaped(str(error.filename or cache.cache_folder()))
        raise ModelError(f"{escaped(name)} cannot be deleted: {where}: {error.strerror}") from error


class ResolvePreview(NamedTuple):
    """Predict `resolve(name, fallback=True)` without doing it."""

    action: Literal["use", "download", "fall back"]
    """Use the files on this machine, download, or fall back to the bundled model."""
    detail: str
    """The directory, the Hub's address, or the reason."""


def preview_resolve(name: str, *, offline: bool = False) -> ResolvePreview:
    """Tell what `resolve` would do, without a download: at most the Hub is asked for an answer.

    Raises:
        ModelError: `name` cannot be the name of a model.
    """
    target = names.parse(name)
    try:
        source = _find_local(target, name)
        if source is not None:
            return ResolvePreview("use", source.directory)
        if offline or cache.is_offline():
            reason = f"{name} is not on this machine and gptterm is offline"
            return ResolvePreview("fall back", reason)
        from gptterm.models import hub

        hub.require_reachable(name, _REACH_BEFORE_FALLBACK_S)
        return ResolvePreview("download", hub.endpoint())
    except ModelError as error:
        return ResolvePreview("fall back", str(error))


def bundled() -> ModelSource:
    """The model inside the package.

    Raises:
        ModelError: its files are missing or damaged.
    """
    from importlib.resources import files

    directory = Path(str(files("gptterm.models").joinpath(BUNDLED)))
    try:
        if not directory.is_dir():
            raise IncompleteModelError(f"{directory} is missing")
        check_directory(directory, BUNDLED)
    except ModelError as error:
        raise ModelError(
            f"the bundled model is damaged; install gptterm again ({error})"
        ) from error
    return ModelSource(name=BUNDLED, directory=str(directory))


def _find_local(target: names.Target, name: str) -> ModelSource | None:
    """Find a model without the network; None for a Hub model that must be downloaded."""
    match target:
        case names.BundledModel():
            return bundled()
        case names.LocalDirectory(path):
            return _local(path, name)
        case names.GgufFile(path):
            return _gguf(path, name)
        case names.HubModel(repo_ids):
            return _cached(repo_ids, name)


def _local(path: Path, name: str) -> ModelSource:
    try:
        is_directory = stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"there is no directory {escaped(name)}{names.suggestion(name)}") from None
    except OSError as error:
        raise ModelError(f"{escaped(name)} cannot be read: {error.strerror}") from error
    if not is_directory:
        raise ModelError(f"{escaped(name)} is a file; a model is a directory or a .gguf file")
    check_directory(path, name)
    return ModelSource(name=name, directory=str(path.absolute()), notices=notices(path))


def _gguf(path: Path, name: str) -> ModelSource:
    """A GGUF file; of one that is split, the first part, whichever is named."""
    try:
        with open_regular(path) as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelError(f"{escaped(name)} cannot be read: {error.strerror}") from error
    if magic != b"GGUF":
        raise ModelError(f"{escaped(name)} is not a GGUF file, or it is damaged")
    path = part_paths(path.absolute())[0]
    return ModelSource(name=name, directory=str(path.parent), gguf_file=path.name)


def _cached(repo_ids: tuple[str, ...], name: str) -> ModelSource | None:
    try:
        snapshot = cache.find_snapshot(repo_ids, name)
    except DamagedModelError as error:
        raise DamagedModelError(f"{error}; {_remedy(name)} again") from error
    if snapshot is None:
        return None
    return _source(snapshot, name)


def _source(snapshot: cache.Snapshot, name: str) -> ModelSource:
    return ModelSource(
        name=name,
        directory=str(snapshot.directory),
        revision=snapshot.revision,
        notices=notices(snapshot.directory),
    )


def _download(
    target: names.HubModel,
    name: str,
    within: float,
    progress: bool,
    on_progress: OnProgress | None,
) -> ModelSource:
    from gptterm.models import hub

    hub.require_reachable(name, within)
    repo_id = target.repo_ids[0]
    if on_progress is None and progress:
        with progress_bar(escaped(name)) as draw:
            snapshot = hub.download(repo_id, name, draw)
    else:
        snapshot = hub.download(repo_id, name, on_progress or _ignore_progress)
    return _source(snapshot, name)


def _remedy(name: str) -> str:
    return f"`gptterm models pull {escaped(name)}` downloads it"


def _ignore_progress(_done: int, _total: int) -> None:
    """Progress callback that does nothing."""


def _fall_back(name: str, error: ModelError) -> ModelSource:
    """The bundled model, with a notice that says why, and how to get the model that was meant."""
    notice = f"{error}; using the bundled model, {BUNDLED}"
    if "`gptterm models pull" not in notice:
        notice += f"; {_remedy(name)}"
    try:
        return msgspec.structs.replace(bundled(), notices=(notice,))
    except ModelError:
        raise error from None

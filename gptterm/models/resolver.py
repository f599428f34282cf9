"""From the name of a model to the directory it is loaded from."""

import stat
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from gptterm.engine.api import ModelSource
from gptterm.errors import ModelError
from gptterm.format import escaped
from gptterm.models import cache, names
from gptterm.models.errors import (
    DamagedModelError,
    IncompleteModelError,
    NotHereError,
    UnreachableError,
)
from gptterm.models.names import BUNDLED
from gptterm.models.progress import OnProgress, bar
from gptterm.models.validation import check_directory

# Seconds for the network to answer: all of "noticed within 3 s", less the start of the program;
# for the default model less again, since the bundled one then has to load before its first token.
_PATIENCE = 2.5
_PATIENCE_BEFORE_FALLBACK = 1.5


def resolve(
    name: str,
    *,
    offline: bool = False,
    progress: bool = False,
    fallback: bool = False,
    on_progress: OnProgress | None = None,
) -> ModelSource:
    """Find the files of a model; download them when it is on the Hub and not yet here.

    The rules for names are those of `gptterm.models.names`. A model that is in the cache, whole,
    is used as it is and nothing is asked of the network. Neither torch nor transformers is
    imported; huggingface_hub is only for a name on the Hub.

    Args:
        name: `tiny`, an alias, a Hub id, a directory, or a .gguf file.
        offline: open no socket. HF_HUB_OFFLINE and TRANSFORMERS_OFFLINE do the same.
        progress: draw a bar on stderr during a download, if it is a terminal.
        fallback: the user did not ask for this model by name, so return the bundled one, with a
            notice, if this one cannot be had.
        on_progress: called with (bytes here, bytes in all) during a download, in place of a bar.

    Raises:
        ModelError: it cannot be had or cannot be used.
    """
    target = names.parse(name)
    try:
        source = _at_hand(target, name)
        if source is not None:
            return source
        assert isinstance(target, names.HubModel)
        if offline or cache.is_offline():
            raise NotHereError(
                f"{escaped(name)} is not on this machine and gptterm is offline"
                f"{names.suggestion(name)}; {_remedy(name)} when there is a network"
            )
        patience = _PATIENCE_BEFORE_FALLBACK if fallback else _PATIENCE
        return _download(target, name, patience, progress, on_progress)
    except ModelError as error:
        if fallback and not isinstance(target, names.Bundled):
            return _instead(name, error)
        if isinstance(error, UnreachableError):
            raise UnreachableError(f"{error}; check the network, or use -m {BUNDLED}") from error
        raise


def at_hand(name: str) -> ModelSource:
    """Find the files of a model that is on this machine; ask nothing of the network.

    Raises:
        ModelError: it is not here, not whole, or cannot be used.
    """
    source = _at_hand(names.parse(name), name)
    if source is None:
        hint = names.suggestion(name)
        raise NotHereError(f"{escaped(name)} is not on this machine{hint}; {_remedy(name)}")
    return source


def pull(
    name: str, *, progress: bool = False, on_progress: OnProgress | None = None
) -> ModelSource:
    """Bring the newest revision of a model from the Hub; fetch again what is damaged.

    Raises:
        ModelError: it cannot be had, cannot be used, or is not on the Hub.
    """
    target = names.parse(name)
    if not isinstance(target, names.HubModel):
        raise ModelError(f"{escaped(name)} is not on the Hub: there is nothing to download")
    if cache.is_offline():
        raise NotHereError("HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set: nothing is downloaded")
    return _download(target, name, _PATIENCE, progress, on_progress)


def downloaded(name: str) -> list[str]:
    """The repositories in the cache that `remove` would delete.

    Raises:
        ModelError: there is none.
    """
    target = names.parse(name)
    if not isinstance(target, names.HubModel):
        raise ModelError(
            f"{escaped(name)} is not in the cache; only what was downloaded is deleted"
        )
    present = [repo_id for repo_id in target.ids if cache.repository_folder(repo_id).is_dir()]
    if not present:
        raise ModelError(f"{escaped(name)} is not in the cache{names.suggestion(name)}")
    return present


def remove(name: str) -> int:
    """Delete a model from the cache; return the bytes that it took.

    Raises:
        ModelError: it is not in the cache, or cannot be deleted.
    """
    try:
        return cache.remove(downloaded(name))
    except OSError as error:
        where = escaped(str(error.filename or cache.cache_folder()))
        raise ModelError(f"{escaped(name)} cannot be deleted: {where}: {error.strerror}") from error


class Outlook(NamedTuple):
    """What `resolve(name, fallback=True)` would do right now."""

    action: Literal["use", "download", "fall back"]
    """Use what is at hand, download, or fall back to the bundled model."""
    detail: str
    """The directory, the Hub's address, or the reason."""


def outlook(name: str, *, offline: bool = False) -> Outlook:
    """Look ahead without downloading anything: at most the Hub is asked whether it answers.

    Raises:
        ModelError: `name` cannot be the name of a model.
    """
    target = names.parse(name)
    try:
        source = _at_hand(target, name)
        if source is not None:
            return Outlook("use", source.directory)
        if offline or cache.is_offline():
            return Outlook("fall back", f"{name} is not on this machine and gptterm is offline")
        from gptterm.models import hub

        hub.require_reachable(name, _PATIENCE_BEFORE_FALLBACK)
        return Outlook("download", hub.endpoint())
    except ModelError as error:
        return Outlook("fall back", str(error))


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


def _at_hand(target: names.Target, name: str) -> ModelSource | None:
    """What needs no network; None for a Hub model that is not, or not whole, in the cache."""
    match target:
        case names.Bundled():
            return bundled()
        case names.LocalDirectory(path):
            return _local(path, name)
        case names.LocalGguf(path):
            return _gguf(path, name)
        case names.HubModel(ids):
            return _cached(ids, name)


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
    return ModelSource(name=name, directory=str(path.absolute()))


def _gguf(path: Path, name: str) -> ModelSource:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelError(f"{escaped(name)} cannot be read: {error.strerror}") from error
    if magic != b"GGUF":
        raise ModelError(f"{escaped(name)} is not a GGUF file, or it is damaged")
    path = path.absolute()
    return ModelSource(name=name, directory=str(path.parent), gguf_file=path.name)


def _cached(ids: tuple[str, ...], name: str) -> ModelSource | None:
    try:
        snapshot = cache.find(ids, name)
    except DamagedModelError as error:
        raise DamagedModelError(f"{error}; {_remedy(name)} again") from error
    if snapshot is None:
        return None
    return ModelSource(name=name, directory=str(snapshot.directory), revision=snapshot.revision)


def _download(
    target: names.HubModel,
    name: str,
    patience: float,
    progress: bool,
    on_progress: OnProgress | None,
) -> ModelSource:
    from gptterm.models import hub

    hub.require_reachable(name, patience)
    repo_id = target.ids[0]
    if on_progress is None and progress:
        with bar(escaped(name)) as draw:
            snapshot = hub.download(repo_id, name, draw)
    else:
        snapshot = hub.download(repo_id, name, on_progress or _unheard)
    return ModelSource(name=name, directory=str(snapshot.directory), revision=snapshot.revision)


def _remedy(name: str) -> str:
    return f"`gptterm models pull {escaped(name)}` gets it"


def _unheard(_done: int, _total: int) -> None:
    """Progress that nobody asked for."""


def _instead(name: str, error: ModelError) -> ModelSource:
    """The bundled model, with a notice that says why and how to get the one that was meant."""
    notice = f"{error}; using the bundled model, {BUNDLED}"
    if "`gptterm models pull" not in notice:
        notice += f"; {_remedy(name)}"
    try:
        return msgspec.structs.replace(bundled(), notices=(notice,))
    except ModelError:
        raise error from None

"""Models to choose from, with what is known of each without loading it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gptterm.engine.api import ModelSource
from gptterm.engine.remote.servers import Servers, host
from gptterm.errors import GpttermError, UsageError
from gptterm.format import byte_size, token_rate

if TYPE_CHECKING:
    from gptterm.models import Offer
    from gptterm.store import UsedModel

MOST_RECENT = 5


class ModelEntry(NamedTuple):
    """A model, by the name that loads it; numbers are 0 where they are not known."""

    name: str
    section: str
    """Heading that it is listed under."""
    parameters: int = 0
    disk: int = 0
    """Bytes on the disk, or to be downloaded."""
    memory: int = 0
    """Bytes of the weights, and of the KV cache of a full context."""
    context: int = 0
    """Tokens."""
    kind: str = ""
    """`chat` or `base`."""
    dtype: str = ""
    """Of the weights once they are loaded."""
    tokens_per_s: float = 0.0
    """Measured here."""
    detail: str = ""
    """Where it comes from, or why it cannot be used."""
    is_usable: bool = True
    is_download: bool = False
    """It has to be downloaded first."""


class Wanted(NamedTuple):
    """The settings that the numbers depend on."""

    device: str = "cpu"
    dtype: str = "auto"
    kv_dtype: str = "auto"
    offline: bool = False
    servers: Servers = Servers()


def read_models(used: Sequence["UsedModel"], wanted: Wanted) -> list[ModelEntry]:
    """Read the files of all models at hand, and add those that can be downloaded.

    Takes some milliseconds a model.
    """
    from gptterm.models import BUNDLED, OFFERS, cached_models
    from gptterm.models.cache import is_offline

    rates = {model.name: model.tokens_per_s or 0.0 for model in used}
    cached = cached_models()
    entries = list(_recent(used, wanted))
    known = {entry.name for entry in entries}
    for model in cached:
        if model.name not in known:
            described = (
                ModelEntry(model.name, "", disk=model.size, detail=model.problem, is_usable=False)
                if model.problem
                else _describe(model.name, wanted)
            )
            entries.append(described._replace(section="on this machine"))
    if BUNDLED not in known:
        entries.append(_describe(BUNDLED, wanted)._replace(section="bundled"))
    offline = wanted.offline or is_offline()
    at_hand = known | {model.name for model in cached if not model.problem}
    entries += [_offered(offer, offline) for offer in OFFERS if offer.name not in at_hand]
    return [entry._replace(tokens_per_s=rates.get(entry.name, 0.0)) for entry in entries]


def _recent(used: Sequence["UsedModel"], wanted: Wanted) -> Iterator[ModelEntry]:
    """Yield the models used last that are still there."""
    found = 0
    for model in used:
        if found == MOST_RECENT:
            return
        try:
            remote = wanted.servers.find(model.name)
        except UsageError:  # its address is no longer valid
            continue
        if remote is not None:
            entry = ModelEntry(model.name, "", detail=f"on {host(remote)}")
        else:
            entry = _describe(model.name, wanted)
        if entry.is_usable:
            found += 1
            yield entry._replace(section="recent")


def _offered(offer: "Offer", offline: bool) -> ModelEntry:
    why = "gptterm is offline: it cannot be fetched"
    return ModelEntry(
        offer.name,
        "to be had",
        offer.parameters,
        offer.size,
        context=offer.context,
        kind=offer.kind,
        detail=why if offline else f"⏎ downloads {byte_size(offer.size)}",
        is_usable=not offline,
        is_download=True,
    )


def _describe(name: str, wanted: Wanted) -> ModelEntry:
    """Read a model's files; it is not usable where they cannot be read."""
    from gptterm.engine.item_sizes import default_cache_dtype, item_size
    from gptterm.models import BUNDLED, find_local, read_metadata

    try:
        source = find_local(name)
        metadata = read_metadata(source)
        dtype = _dtype(source, metadata.dtypes, metadata.size, wanted)
    except (GpttermError, OSError) as error:
        return ModelEntry(name, "", detail=str(error), is_usable=False)
    is_gguf = source.gguf_file is not None
    weights = metadata.size if is_gguf else metadata.parameters * item_size(dtype)
    cache_dtype = default_cache_dtype(dtype) if wanted.kv_dtype == "auto" else wanted.kv_dtype
    cache = metadata.context_length * metadata.cache_bytes_per_token.get(cache_dtype, 0)
    return ModelEntry(
        name,
        "",
        metadata.parameters,
        metadata.size,
        weights + cache,
        metadata.context_length,
        metadata.kind,
        dtype,
        detail=str(Path(source.directory, source.gguf_file or ""))
        if name != BUNDLED
        else "inside gptterm, trained on stories for children",
    )


def _dtype(source: ModelSource, stored: str, size: int, wanted: Wanted) -> str:
    """Return the dtype of the weights once they are loaded; a GGUF file keeps its own."""
    if source.gguf_file is not None:
        types = [name for name in stored.split(", ") if name != "F32"]
        return types[0] if types else "F32"
    if wanted.dtype != "auto":
        return wanted.dtype
    if wanted.device != "cpu":
        return "bfloat16"
    from gptterm.engine.runtime.device import select_dtype

    names = {"BF16": "bfloat16", "F16": "float16"}
    return select_dtype("cpu", names.get(stored, "float32"), size)


def facts(entry: ModelEntry) -> str:
    """Describe a model in one line."""
    return " · ".join(
        filter(
            None,
            (
                parameters(entry.parameters),
                byte_size(entry.disk) if entry.disk else "",
                entry.kind,
                token_rate(entry.tokens_per_s) if entry.tokens_per_s else "",
                "to be downloaded" if entry.is_download else "",
                "" if entry.is_usable else entry.detail,
            ),
        )
    )


def parameters(count: int) -> str:
    """Format a number of parameters shortly: `124 M`, `1.6 B`; empty if it is not known."""
    if not count:
        return ""
    if count >= 1e9:
        return f"{count / 1e9:.1f} B"
    return f"{count / 1e6:.1f} M" if count < 1e7 else f"{count / 1e6:.0f} M"

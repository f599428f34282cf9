"""`gptterm models`: list, describe, download, convert and delete models."""

import time
from typing import TYPE_CHECKING, Any

import click

from gptterm.cli.console import confirm, print_json, print_path, print_table
from gptterm.cli.history import open_history, when
from gptterm.errors import ModelError
from gptterm.format import byte_size
from gptterm.terminal import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from gptterm.engine.api import ModelSource
    from gptterm.engine.quantization.conversion_cache import Conversion
    from gptterm.models import ModelMetadata

_HELP = {"help_option_names": ["-h", "--help"]}
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.group(context_settings=_HELP)
def models() -> None:
    """List the models on this machine, download others, delete them.

    Downloaded models are in the Hugging Face cache (HF_HOME), shared with other programs. A NAME
    is `tiny` (the bundled model), an alias such as gpt2, a Hub id, a directory or a .gguf file.
    """


@models.command("list", context_settings=_HELP)
@_json_option
def list_models(as_json: bool) -> None:
    """List the bundled model and those in the cache.

    USED is when a model last wrote in the history.
    """
    rows = _rows()
    if as_json:
        print_json(rows)
        return

    now = time.time()
    print_table(
        ("NAME", "DISK", "PARAMETERS", "CONTEXT", "KIND", "ARCHITECTURE", "DECODER", "USED", ""),
        [
            (
                row["name"],
                byte_size(row["size"]),
                f"{row['parameters'] / 1e6:,.1f} M" if row["parameters"] else "",
                f"{row['context_length']:,}" if row["context_length"] else "",
                row["kind"],
                row["architecture"],
                row["decoder"],
                when(row["used"], now) if row["used"] else "",
                row["problem"] or row["from"],
            )
            for row in rows
        ],
    )


@models.command("path", context_settings=_HELP)
@click.argument("name")
def path_of(name: str) -> None:
    """Print the path of a model's files. Nothing is downloaded."""
    from pathlib import Path

    from gptterm.models import find_local

    source = find_local(name)
    print_path(str(Path(source.directory, source.gguf_file or "")))


@models.command("pull", context_settings=_HELP)
@click.argument("name")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def pull_model(name: str, quiet: bool) -> None:
    """Download or update a model; print its path.

    Complete files are not downloaded again, damaged ones are.
    """
    from gptterm.models import pull

    print_path(pull(name, progress=not quiet).directory)


@models.command("info", context_settings=_HELP)
@click.argument("name")
@_json_option
def show_info(name: str, as_json: bool) -> None:
    """Describe a model and the devices it fits on."""
    from pathlib import Path

    from gptterm.engine.api import LoadRequest
    from gptterm.engine.quantization import conversion_cache
    from gptterm.engine.quantization.kv_fidelity import known_fidelity
    from gptterm.models import find_local, read_metadata

    source = find_local(name)
    path = str(Path(source.directory, source.gguf_file or ""))
    metadata = read_metadata(source)
    if metadata.decoder == "transformers" and source.gguf_file is None:
        from gptterm.engine.decoders.transformers_files import library_model

        library_model(Path(source.directory))  # raises what loading would
    memory = _memory(metadata, is_gguf=source.gguf_file is not None)
    fits, why = _fits(metadata, memory), metadata.decoder_reason
    conversion = conversion_cache.find(Path(source.directory))
    kv_kl = known_fidelity(LoadRequest(source=source))
    if as_json:
        about = {"name": name, "revision": source.revision, "path": path}
        int8 = conversion and {
            "path": str(conversion.path),
            "size": conversion.size,
            "fidelity_kl": conversion.fidelity_kl,
            "auto": conversion.used_by_auto,
        }
        more = {"memory": memory, "fits": fits, "int8": int8, "kv_fidelity_kl": kv_kl}
        print_json([about | metadata._asdict() | more | {"notices": source.notices}])
        return

    lines = {
        "name": name,
        "revision": source.revision,
        "path": path,
        "architecture": metadata.architecture,
        "decoder": f"{metadata.decoder} ({why})" if why else metadata.decoder,
        "parameters": f"{metadata.parameters:,}" if metadata.parameters else "",
        "weights": f"{byte_size(metadata.size)} {metadata.dtypes}",
        "memory": ", ".join(f"{byte_size(size)} in {dtype}" for dtype, size in memory.items()),
        "context": f"{metadata.context_length:,} tokens" if metadata.context_length else "",
        "KV cache": _cache_sizes(metadata.cache_bytes_per_token, kv_kl),
        "vocabulary": f"{metadata.vocab_size:,} tokens" if metadata.vocab_size else "",
        "chat template": "yes" if metadata.has_chat_template else "no",
        "int8": _describe(conversion) if conversion else "",
        "note": "; ".join(source.notices),
        **{f"fits {device}": ", ".join(dtypes) or "no" for device, dtypes in fits.items()},
    }
    print_table(None, [(label, text) for label, text in lines.items() if text])


def _cache_sizes(by_dtype: dict[str, int], kl: float | None) -> str:
    """Describe what a token takes in each dtype of the KV cache."""
    if not by_dtype:
        return ""
    sizes = ", ".join(f"{byte_size(size)} in {dtype}" for dtype, size in by_dtype.items())
    loss = "" if kl is None else f" (KL {kl:.2g} nats a token from float32)"
    return f"a token {sizes}{loss}"


@models.command("convert", context_settings=_HELP)
@click.argument("name")
@click.option("--undo", is_flag=True, help="Delete the conversion instead.")
def convert_model(name: str, undo: bool) -> None:
    """Convert a model to int8, for use on a CPU.

    `--dtype auto` then uses it: about twice as fast as float32. The loss is measured, as the mean
    KL divergence from float32 on a fixed text; above 0.01 nats a token, auto does not use the
    conversion. For models with a decoder of gptterm's own (`gptterm models info`).
    """
    from pathlib import Path

    from gptterm.engine.quantization import conversion_cache
    from gptterm.models import find_local

    source = find_local(name)
    directory = Path(source.directory)
    if undo:
        freed = conversion_cache.remove(directory)
        message = (
            f"conversion deleted, {byte_size(freed)} freed" if freed else "there is no conversion"
        )
        click.echo(f"{one_line(name)}: {message}", err=True)
        return
    conversion = conversion_cache.find(directory) or _convert(source)
    try:
        conversion_cache.set_auto(conversion, True)
    except OSError as error:
        raise ModelError(f"{conversion.path.parent}: {error.strerror}") from error
    message = _describe(conversion._replace(auto_enabled=True))
    click.echo(f"{one_line(name)}: int8, {message}", err=True)


def _convert(source: "ModelSource") -> "Conversion":
    """Convert a model to int8.

    Raises:
        ModelError: it cannot be converted, or the conversion cannot be saved.
    """
    from pathlib import Path

    from gptterm.engine.api import LoadRequest
    from gptterm.engine.generation.loader import load_engine
    from gptterm.engine.quantization import conversion_cache

    load_engine(LoadRequest(source=source, device="cpu", dtype="int8")).close()
    conversion = conversion_cache.find(Path(source.directory))
    if conversion is None:
        folder = one_line(str(conversion_cache.folder()))
        raise ModelError(f"the conversion cannot be saved in {folder}: full or not writable")
    return conversion


def _describe(conversion: "Conversion") -> str:
    """Describe a conversion and its loss in one line."""
    from gptterm.engine.quantization.conversion_cache import FIDELITY_BOUND

    auto = "auto uses it on a CPU"
    if not conversion.auto_enabled:
        auto = "auto does not use it before `gptterm models convert`"
    elif not conversion.used_by_auto:
        auto = f"above {FIDELITY_BOUND}, so auto does not use it"
    kl = conversion.fidelity_kl
    return f"{byte_size(conversion.size)}, KL {kl:.2g} nats a token from float32; {auto}"


@models.command("rm", context_settings=_HELP)
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Delete without asking.")
def remove_model(name: str, yes: bool) -> None:
    """Delete a downloaded model and its conversion."""
    from gptterm.engine.quantization import conversion_cache
    from gptterm.models import cached_repositories, remove

    cached_repositories(name)  # fails before the question if there is none
    directory = _directory(name)
    if not yes and not confirm(f"Delete {one_line(name)} from the cache?"):
        return
    place = conversion_cache.path_for(directory) if directory else None
    freed = remove(name) + (conversion_cache.remove_at(place) if place else 0)
    click.echo(f"{one_line(name)} deleted, {byte_size(freed)} freed", err=True)


def _directory(name: str) -> "Path | None":
    """The directory of a model's files, if they are complete enough to be found."""
    from pathlib import Path

    from gptterm.models import find_local

    try:
        return Path(find_local(name).directory)
    except ModelError:
        return None


def _rows() -> list[dict[str, Any]]:
    """The bundled model, then the cached ones, as `--json` prints them."""
    from gptterm.engine.api import ModelSource
    from gptterm.models import BUNDLED, bundled, cached_models

    used = _last_used()
    first: dict[str, Any] = {"name": BUNDLED, "from": "bundled with gptterm", "revision": ""}
    try:
        source = bundled()
        first |= {"path": source.directory, "problem": None} | _facts(source)
    except ModelError as error:
        first |= {"path": "", "problem": str(error)} | _facts(None)
    rows = [first]
    for model in cached_models():
        source = ModelSource(name=model.name, directory=model.path)
        about = _facts(None if model.problem else source)
        about["architecture"] = model.architecture
        rows.append(
            {
                "name": model.name,
                "from": model.repo_id,
                "revision": model.revision,
                "path": model.path,
                "problem": model.problem,
                **about,
                # All of its revisions.
                "size": model.size,
            }
        )
    for row in rows:
        row["used"] = max(used.get(row["name"], 0.0), used.get(row["from"], 0.0)) or None
    return rows


def _facts(source: "ModelSource | None") -> dict[str, Any]:
    """Facts of a model in a list; empty where it cannot be read."""
    from gptterm.models import read_metadata

    facts = {
        "size": 0, "architecture": "", "parameters": 0, "context_length": 0, "kind": "",
        "decoder": "",
    }  # fmt: skip
    if source is None:
        return facts
    try:
        metadata = read_metadata(source)
    except ModelError:
        return facts
    return {
        "size": metadata.size,
        "architecture": metadata.architecture,
        "parameters": metadata.parameters,
        "context_length": metadata.context_length,
        "kind": metadata.kind,
        "decoder": metadata.decoder,
    }


def _last_used() -> dict[str, float]:
    """When each model last wrote in the history, in seconds since 1970, by name."""
    from gptterm.errors import GpttermError
    from gptterm.paths import history_file

    if not history_file().exists():
        return {}
    try:
        with open_history() as store:
            return store.last_use()
    except GpttermError:  # the list of models does not need it
        return {}


def _memory(metadata: "ModelMetadata", *, is_gguf: bool) -> dict[str, int]:
    """Bytes that the weights take in memory, by dtype; empty if their number is unknown.

    A GGUF file's own types, which `auto` keeps on a CPU, count as `auto`.
    """
    from gptterm.engine.item_sizes import item_size

    if not metadata.parameters:
        return {}
    dtypes = ("float32", "bfloat16", "float16")
    found = {dtype: metadata.parameters * item_size(dtype) for dtype in dtypes}
    return found | ({"auto": metadata.size} if is_gguf else {"int8": metadata.parameters})


def _fits(metadata: "ModelMetadata", memory: dict[str, int]) -> dict[str, list[str]]:
    """For each device, the dtypes in which the weights and a fifth more fit its free memory."""
    from gptterm.engine.runtime.device import describe_devices

    if not memory:
        return {}
    return {
        device.name: [
            dtype
            for dtype, size in memory.items()
            if size * 1.2 <= device.free_bytes
            and (
                dtype not in ("auto", "int8")
                or (metadata.decoder == "native" and device.name == "cpu")
            )
        ]
        for device in describe_devices()
        if device.free_bytes
    }

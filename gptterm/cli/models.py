"""`gptterm models`: what is at hand, and what is to be."""

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from gptterm.cli.table import print_table
from gptterm.errors import ModelError, UsageError
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
    """See which models are at hand, get others, remove them.

    Downloaded models lie in the Hugging Face cache (HF_HOME) and are shared with other programs.
    A NAME is `tiny` (the bundled model), an alias such as gpt2, a Hub id, a directory or a .gguf
    file.
    """


@models.command("list", context_settings=_HELP)
@_json_option
def list_models(as_json: bool) -> None:
    """List the bundled model and those in the cache."""
    rows = _rows()
    if as_json:
        _print_json(rows)
        return

    print_table(
        ("NAME", "SIZE", "ARCHITECTURE", ""),
        [
            (
                row["name"],
                byte_size(row["size"]),
                row["architecture"],
                row["problem"] or row["from"],
            )
            for row in rows
        ],
    )


@models.command("path", context_settings=_HELP)
@click.argument("name")
def path_of(name: str) -> None:
    """Print where a model's files lie. Nothing is downloaded."""
    from pathlib import Path

    from gptterm.models import find_local

    source = find_local(name)
    _print_path(str(Path(source.directory, source.gguf_file or "")))


@models.command("pull", context_settings=_HELP)
@click.argument("name")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def pull_model(name: str, quiet: bool) -> None:
    """Download a model, or what is new, missing or damaged of it; print where it lies."""
    from gptterm.models import pull

    _print_path(pull(name, progress=not quiet).directory)


@models.command("info", context_settings=_HELP)
@click.argument("name")
@_json_option
def show_info(name: str, as_json: bool) -> None:
    """Tell what a model at hand is, and on which device it fits."""
    from pathlib import Path

    from gptterm.engine.quantization import conversion_cache
    from gptterm.models import find_local, read_metadata

    source = find_local(name)
    path = str(Path(source.directory, source.gguf_file or ""))
    known = read_metadata(source)
    fits = _fits(known)
    conversion = conversion_cache.find(Path(source.directory))
    if as_json:
        about = {"name": name, "revision": source.revision, "path": path}
        int8 = conversion and {
            "path": str(conversion.path),
            "size": conversion.size,
            "fidelity_kl": conversion.fidelity_kl,
            "auto": conversion.used_by_auto,
        }
        _print_json([about | known._asdict() | {"fits": fits, "int8": int8}])
        return

    lines = {
        "name": name,
        "revision": source.revision,
        "path": path,
        "architecture": known.architecture,
        "decoder": known.decoder,
        "parameters": f"{known.parameters:,}" if known.parameters else "",
        "weights": f"{byte_size(known.size)} {known.dtypes}",
        "context": f"{known.context_length:,} tokens" if known.context_length else "",
        "vocabulary": f"{known.vocab_size:,} tokens" if known.vocab_size else "",
        "chat template": "yes" if known.has_chat_template else "no",
        "int8": _told(conversion) if conversion else "",
        **{f"fits {device}": ", ".join(dtypes) or "no" for device, dtypes in fits.items()},
    }
    print_table(None, [(label, text) for label, text in lines.items() if text])


@models.command("convert", context_settings=_HELP)
@click.argument("name")
@click.option("--undo", is_flag=True, help="Remove the conversion instead.")
def convert_model(name: str, undo: bool) -> None:
    """Keep a model in int8, too, for `--dtype auto` on a CPU: about twice as fast as float32.

    What that costs is measured: the mean KL divergence from float32, on a fixed text. Above 0.01
    nats a token, auto stays as it was. For GPT-1, GPT-2 and GPT-Neo.
    """
    from pathlib import Path

    from gptterm.engine.quantization import conversion_cache
    from gptterm.models import find_local

    source = find_local(name)
    directory = Path(source.directory)
    if undo:
        freed = conversion_cache.remove(directory)
        told = (
            f"conversion removed, {byte_size(freed)} freed" if freed else "there is no conversion"
        )
        click.echo(f"{one_line(name)}: {told}", err=True)
        return
    conversion = conversion_cache.find(directory) or _convert(source)
    try:
        conversion_cache.set_auto(conversion, True)
    except OSError as error:
        raise ModelError(f"{conversion.path.parent}: {error.strerror}") from error
    told = _told(conversion._replace(auto_enabled=True))
    click.echo(f"{one_line(name)}: int8, {told}", err=True)


def _convert(source: "ModelSource") -> "Conversion":
    """Make a model's conversion.

    Raises:
        ModelError: it cannot be made, or not be kept.
    """
    from pathlib import Path

    from gptterm.engine.api import LoadRequest
    from gptterm.engine.generation.loader import load_engine
    from gptterm.engine.quantization import conversion_cache

    load_engine(LoadRequest(source=source, device="cpu", dtype="int8")).close()
    conversion = conversion_cache.find(Path(source.directory))
    if conversion is None:
        raise ModelError(f"the conversion cannot be kept in {conversion_cache.folder()}")
    return conversion


def _told(conversion: "Conversion") -> str:
    """What a conversion is and costs, on one line."""
    from gptterm.engine.quantization.conversion_cache import FIDELITY_BOUND

    auto = "auto takes it on a CPU"
    if not conversion.auto_enabled:
        auto = "auto does not take it before `gptterm models convert`"
    elif not conversion.used_by_auto:
        auto = f"above {FIDELITY_BOUND}, so auto does not take it"
    kl = conversion.fidelity_kl
    return f"{byte_size(conversion.size)}, KL {kl:.2g} nats a token from float32; {auto}"


@models.command("rm", context_settings=_HELP)
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def remove_model(name: str, yes: bool) -> None:
    """Delete a downloaded model from the cache, and its conversion."""
    from gptterm.engine.quantization import conversion_cache
    from gptterm.models import cached_repositories, remove

    cached_repositories(name)  # fails before the question if there is none
    directory = _directory(name)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError("nobody can be asked here: give --yes to delete the model")
        if not click.confirm(f"Delete {one_line(name)} from the cache?", err=True):
            return
    place = conversion_cache.path_for(directory) if directory else None
    freed = remove(name) + (conversion_cache.remove_at(place) if place else 0)
    click.echo(f"{one_line(name)} deleted, {byte_size(freed)} freed", err=True)


def _directory(name: str) -> "Path | None":
    """Where a model's files lie, if they are whole enough to be looked at."""
    from pathlib import Path

    from gptterm.models import find_local

    try:
        return Path(find_local(name).directory)
    except ModelError:
        return None


def _rows() -> list[dict[str, Any]]:
    """The bundled model, then the cached ones, as `--json` prints them."""
    from gptterm.models import BUNDLED, bundled, cached_models, read_metadata

    first: dict[str, Any] = {"name": BUNDLED, "from": "bundled with gptterm", "revision": ""}
    try:
        source = bundled()
        known = read_metadata(source)
        first |= {"path": source.directory, "size": known.size, "problem": None}
        first["architecture"] = known.architecture
    except ModelError as error:
        first |= {"path": "", "size": 0, "problem": str(error), "architecture": ""}
    return [
        first,
        *(
            {
                "name": model.name,
                "from": model.repo_id,
                "revision": model.revision,
                "path": model.path,
                "size": model.size,
                "problem": model.problem,
                "architecture": model.architecture,
            }
            for model in cached_models()
        ),
    ]


def _fits(known: "ModelMetadata") -> dict[str, list[str]]:
    """Per device, the dtypes in which the weights and a fifth more fit its free memory.

    Empty where the number of weights is not known.
    """
    from gptterm.engine.runtime.device import describe_devices

    if not known.parameters:
        return {}
    bytes_each = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
    return {
        device.name: [
            dtype
            for dtype, each in bytes_each.items()
            if known.parameters * each * 1.2 <= device.free_bytes
            and (dtype != "int8" or (known.decoder == "native" and device.name == "cpu"))
        ]
        for device in describe_devices()
        if device.free_bytes
    }


def _print_json(rows: Iterable[dict[str, Any]]) -> None:
    from gptterm.cli.output import json_line

    for row in rows:
        click.echo(json_line(row), nl=False)


def _print_path(path: str) -> None:
    """A path for `$(...)`: its very bytes, but on a terminal no control characters."""
    import os

    if sys.stdout.isatty():
        click.echo(one_line(path))
    else:
        click.echo(os.fsencode(path))

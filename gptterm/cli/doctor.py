"""`gptterm doctor`: report versions, devices, files and models, for users and bug reports."""

import functools
import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from gptterm import __version__
from gptterm.errors import GpttermError
from gptterm.format import byte_size
from gptterm.terminal import one_line

_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "accelerate",
    "huggingface_hub",
    "textual",
    "rich",
    "numpy",
    "openai",
)
_Section = dict[str, str]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--offline", is_flag=True, help="Do not check whether the Hub answers.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--server", metavar="URL", help="Show what a server can do, instead.")
@click.option("-m", "--model", metavar="NAME", help="With --server: the model to try.")
@click.option("--api-key", metavar="KEY", default="", help="With --server: its key.")
def doctor(
    offline: bool, as_json: bool, server: str | None, model: str | None, api_key: str
) -> None:
    """Show versions, devices, files, models and the default model.

    Nothing is downloaded. Without --offline, the Hub is asked for an answer. With --server, the
    server is asked for its models, and for a few tokens in each form.
    """
    if server is not None:
        from gptterm.cli.doctor_server import server_sections

        found = server_sections(server, model, api_key, offline=offline)
        _print({title: functools.partial(dict, rows) for title, rows in found.items()}, as_json)
        return
    if model is not None or api_key:
        raise click.UsageError("--model and --api-key need --server")
    sections: dict[str, Callable[[], _Section]] = {
        "versions": _versions,
        "devices": _devices,
        "files": _files,
        "network": _network,
        "models": _models,
        "default model": lambda: _default_model(offline),
    }
    _print(sections, as_json)


def _print(sections: dict[str, Callable[[], _Section]], as_json: bool) -> None:
    if as_json:
        from gptterm.cli.console import print_json

        report: dict[str, Any] = {title: section() for title, section in sections.items()}
        print_json([report])
        return
    for title, section in sections.items():
        click.echo(title)
        rows = section()
        width = max((len(one_line(label)) for label in rows), default=0)
        for label, text in rows.items():
            click.echo(f"  {one_line(label):{width}}  {one_line(text)}".rstrip())


def _versions() -> _Section:
    found = {
        "gptterm": __version__,
        "python": f"{platform.python_version()} ({sys.executable})",
        "system": platform.platform(),
    }
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


def _devices() -> _Section:
    """Devices that models can run on. A broken torch on a machine with a GPU is reported."""

    try:
        from gptterm.engine.runtime.device import describe_devices

        devices = describe_devices()
    except Exception as error:
        return {"torch": f"cannot be used: {error}"}
    from gptterm.engine.kernels.compiled import kernels_name

    rows: _Section = {
        "kernels": kernels_name() or "not built: torch computes; install a C compiler"
    }
    for device in devices:
        memory = f", {byte_size(device.free_bytes)} free of {byte_size(device.total_bytes)}"
        rows[device.name] = device.description + (memory if device.total_bytes else "")
    return rows


def _files() -> _Section:
    import shutil

    from gptterm.engine.quantization import conversion_cache
    from gptterm.models import cache_folder
    from gptterm.paths import config_file, data_directory, engine_log, tui_log

    converted = sum(conversion.size for conversion in conversion_cache.list_conversions())
    cache = cache_folder()
    place = next((p for p in (cache, *cache.parents) if p.exists()), Path("/"))
    writable = "" if os.access(place, os.W_OK) else ", not writable"
    return {
        "config": f"{config_file()}{'' if config_file().exists() else ' (does not exist)'}",
        "data": str(data_directory()),
        "log": str(engine_log()),
        "TUI's log": str(tui_log()),
        "cache": f"{cache}{'' if cache.exists() else ' (does not exist yet)'}{writable}",
        "converted": f"{conversion_cache.folder()}, {byte_size(converted)}",
        "disk": f"{byte_size(shutil.disk_usage(place).free)} free under the cache",
    }


def _network() -> _Section:
    """Settings of the connection to the Hub. Of secrets only whether they are set."""
    from huggingface_hub import constants

    rows = {"hub": constants.ENDPOINT, "offline": "yes" if constants.HF_HUB_OFFLINE else "no"}
    has_token = "HF_TOKEN" in os.environ or Path(constants.HF_TOKEN_PATH).is_file()
    rows["token"] = "set" if has_token else "none"
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
        value = os.environ.get(name) or os.environ.get(name.lower())
        if value:
            rows[name] = _without_password(value)
    return rows


def _without_password(address: str) -> str:
    """A proxy's address without the user and password before the @."""
    head, scheme, rest = address.rpartition("://")
    return f"{head}{scheme}{rest.rpartition('@')[2]}"


def _models() -> _Section:
    from gptterm.models import BUNDLED, bundled, cached_models

    rows: _Section = {}
    try:
        rows[BUNDLED] = bundled().directory
    except GpttermError as error:
        rows[BUNDLED] = str(error)
    for model in cached_models():
        rows[model.name] = model.problem or f"{byte_size(model.size)}, {model.path}"
    return rows


def _default_model(offline: bool) -> _Section:
    """The model that `gptterm` uses without `-m`, and gpt2 if that is another."""
    from gptterm.config import load_settings

    rows: _Section = {}
    try:
        settings = load_settings()
        remote = settings.remote
        if remote is not None:
            return {settings.model: f"on a server, {remote.url} (--server shows what it can do)"}
        names: Iterator[str] = iter(dict.fromkeys((settings.model, "gpt2")))
        offline = offline or settings.offline
    except GpttermError as error:
        rows["settings"] = str(error)
        names = iter(("gpt2",))
    for name in names:
        rows[name] = _preview(name, offline)
    return rows


def _preview(name: str, offline: bool) -> str:
    from gptterm.models import BUNDLED, preview_resolve

    try:
        action, detail = preview_resolve(name, offline=offline)
    except GpttermError as error:
        return str(error)
    match action:
        case "use":
            return f"on this machine, {detail}"
        case "download":
            return f"would be downloaded from {detail}"
        case _:
            return f"{detail}; gptterm would use {BUNDLED} instead"

"""`gptterm engine`: start, stop and list warm engines, which outlive their front ends."""

import math
import os
from typing import TYPE_CHECKING

import click

from gptterm.cli.console import print_json, print_table
from gptterm.cli.options import adapter_option, setting_option
from gptterm.config.definitions import SETTINGS
from gptterm.errors import GpttermError, UsageError
from gptterm.format import byte_size, duration
from gptterm.terminal import one_line

if TYPE_CHECKING:
    from gptterm.engine.daemon.handshake import EngineStatus

_HELP = {"help_option_names": ["-h", "--help"]}


@click.group(context_settings=_HELP)
def engine() -> None:
    """Keep a model loaded, so that the next prompt does not wait for it.

    A warm engine serves all front ends of this user on this machine, one prompt after the other.
    With keep_alive set (option, GPTTERM_KEEP_ALIVE, config.toml) prompts start one themselves;
    without it they use one that is running.
    """
    if os.name != "posix":
        raise GpttermError("warm engines need Unix sockets, which this system does not have")


@engine.command(context_settings=_HELP)
@click.argument("name", required=False)
@setting_option("model", "-m", "--model")
@adapter_option
@setting_option("device", "--device")
@setting_option("dtype", "--dtype")
@setting_option("kv_dtype", "--kv-dtype")
@setting_option("context", "--context")
@setting_option("keep_alive", "--keep-alive")
@click.option("--offline", is_flag=True, default=None, help=SETTINGS["offline"].help)
def start(name: str | None, **given: object) -> None:
    """Start the engine of the model NAME.

    Waits until it is ready, or finds it running. It runs until it is stopped, or idle for as long
    as keep_alive says.
    """
    from gptterm.cli.streams import configure_libraries
    from gptterm.config import load_settings
    from gptterm.engine.daemon.sync_client import open_engine
    from gptterm.models import resolve

    configure_libraries()
    if name is not None and given["model"] is not None:
        raise UsageError("name the model once: as NAME or with --model")
    given["model"] = given["model"] if name is None else name
    settings = load_settings({name: value for name, value in given.items() if value is not None})
    if settings.remote is not None:
        raise UsageError(f"{one_line(settings.model)} is on a server: it needs no engine here")
    source = resolve(
        settings.model,
        offline=settings.offline,
        progress=True,
        fallback=settings.model_is_default,
    )
    keep_alive_s = settings.keep_alive_s or math.inf
    warm = open_engine(settings.load_request(source), keep_alive_s)
    assert warm is not None  # keep_alive starts one
    for notice in (*settings.notices, *warm.info.notices):
        click.echo(f"gptterm: note: {one_line(notice)}", err=True)
    info, daemon = warm.info, warm.connection
    state = "ready" if daemon.started else "already running, ready"
    click.echo(
        f"{one_line(info.name)} on {info.device}, {info.dtype}: {state} after {info.load_s:.2f} s "
        f"(process {daemon.pid}, {_stays(keep_alive_s)})"
    )
    warm.close()


@engine.command(context_settings=_HELP)
@click.argument("name", required=False)
def stop(name: str | None) -> None:
    """Stop the engines of the model NAME, or all. Prompts in progress end with an error."""
    from gptterm.engine.daemon import launcher

    found = launcher.list_daemons()
    if name is not None:
        found = [one for one in found if one.status is not None and _is_of(one.status, name)]
    for one in found:
        launcher.stop(one)
        status = one.status
        if status is not None:
            click.echo(f"{one_line(status.model) or 'an engine'} stopped (process {status.pid})")
    if not found:
        click.echo(_nothing(name), err=True)


@engine.command(context_settings=_HELP)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def status(as_json: bool) -> None:
    """List the running engines and their state."""
    from gptterm.engine.daemon import launcher

    found = [one.status for one in launcher.list_daemons() if one.status is not None]
    if as_json:
        print_json(map(_as_json, found))
    elif found:
        header = ("MODEL", "DEVICE", "DTYPE", "STATE", "CLIENTS", "MEMORY", "PROCESS", "ENDS")
        print_table(header, [_row(one) for one in found])
    else:
        click.echo(_nothing(None), err=True)


def _row(status: "EngineStatus") -> tuple[str, ...]:
    from gptterm import __version__

    state = status.state
    if status.version not in ("", __version__):
        state += f", of version {status.version}"
    clients = str(status.clients) + (f" ({status.waiting} waiting)" if status.waiting else "")
    left = status.keep_alive_s - status.idle_s
    when = "when stopped" if math.isinf(left) else f"in {duration(left)}"
    if status.clients and not math.isinf(left):
        when = f"{duration(status.keep_alive_s)} after its last client"
    memory = byte_size(status.memory) if status.memory else ""
    return (
        status.model, status.device, status.dtype, state, clients, memory, str(status.pid), when,
    )  # fmt: skip


def _as_json(status: "EngineStatus") -> dict[str, object]:
    import msgspec

    line: dict[str, object] = msgspec.structs.asdict(status)
    del line["keep_alive_s"]  # JSON has no infinity
    minutes = status.keep_alive_s / 60
    return line | {"keep_alive": "forever" if math.isinf(minutes) else minutes}


def _is_of(status: "EngineStatus", name: str) -> bool:
    """Whether `name` is the name of an engine's model."""
    if status.model == name:
        return True
    from pathlib import Path

    from gptterm.models import find_local

    source = find_local(name)
    path = Path(source.directory, source.gguf_file or "")
    return os.path.realpath(status.directory) == os.path.realpath(path)


def _nothing(name: str | None) -> str:
    return "no engine is running" if name is None else f"no engine of {one_line(name)} is running"


def _stays(seconds: float) -> str:
    if math.isinf(seconds):
        return "runs until `gptterm engine stop`"
    return f"ends after {duration(seconds)} without a client"

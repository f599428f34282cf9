"""`gptterm web`: the TUI in a browser, a process for each visitor."""

import importlib.util
import os

import click

from gptterm.cli.dispatch import require_directory
from gptterm.cli.help import SectionedCommand
from gptterm.cli.options import (
    CONTEXT,
    HISTORY,
    MACHINE,
    SectionedOption,
    engine_options,
    flag_option,
    given_settings,
    model_options,
    sampling_options,
)
from gptterm.cli.signals import Signals
from gptterm.cli.streams import Streams, configure_libraries
from gptterm.config import load_settings
from gptterm.errors import GpttermError

_HELP = """Serve the TUI to a browser.

Whoever opens the page can do what you can do in gptterm, the files that it reads and writes
included. So it is served to this machine alone, under an address with a key that is printed at the
start; where --host names another address, put a server with TLS in front of it. Each visitor has a
session of their own.
"""


def _parameters() -> list[click.Parameter]:
    return [
        *model_options(),
        *sampling_options(),
        flag_option(
            HISTORY, "--save/--no-save", "save", default=None,
            text="whether to save the chats in the history  [--save]",
        ),
        *engine_options(),
        SectionedOption(
            ["--host", "host"], MACHINE, metavar="ADDRESS", default="127.0.0.1",
            help="the address to listen on  [127.0.0.1, this machine alone]",
        ),
        SectionedOption(
            ["--port", "port"], MACHINE, type=click.IntRange(1, 65535), metavar="N", default=8000,
            help="the port to listen on  [8000]",
        ),
    ]  # fmt: skip


@click.pass_obj
def _start(signals: Signals, /, host: str, port: int, api_key: str, **values: object) -> int:
    given = given_settings(values)
    require_directory()
    streams = Streams()
    configure_libraries()
    load_settings(given, api_key=api_key)  # its problems are told here, not in the browser
    if importlib.util.find_spec("textual_serve") is None:
        raise GpttermError("gptterm web needs textual-serve: pip install 'gptterm[web]'")
    from gptterm.tui.web import serve

    signals.release()
    try:
        serve(given, api_key, host=host, port=port, say=streams.say, environ=os.environ)
    except OSError as error:
        raise GpttermError(f"cannot listen on {host}, port {port}: {error.strerror}") from None
    return 0


web = SectionedCommand(
    "web", help=_HELP, params=_parameters(), callback=_start, context_settings=CONTEXT
)

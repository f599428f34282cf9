"""The engine's process: `python -m gptterm.engine.ipc.child_main`, started by `EngineClient`.

It has one client, at the other end of an inherited socket, and ends with it.
"""

import argparse
import ctypes
import faulthandler
import gc
import os
import signal
import socket
import sys
import threading
from typing import NoReturn

from gptterm.engine.ipc.client_channel import ClientChannel
from gptterm.engine.ipc.worker import Worker
from gptterm.engine.runtime.log import write_output_to_log

_LAST_WORDS_S = 1.0
"""Seconds that the exit waits for the client to read the last frames."""


def main() -> NoReturn:
    """Serve the client at the other end of the inherited socket."""
    parser = argparse.ArgumentParser(prog="gptterm.engine.ipc.child_main")
    parser.add_argument("--socket", type=int, required=True, help="an inherited descriptor")
    parser.add_argument("--parent", type=int, required=True, help="the client's process id")
    parser.add_argument("--factory", required=True, help="module:function that loads an engine")
    args = parser.parse_args()
    write_output_to_log()
    _die_with(args.parent)
    gc.set_threshold(100_000)  # imports make no garbage, and tokens hardly any
    faulthandler.enable()
    os.set_inheritable(args.socket, False)
    channel = ClientChannel(socket.socket(fileno=args.socket), lost=_vanish)

    def leave(code: int) -> NoReturn:
        channel.send_buffer.flush(_LAST_WORDS_S)
        # At once: tearing down an interpreter with native threads in it can hang.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    worker = Worker(args.factory, leave)
    worker.scheduler.add_client(channel)
    threading.Thread(target=_read, args=(worker, channel), daemon=True).start()
    worker.import_engine()
    worker.run()
    leave(0)


def _read(worker: Worker, channel: ClientChannel) -> NoReturn:
    """Handle commands until the client disconnects, then exit."""
    worker.serve(channel)
    _vanish()


def _vanish() -> NoReturn:
    """Exit at once, even during a load: the client is gone."""
    os._exit(0)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux only).

    The socket does the same; this one also works while native code sits on the interpreter lock.
    """
    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main()

"""`gptterm` and `python -m gptterm`."""

import gc
import os
import sys
from typing import NoReturn

from gptterm.cli.signals import Signals


def main() -> NoReturn:
    """Run the command line and exit."""
    _use_utf8()
    # NumPy's products are small here, and each of its threads spins for 0.1 s before it sleeps.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(100_000)  # at 700, the default, imports collect garbage for 10 ms and more
    signals = Signals()
    signals.install()
    # Slower imports come after the handlers, so that Ctrl-C never shows a traceback.
    from gptterm.cli.main import READER_GONE, run
    from gptterm.cli.streams import ensure_descriptors

    ensure_descriptors()
    code = run(sys.argv[1:], signals)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or READER_GONE
    finally:
        # Not sys.exit: unloading torch takes 0.1 s, a library's thread could keep the process
        # alive, and Python would report a closed stdout.
        os._exit(code)


def _use_utf8() -> None:
    """Restart Python with UTF-8 where LC_ALL=C and PYTHONUTF8=0 make its encoding ASCII.

    Only the interpreter's start sets how arguments, variables and file names are decoded.
    """
    if sys.getfilesystemencoding() == "ascii" and os.environ.get("PYTHONUTF8") != "1":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, sys.orig_argv)


if __name__ == "__main__":
    main()

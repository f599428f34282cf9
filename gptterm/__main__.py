"""`gptterm` and `python -m gptterm`."""

import os
import sys
from typing import NoReturn

from gptterm.cli.signals import Signals


def main() -> NoReturn:
    """Run the command line and exit."""
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


if __name__ == "__main__":
    main()

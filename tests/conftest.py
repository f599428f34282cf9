"""Settings of the whole suite."""

import os
import signal

from hypothesis import settings

# No deadlines: on a busy machine an example may take long.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# A shell's background jobs ignore Ctrl-C, and the commands under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_xdist_auto_num_workers() -> int:
    """Number of workers for `-n auto`: tests of screens and processes wait half of their time."""
    return 2 * (os.cpu_count() or 1)

"""Settings of the whole suite."""

import signal

from hypothesis import settings

# No deadlines: on a busy machine an example may take long.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# A shell's background jobs ignore Ctrl-C, and the commands under test would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

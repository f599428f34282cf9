"""What holds for the whole suite."""

import signal

from hypothesis import settings

# A machine may be busy: an example that takes long has not failed.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# A shell's background job begins with Ctrl-C ignored, and the commands under test inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

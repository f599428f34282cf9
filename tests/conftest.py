"""What holds for the whole suite."""

from hypothesis import settings

# A machine may be busy: an example that takes long has not failed.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

"""Errors that reach a user, each with its exit code: one line that says what to do."""

from typing import ClassVar


class GpttermError(Exception):
    """Base of every error gptterm raises on purpose. `str(error)` is the one line shown."""

    exit_code: ClassVar[int] = 1


class UsageError(GpttermError):
    """Wrong options, an empty prompt, input that is not UTF-8."""

    exit_code = 2


class ModelError(GpttermError):
    """A model cannot be found, downloaded or loaded."""

    exit_code = 3


class OutOfMemoryError(GpttermError):
    """The device or the machine has no room for the model or its cache."""

    exit_code = 4


class PromptTooLongError(GpttermError):
    """The prompt does not fit the context and the request forbids truncation."""

    exit_code = 5

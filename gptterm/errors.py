"""Errors that reach a user, each with its exit code: one line that says what to do."""

from typing import ClassVar, Literal

FailureKind = Literal["usage", "model", "out_of_memory", "prompt_too_long", "internal"]
"""Name of an error where only data can go: on a pipe, in JSON."""


class GpttermError(Exception):
    """Base of every error gptterm raises on purpose. `str(error)` is the one line shown."""

    exit_code: ClassVar[int] = 1
    kind: ClassVar[FailureKind] = "internal"


class UsageError(GpttermError):
    """Wrong options, an empty prompt, input that is not UTF-8."""

    exit_code = 2
    kind = "usage"


class ModelError(GpttermError):
    """A model cannot be found, downloaded or loaded."""

    exit_code = 3
    kind = "model"


class OutOfMemoryError(GpttermError):
    """The device or the machine has no room for the model or its cache."""

    exit_code = 4
    kind = "out_of_memory"


class PromptTooLongError(GpttermError):
    """The prompt does not fit the context and the request forbids truncation."""

    exit_code = 5
    kind = "prompt_too_long"


def error_of(kind: FailureKind, message: str) -> GpttermError:
    """The error that `kind` is the name of."""
    classes = (UsageError, ModelError, OutOfMemoryError, PromptTooLongError)
    return next((cls for cls in classes if cls.kind == kind), GpttermError)(message)

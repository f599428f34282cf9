"""Errors for users: one line that says what to do, and an exit code."""

from typing import Literal

FailureKind = Literal["usage", "model", "out_of_memory", "prompt_too_long", "internal"]
"""Name of an error where only data can go: on a pipe, in JSON."""


class GpttermError(Exception):
    """Base of all errors that gptterm raises on purpose. `str(error)` is the line shown."""

    exit_code: int = 1
    kind: FailureKind = "internal"


class UsageError(GpttermError):
    """Wrong options, an empty prompt, input that is not UTF-8."""

    exit_code = 2
    kind = "usage"


class ModelError(GpttermError):
    """A model cannot be found, downloaded or loaded."""

    exit_code = 3
    kind = "model"


class OutOfMemoryError(GpttermError):
    """The model or its KV cache does not fit in the memory of the device or the machine."""

    exit_code = 4
    kind = "out_of_memory"


class PromptTooLongError(GpttermError):
    """The prompt does not fit the context and the request forbids truncation."""

    exit_code = 5
    kind = "prompt_too_long"


def pass_exits(error: BaseException) -> None:
    """Raise `error` again if it is to end the process, a thread or a generator.

    All other exceptions are failures of one request, those of native libraries too, which may
    derive from BaseException: Rust's panics do.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        raise error


def error_of(kind: FailureKind, message: str) -> GpttermError:
    """Create the error of a kind."""
    classes = (UsageError, ModelError, OutOfMemoryError, PromptTooLongError)
    return next((cls for cls in classes if cls.kind == kind), GpttermError)(message)

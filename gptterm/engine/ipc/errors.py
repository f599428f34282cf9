"""Exceptions as the wire tells of them, and back again."""

from pathlib import Path

from gptterm.errors import FailureKind, GpttermError, ModelError, error_of
from gptterm.format import first_line


def describe(error: Exception) -> tuple[FailureKind, str]:
    """What kind of failure an exception is, and one line about it for the user."""
    if isinstance(error, GpttermError):
        return error.kind, str(error)
    # torch.OutOfMemoryError by its name: torch may not be there at all.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out_of_memory", "not enough memory: try a smaller model or a smaller --dtype"
    return "internal", f"the engine failed: {type(error).__name__}: {first_line(error)}"


def load_error(kind: FailureKind, message: str, log: Path) -> GpttermError:
    """The error that a failed load is for the one who asked for it."""
    if kind == "internal":
        return ModelError(f"{message}; the log is {log}")
    return error_of(kind, message)

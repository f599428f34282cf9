"""Convert exceptions to failure messages of the protocol, and back."""

from pathlib import Path

from gptterm.errors import FailureKind, GpttermError, ModelError, error_of
from gptterm.format import first_line


def describe(error: BaseException) -> tuple[FailureKind, str]:
    """Return an exception's failure kind and a one-line message for the user."""
    if isinstance(error, GpttermError):
        return error.kind, str(error)
    # torch.OutOfMemoryError is known by its name: torch may not be imported.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out_of_memory", "not enough memory: try a smaller model or a smaller --dtype"
    return "internal", f"the engine failed: {type(error).__name__}: {first_line(error)}"


def load_error(kind: FailureKind, message: str, log: Path) -> GpttermError:
    """Return the exception for a failed load."""
    if kind == "internal":
        return ModelError(f"{message}; the log is {log}")
    return error_of(kind, message)

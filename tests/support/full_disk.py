"""Fill a small disk, in the process under test or from outside. Imports nothing heavy."""

from pathlib import Path

_BALLAST = "ballast"


def fill(folder: Path) -> None:
    """Fill the disk of a folder to the last byte."""
    with (folder / _BALLAST).open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1000))
        except OSError:
            pass


def free(folder: Path) -> None:
    """Undo `fill`."""
    (folder / _BALLAST).unlink()

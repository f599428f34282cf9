"""Disks of a program under test alone: a small one that can be filled, one that is read-only.

They are mounts in a namespace of the program's own; the test reaches into it by its process id.
"""

import subprocess
from pathlib import Path

from tests.models.test_cache_trouble import READ_ONLY, mounted

SMALL = 'mount -t tmpfs -o size=1m none "$0"'


class Disk:
    """A folder that is a disk of its own for whoever is started with `prefix`.

    Args:
        folder: where it is mounted.
        mount: `SMALL` or `READ_ONLY`.
    """

    def __init__(self, folder: Path, mount: str) -> None:
        self.folder = folder
        self.prefix = mounted(mount, folder)

    def inside(self, pid: int) -> Path:
        """The folder as the process sees it."""
        return Path(f"/proc/{pid}/root{self.folder}")

    def fill(self, pid: int) -> None:
        """Leave no byte of a small disk."""
        with (self.inside(pid) / "ballast").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1000))
            except OSError:
                pass

    def free(self, pid: int) -> None:
        """Undo `fill`."""
        (self.inside(pid) / "ballast").unlink()

    def make_writable(self, pid: int) -> None:
        """End that a disk is read-only."""
        enter = ["nsenter", "-t", str(pid), "-U", "-m", "--preserve-credentials"]
        remount = ["mount", "-o", "remount,bind,rw", str(self.folder)]
        subprocess.run([*enter, *remount], check=True)


__all__ = ["READ_ONLY", "SMALL", "Disk"]

"""Private disks for a program under test: a small one that can be filled, a read-only one.

They are mounts in a namespace of the program; the test accesses it by the process id.
"""

import subprocess
from pathlib import Path

from tests.models.test_cache_trouble import READ_ONLY, mounted
from tests.support.full_disk import fill, free

SMALL = 'mount -t tmpfs -o size=1m none "$0"'


class Disk:
    """A folder that is a disk of its own for a process started with `prefix`.

    Args:
        folder: the mount point.
        mount: `SMALL` or `READ_ONLY`.
    """

    def __init__(self, folder: Path, mount: str) -> None:
        self.folder = folder
        self.prefix = mounted(mount, folder)

    def inside(self, pid: int) -> Path:
        """The folder as the process sees it."""
        return Path(f"/proc/{pid}/root{self.folder}")

    def fill(self, pid: int) -> None:
        """Fill a small disk to the last byte."""
        fill(self.inside(pid))

    def free(self, pid: int) -> None:
        """Undo `fill`."""
        free(self.inside(pid))

    def make_writable(self, pid: int) -> None:
        """Make a read-only disk writable."""
        enter = ["nsenter", "-t", str(pid), "-U", "-m", "--preserve-credentials"]
        remount = ["mount", "-o", "remount,bind,rw", str(self.folder)]
        subprocess.run([*enter, *remount], check=True)


__all__ = ["READ_ONLY", "SMALL", "Disk"]

"""Exit of an engine's process: its cause and remedy, in one line."""

import re
import signal
from pathlib import Path

from gptterm.errors import FailureKind

_REMEDIES: dict[int, tuple[FailureKind, str]] = {
    signal.SIGBUS: (
        "model",
        "the model's files were cut short while they were read; fetch the model again",
    ),
    signal.SIGILL: (
        "internal",
        "this CPU lacks an instruction that a library uses; install gptterm anew on this machine",
    ),
    signal.SIGSEGV: (
        "internal",
        "native code failed; another --device or --dtype may work",
    ),
}
_FATAL = re.compile(
    rb"^Fatal Python error: (Bus error|Illegal instruction|Segmentation fault)", re.MULTILINE
)
_SIGNALS = {
    b"Bus error": signal.SIGBUS,
    b"Illegal instruction": signal.SIGILL,
    b"Segmentation fault": signal.SIGSEGV,
}
_TAIL = 1 << 16
"""Bytes at the end of a log that are searched."""


class ExitWitness:
    """Tells why an engine's process ended: from its exit code, the log, and the memory killer.

    To be made before it ends.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._oom_kills = oom_kill_count()
        self._log_size = _size(log)

    @property
    def memory_ran_out(self) -> bool:
        """Whether Linux's OOM killer has killed a process since."""
        before, now = self._oom_kills, oom_kill_count()
        return before is not None and now is not None and now > before

    def describe_child(self, code: int, activity: str) -> tuple[FailureKind, str]:
        """Describe the exit of a child of this process."""
        return describe_exit(code, activity, self._log, memory_ran_out=self.memory_ran_out)

    def describe_daemon(self, pid: int, activity: str = "") -> tuple[FailureKind, str]:
        """Describe the end of a process that is no child of this one."""
        what = f"the warm engine (process {pid}) ended{activity and ' '}{activity}"
        kind: FailureKind = "internal"
        remedy = ""
        number = self._logged_signal()
        if number is not None:
            kind, remedy = _REMEDIES[number]
            remedy = f" by {number.name}: {remedy}"
        elif self.memory_ran_out:
            kind = "out_of_memory"
            remedy = ": the system ran out of memory; try a smaller model or a smaller --dtype"
        return kind, f"{what}{remedy}; its log is {self._log}"

    def _logged_signal(self) -> signal.Signals | None:
        """The signal that faulthandler has written to the log since."""
        size = _size(self._log)
        start = max(self._log_size if self._log_size <= size else 0, size - _TAIL)
        try:
            with self._log.open("rb") as log:
                log.seek(start)
                found = _FATAL.findall(log.read(_TAIL))
        except OSError:
            return None
        return _SIGNALS[found[-1]] if found else None


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except OSError:
        return 0


def oom_kill_count() -> int | None:
    """Return the number of processes that Linux's OOM killer has killed since boot."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    counts = (line.split() for line in lines if line.startswith("oom_kill "))
    return next((int(count) for _, count in counts), None)


def describe_exit(
    code: int, activity: str, log: Path, *, memory_ran_out: bool
) -> tuple[FailureKind, str]:
    """Describe in one line a process that exited with `code` (negative: minus the signal)."""
    if code == -signal.SIGKILL and memory_ran_out:
        return "out_of_memory", (
            f"the system ran out of memory and killed the engine (SIGKILL) {activity}: "
            "try a smaller model or a smaller --dtype"
        )
    how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
    kind, remedy = _REMEDIES.get(-code, ("internal", ""))
    return kind, f"the engine {how} {activity}{remedy and ': '}{remedy}; its log is {log}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

"""Private parts of Textual that the TUI relies on, in one place.

Textual is pinned in constraints.txt; tests check that each of these exists in that version.
"""

from enum import StrEnum
from typing import Any, TypeVar, cast

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.app import App
from textual.driver import Driver
from textual.worker import WorkerFailed

Result = TypeVar("Result")


def add_key_sequence(sequence: str, key: str) -> None:
    """Have Textual's parser of terminal input read an escape sequence as a key."""
    (member,) = StrEnum("_Key", {"KEY": key})
    cast("dict[str, object]", ANSI_SEQUENCES_KEYS)[sequence] = (member,)


def write_to_terminal(app: App[Any], data: str) -> None:
    """Write a control sequence to the terminal that the app draws on, if there is one."""
    if (driver := app._driver) is not None:
        driver.write(data)
        driver.flush()


def resumable_driver() -> type[Driver]:
    """Return a driver for POSIX terminals that also recovers from SIGSTOP."""
    from textual.drivers.linux_driver import LinuxDriver

    class ResumableDriver(LinuxDriver):
        """Takes the terminal over again at SIGCONT, even if no SIGTSTP came before."""

        def _sigcont_application(self, *_: object) -> None:
            if self._auto_restart and not self._must_signal_resume:
                # Otherwise a second thread would read keys, and quitting would wait for the first.
                self.suspend_application_mode()
                self._must_signal_resume = True
            super()._sigcont_application()

    return ResumableDriver


class FailureRecordingApp(App[Result]):
    """Remembers the first unhandled exception, which ends the app.

    Attributes:
        failure: That exception.
    """

    failure: Exception | None = None

    def _handle_exception(self, error: Exception) -> None:
        cause = error.error if isinstance(error, WorkerFailed) else error
        if self.failure is None and isinstance(cause, Exception):
            self.failure = cause
        super()._handle_exception(error)

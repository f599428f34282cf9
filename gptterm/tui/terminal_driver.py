"""Textual's driver of a terminal, going on also where the process was stopped without notice."""

import os
from enum import StrEnum
from typing import cast

from textual import constants
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.driver import Driver


def driver_class() -> type[Driver] | None:
    """The driver to be used; None: the one that Textual chooses."""
    if os.name != "posix" or constants.DRIVER is not None:
        return None
    from textual.drivers.linux_driver import LinuxDriver

    class TerminalDriver(LinuxDriver):
        """Takes hold of the terminal anew after SIGSTOP, too, of which no process is told."""

        def _sigcont_application(self, *_: object) -> None:
            if self._auto_restart and not self._must_signal_resume:
                # Else a second thread would read keys, and quitting would wait for the first.
                self.suspend_application_mode()
                self._must_signal_resume = True
            super()._sigcont_application()

    return TerminalDriver


class _Keys(StrEnum):
    ALT_ENTER = "alt+enter"


def register() -> None:
    """Tell Textual's parser of them."""
    known = cast("dict[str, object]", ANSI_SEQUENCES_KEYS)
    known["\x1b\r"] = (_Keys.ALT_ENTER,)

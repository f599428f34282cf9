"""SIGBUS: the error line for mapped weights that are cut short while they are read.

The kernel sends SIGBUS, which ends a process without a word, and cannot be handled in Python.
"""

import ctypes

from gptterm.engine.kernels.compiled import library


def report_bus_errors(descriptor: int, line: str, exit_code: int) -> None:
    """Let SIGBUS write a line to a descriptor and end the process with an exit code.

    Without a compiled library it ends the process as before.

    Args:
        line: at most 1,023 bytes; the rest is cut.
    """
    report = getattr(library(), "bus_errors_report", None)  # an older library has none
    if report is not None:
        report.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
        report(descriptor, line.encode("utf-8", "replace")[:1023] + b"\n", exit_code)

"""Lazy, silenced import of the transformers library.

Its import takes seconds, and its warnings and progress bars are not meant for gptterm's users.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def transformers() -> Iterator[Any]:
    """Import the module; discard what it writes to standard error, such as progress bars."""
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers as library

        _silence(library)
        yield library


def _silence(library: ModuleType) -> None:
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()

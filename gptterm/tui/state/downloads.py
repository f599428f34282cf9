"""Downloads of models, beside the model that is loaded."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gptterm.errors import GpttermError
from gptterm.format import byte_size
from gptterm.threads import in_daemon_thread
from gptterm.tui.state.events import ControllerEvent, DownloadChanged, Notified

if TYPE_CHECKING:
    from gptterm.models import Offer

REPORT_EVERY_S = 0.2
"""Time between two reports: a fast network has thousands of pieces in a second."""


class Downloads:
    """Models on offer, and those that are being downloaded.

    Args:
        emit: Called with every event.
    """

    def __init__(self, emit: Callable[[ControllerEvent], None]) -> None:
        self.offers: Sequence[Offer] = ()
        """Models to be had, while there is none but the bundled one."""
        self.progress: dict[str, str] = {}
        """Of each running download, as in `12 MB of 272 MB`."""
        self._emit = emit

    async def find_offers(self, *, offline: bool) -> None:
        """Look whether there is any other model on this machine."""
        if offline:
            return

        def work() -> "list[Offer]":
            from gptterm.models import offers

            return offers()

        self.offers = await in_daemon_thread(work)
        self._emit(DownloadChanged())

    async def fetch(self, name: str) -> bool:
        """Download a model; False if that failed, which is said."""
        if name in self.progress:
            return False
        loop, reported_at = asyncio.get_running_loop(), 0.0
        self._show(name, "asking the Hub")

        def report(done: int, total: int) -> None:
            nonlocal reported_at
            if time.monotonic() - reported_at >= REPORT_EVERY_S or done == total:
                reported_at = time.monotonic()
                text = f"{byte_size(done)} of {byte_size(total)}"
                loop.call_soon_threadsafe(self._show, name, text)

        def work() -> None:
            from gptterm.models import pull

            pull(name, on_progress=report)

        try:
            await in_daemon_thread(work)
        except GpttermError as error:
            self._emit(Notified("error", str(error)))
            return False
        finally:
            self.progress.pop(name, None)
            self._emit(DownloadChanged())
        self.offers = [offer for offer in self.offers if offer.name != name]
        return True

    def _show(self, name: str, text: str) -> None:
        self.progress[name] = text
        self._emit(DownloadChanged())

"""Transports: the openai client, or connections of our own for the many requests of a batch."""

from typing import TYPE_CHECKING

from gptterm.engine.api import RemoteModel
from gptterm.engine.remote.exchange import RETRIES, Transport
from gptterm.engine.remote.servers import Access
from gptterm.errors import ModelError
from gptterm.threads import in_daemon_thread

if TYPE_CHECKING:
    from gptterm.engine.remote.openai_transport import OpenaiTransport


async def open_openai(
    remote: RemoteModel, access: Access, retries: int = RETRIES
) -> "OpenaiTransport":
    """Prepare the openai client, which connects by itself.

    Raises:
        ModelError: the openai package is missing, or too old.
    """

    def prepare() -> "OpenaiTransport":
        try:
            from gptterm.engine.remote.openai_transport import OpenaiTransport
        except ImportError as error:
            raise ModelError(
                f"remote models need the openai package, version 3 or later ({error}): "
                'pip install "openai>=3"'
            ) from None
        return OpenaiTransport(remote, access, retries)

    # The import and the trust store take most of a second, without the event loop.
    return await in_daemon_thread(prepare)


async def open_for_batch(remote: RemoteModel, access: Access, retries: int) -> Transport:
    """Prepare what takes the least time for a request. Raises as `open_openai` does."""
    from gptterm.engine.remote.direct import DirectTransport, is_direct

    if is_direct(remote.url):
        return await in_daemon_thread(lambda: DirectTransport(remote, access, retries))
    return await open_openai(remote, access, retries)

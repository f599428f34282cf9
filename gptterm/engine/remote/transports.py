"""Transports: connections of our own, or a client that goes through proxies."""

from gptterm.engine.api import RemoteModel
from gptterm.engine.remote.exchange import RETRIES, Transport
from gptterm.engine.remote.servers import Access
from gptterm.threads import in_daemon_thread


async def open_transport(remote: RemoteModel, access: Access, retries: int = RETRIES) -> Transport:
    """Prepare the way to a server, which connects with the first request."""
    from gptterm.engine.remote.direct import is_direct

    prepare = _direct if is_direct(remote.url) else proxied
    # Imports and the trust store take up to a fifth of a second, without the event loop.
    return await in_daemon_thread(lambda: prepare(remote, access, retries))


def _direct(remote: RemoteModel, access: Access, retries: int) -> Transport:
    from gptterm.engine.remote.direct import DirectTransport

    return DirectTransport(remote, access, retries)


def proxied(remote: RemoteModel, access: Access, retries: int) -> Transport:
    """Prepare the way through proxies; without any, it connects directly."""
    from gptterm.engine.remote.proxied import ProxiedTransport

    return ProxiedTransport(remote, access, retries)

"""Check within a deadline whether the Hub can be reached.

A name server that never answers, an address that drops packets and a server that accepts and stays
silent hold an HTTP client for ten seconds and more. So the Hub library's own session asks, in a
daemon thread that may be left behind, and nobody waits for it beyond the deadline.
"""

import queue
import socket
import threading

from gptterm.format import first_line
from gptterm.models.errors import causes


def unreachable_reason(url: str, within: float) -> str | None:
    """Return why the server at `url` cannot be reached; None if it answers, whatever it answers.

    The request goes the way of the downloads: through the same proxies, with the same
    certificates. Its connection stays open for them.

    Args:
        url: http or https.
        within: seconds after which the server counts as unreachable.
    """
    from huggingface_hub import get_session  # 0.2 s, needed only to download

    timed_out = f"no answer in {within:g} s"
    try:
        session = get_session()
    except (ImportError, ValueError) as error:  # a proxy of a kind that it does not support
        return first_line(error)
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def ask() -> None:
        try:
            session.head(url, timeout=within, follow_redirects=False)
        except Exception as error:  # those of several libraries, with no base of their own
            answers.put(_reason(error) or timed_out)
        else:
            answers.put(None)

    threading.Thread(target=ask, daemon=True).start()
    try:
        return answers.get(timeout=within)
    except queue.Empty:
        return timed_out


def _reason(error: Exception) -> str:
    """Explain a failed request; empty for a time-out."""
    for link in causes(error):
        match link:
            case TimeoutError():
                return ""
            case socket.gaierror() | UnicodeError():
                return "the host name cannot be looked up"
            case ConnectionError() if link.strerror:
                return link.strerror.lower()
    return first_line(error).rstrip(" .")

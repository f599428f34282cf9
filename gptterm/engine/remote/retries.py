"""Retries: which failures are worth another try, and when."""

import asyncio
import email.utils
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from gptterm.engine.remote.errors import causes_of
from gptterm.engine.remote.exchange import StatusError, TransportError

T = TypeVar("T")

_FOR_NOW = frozenset({408, 409, 429})
_FIRST_S, _LONGEST_S = 0.5, 8.0
_MOST_ASKED_S = 120.0
"""Longest wait that a server can ask for; beyond it the failure is told."""


async def with_retries(attempt: Callable[[], Awaitable[T]], retries: int) -> T:
    """Run `attempt` until it succeeds, or fails in a way that will last.

    Raises:
        StatusError, TransportError: its last failure.
    """
    for number in range(retries):
        try:
            return await attempt()
        except StatusError as error:
            wait_s = _wait_s(error, number)
            if wait_s is None:
                raise
        except TransportError as error:
            if any(isinstance(cause, ssl.SSLError) for cause in causes_of(error)):
                raise
            wait_s = _backoff_s(number)
        await asyncio.sleep(wait_s)
    return await attempt()


def _wait_s(error: StatusError, number: int) -> float | None:
    asked = retry_after_s(error.headers)
    if asked is not None and asked > _MOST_ASKED_S:
        return None
    told = error.headers.get("x-should-retry")
    if told == "false" or (told != "true" and error.status not in _FOR_NOW and error.status < 500):
        return None
    return asked if asked is not None and asked > 0 else _backoff_s(number)


def _backoff_s(number: int) -> float:
    return min(_FIRST_S * 2.0 ** min(number, 16), _LONGEST_S) * random.uniform(0.75, 1.0)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a server asks to wait; None if it does not say.

    Args:
        headers: with lower-case names.
    """
    for name, unit_s in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            wait_s = float(headers[name]) * unit_s
        except (KeyError, ValueError):
            continue
        if wait_s == wait_s:  # not NaN
            return wait_s
    date = email.utils.parsedate_tz(headers.get("retry-after", ""))
    return None if date is None else email.utils.mktime_tz(date) - time.time()

"""The list of a server's models."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from gptterm.engine.api import RemoteModel
from gptterm.engine.remote.errors import Describer, parse_body
from gptterm.engine.remote.exchange import (
    CONNECT_TIMEOUT_S,
    MOST_BODY_BYTES,
    BodyTooLongError,
    StatusError,
    TransportError,
    read_bounded,
)
from gptterm.engine.remote.servers import Access
from gptterm.engine.remote.transports import open_transport
from gptterm.errors import ModelError
from gptterm.json_values import as_objects

_NO_LIST = frozenset({404, 405, 500, 501})
"""Some servers have no list, and transformers' fails without a Hub cache."""


_LIMIT_S = 2 * CONNECT_TIMEOUT_S


class ModelList(NamedTuple):
    """A server's answer to the question for its models."""

    headers: Mapping[str, str]
    """With lower-case names."""
    models: list[dict[str, Any]]


async def list_models(remote: RemoteModel, access: Access) -> ModelList | None:
    """Return a server's models; None if it has no such list.

    Raises:
        ModelError: the server cannot be reached, or refuses.
    """
    describe = Describer(remote, access)
    transport = await open_transport(remote, access, retries=1)
    limit_s = min(access.timeout_s, _LIMIT_S)
    try:
        async with asyncio.timeout(limit_s), transport.get("models") as stream:
            headers, body = stream.headers, await read_bounded(stream, MOST_BODY_BYTES)
    except StatusError as error:
        # An address that is no API has none either.
        if error.status in _NO_LIST and not parse_body(error.body).is_page:
            return None
        problem = describe.status(error.status, error.headers, error.body)
    except TimeoutError:
        problem = describe.silence(limit_s)
    except TransportError as error:
        problem = describe.exception(error)
    except BodyTooLongError:
        problem = describe.invalid()
    else:
        return _parsed(headers, body, describe)
    finally:
        await transport.close()
    raise ModelError(problem.message)


def _parsed(headers: Mapping[str, str], body: bytes, describe: Describer) -> ModelList:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        problem = describe.unexpected(headers.get("content-type", ""), body)
        raise ModelError(problem.message) from None
    models = as_objects(data.get("data") if isinstance(data, dict) else data)
    return ModelList(headers, [item for item in models if isinstance(item.get("id"), str)])

"""Discovery: ask a server for its models, and tell its dialect and a model's facts."""

import asyncio
from typing import Any

import msgspec

from gptterm.engine.api import ModelInfo, ModelSource, RemoteModel
from gptterm.engine.remote import dialects
from gptterm.engine.remote.model_list import ModelList, list_models
from gptterm.engine.remote.requests import answers
from gptterm.engine.remote.servers import Access, Servers, full_name, host, is_loopback, is_plain
from gptterm.errors import GpttermError, ModelError
from gptterm.format import escaped
from gptterm.json_values import as_count, as_object

_CONTEXT_KEYS = ("max_model_len", "context_length", "context_window", "max_context_length", "n_ctx")
_MOST_LISTED = 8
_MOST_OFFERED = 200
_MOST_CONTEXT = 1 << 40


async def find(remote: RemoteModel, access: Access, *, offline: bool = False) -> ModelSource:
    """Ask the server about a model, and return it with what is known.

    A server that has no list of models is taken at its word; a name that is not in the list may
    still be an alias.

    Raises:
        ModelError: the server cannot be reached, refuses, or has not exactly one model where none
            is named.
    """
    if offline and not is_loopback(remote):
        raise ModelError(
            f"gptterm is offline: {host(remote)} is not asked; start without --offline"
        )
    found = await list_models(remote, access)
    described = describe_model(remote, found)
    notices: tuple[str, ...] = ()
    if is_plain(remote) and access.key:
        notices = (f"the key is sent to {host(remote)} unencrypted: use https:// if you can",)
    return ModelSource(name=full_name(described), directory="", remote=described, notices=notices)


async def list_all(
    servers: Servers, timeout_s: float, *, offline: bool = False
) -> list[RemoteModel]:
    """Ask all known servers for their models, side by side.

    A server that does not answer within the time, or refuses, is left out.
    """

    async def ask(server: str) -> list[RemoteModel]:
        try:
            remote = servers.only_model(server)
            if offline and not is_loopback(remote):
                return []
            access = servers.access(remote)._replace(timeout_s=timeout_s)
            found = await list_models(remote, access)
        except GpttermError:
            return []
        names = [str(item["id"]) for item in found.models] if found is not None else []
        return [msgspec.structs.replace(remote, model=name) for name in names[:_MOST_OFFERED]]

    lists = await asyncio.gather(*map(ask, servers.known))
    return [model for models in lists for model in models]


def describe_model(remote: RemoteModel, found: ModelList | None) -> RemoteModel:
    """Add what the list of models tells.

    Raises:
        ModelError: no model is named, and the list has not exactly one.
    """
    if found is None:
        if not remote.model:
            raise ModelError(f"{host(remote)} does not list its models: name one with -m")
        return remote
    names = [str(item["id"]) for item in found.models]
    model = remote.model
    if not model:
        if len(names) != 1:
            listed = ", ".join(escaped(name) for name in names[:_MOST_LISTED]) or "none"
            more = ", …" if len(names) > _MOST_LISTED else ""
            raise ModelError(f"{host(remote)} has these models: {listed}{more}; name one with -m")
        model = names[0]
    own = next((item for item in found.models if item["id"] == model), {})
    return msgspec.structs.replace(
        remote,
        model=model,
        dialect=dialects.detect(remote.url, found.headers, found.models),
        context_length=_context_length(own),
    )


def _context_length(item: dict[str, Any]) -> int:
    places = (item, as_object(item.get("meta")))
    lengths = (as_count(place.get(key)) for place in places for key in _CONTEXT_KEYS)
    return next((length for length in lengths if 0 < length < _MOST_CONTEXT), 0)


def model_info(source: ModelSource, load_s: float = 0.0) -> ModelInfo:
    """Return the facts of a remote model, which are few."""
    remote = source.remote
    assert remote is not None
    return ModelInfo(
        name=source.name,
        revision="",
        architecture="",
        decoder="remote",
        device=host(remote),
        dtype=dialects.DIALECTS[remote.dialect].label if remote.dialect else "",
        parameters=0,
        context_length=remote.context_length,
        vocab_size=0,
        has_chat_template=answers(remote),
        load_s=load_s,
        notices=source.notices,
    )

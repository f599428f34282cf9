"""Servers: names of remote models, addresses, keys.

A remote model's name has its server in it, so that a saved chat can go on with it: `openai/NAME`
for OpenAI, `SERVER/NAME` for a server of config.toml, `NAME@URL` for any other. A key is never part
of a name, an address or a request to load.
"""

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

import msgspec

from gptterm.engine.api import Api, RemoteModel
from gptterm.errors import ModelError, UsageError
from gptterm.format import shorten
from gptterm.regular_files import open_regular
from gptterm.terminal import one_line

OPENAI = "openai"
OPENAI_URL = "https://api.openai.com/v1"
TIMEOUT_S = 300.0
_MOST_KEY_BYTES = 16 << 10
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
_ENDPOINTS = ("/chat/completions", "/completions", "/models")


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A server of config.toml, `[servers.NAME]`."""

    url: str
    key_env: str = ""
    """Environment variable that has the key."""
    key_file: str = ""
    """File that has the key, readable by its owner only."""
    api: Api = "auto"
    headers: dict[str, str] = {}
    """Sent with each request; they may be secret."""
    timeout: float = TIMEOUT_S
    """Seconds to wait for the next part of a reply."""

    def __repr__(self) -> str:
        return f"Server({self.url})"


class Access(NamedTuple):
    """Key, headers and time limit of a server: never stored, logged or shown."""

    key: str = ""
    key_source: str = ""
    """Where the key comes from, or should: `OPENAI_API_KEY`; empty if no key is configured."""
    headers: tuple[tuple[str, str], ...] = ()
    timeout_s: float = TIMEOUT_S

    def __repr__(self) -> str:
        return f"Access(key from {self.key_source or 'nowhere'})"

    def hide(self, text: str) -> str:
        """Remove the key and the values of the headers from a text, such as a server's message."""
        for secret in (self.key, *(value for _, value in self.headers)):
            if len(secret) >= 4:
                text = text.replace(secret, "***")
        return text


class Servers(msgspec.Struct, frozen=True, kw_only=True):
    """The servers that names can refer to."""

    named: dict[str, Server] = {}
    """Servers of config.toml."""
    chosen: str = ""
    """Name or URL of the server that the settings name; it may get OpenAI's key."""
    api_key: str = ""
    """Key given on the command line, for `chosen`."""

    def __repr__(self) -> str:
        return f"Servers({', '.join(self.named)})"

    def model_name(self, model: str) -> str:
        """Return the full name of a model on the chosen server; empty for its only one.

        Raises:
            UsageError: the server has no valid address.
        """
        if self._is_named(self.chosen):
            return f"{self.chosen}/{model}"
        return f"{model}@{normalise_url(self.chosen)}"

    def find(self, name: str) -> RemoteModel | None:
        """Parse the name of a remote model; None if it is the name of a local one.

        Raises:
            UsageError: it has a URL that is not valid.
        """
        model, at, url = name.rpartition("@")
        if at and url.startswith(("http://", "https://")):
            url = normalise_url(url)
            return RemoteModel(server=url, url=url, model=model)
        server, slash, model = name.partition("/")
        if not slash or not self._is_named(server):
            return None
        found = self.named.get(server)
        if found is None:
            url = os.environ.get("OPENAI_BASE_URL", "").strip() or OPENAI_URL
            return RemoteModel(server=server, url=normalise_url(url), model=model)
        return RemoteModel(server=server, url=normalise_url(found.url), model=model, api=found.api)

    @property
    def known(self) -> list[str]:
        """Names of the servers that a user can be shown models of: each has what it needs."""
        names = [*self.named]
        if os.environ.get("OPENAI_API_KEY", "").strip():
            names.append(OPENAI)
        if self.chosen and self.chosen not in names:
            names.append(self.chosen)
        return names

    def only_model(self, server: str) -> RemoteModel:
        """Return the model of a server that has only one, or any of them.

        Raises:
            UsageError: the server has no valid address.
        """
        named = msgspec.structs.replace(self, chosen=server)
        found = self.find(named.model_name(""))
        assert found is not None
        return found

    def access(self, remote: RemoteModel) -> Access:
        """Return what opens a model's server.

        OpenAI's key goes to OpenAI and to the server that the settings name, to no other one: the
        name of a model can come from a file.

        Raises:
            ModelError: the key cannot be read, or is missing where one is configured.
        """
        found = self.named.get(remote.server, Server(url=remote.url))
        key_env = found.key_env
        is_chosen = bool(self.chosen) and remote.server == _server_id(self.chosen, self)
        if not key_env and not found.key_file and remote.server not in self.named:
            key_env = "OPENAI_API_KEY" if is_chosen or remote.server == OPENAI else ""
        headers = tuple(found.headers.items())
        if is_chosen and self.api_key:
            return Access(_checked(self.api_key, "--api-key"), "--api-key", headers, found.timeout)
        if found.key_file:
            key = _read_key(Path(os.path.expanduser(found.key_file)))
            return Access(key, found.key_file, headers, found.timeout)
        key = os.environ.get(key_env, "").strip() if key_env else ""
        if not key and (found.key_env or remote.server == OPENAI):
            raise ModelError(
                f"{key_env} is not set: it is the key of {_label(remote)}; --api-key gives one too"
            )
        return Access(_checked(key, key_env), key_env, headers, found.timeout)

    def _is_named(self, server: str) -> bool:
        return server == OPENAI or server in self.named


def _server_id(chosen: str, servers: Servers) -> str:
    return chosen if chosen == OPENAI or chosen in servers.named else normalise_url(chosen)


def full_name(remote: RemoteModel) -> str:
    """Return the name by which a user can ask for a remote model again."""
    if "://" in remote.server:
        return f"{remote.model}@{remote.server}"
    return f"{remote.server}/{remote.model}"


def host(remote: RemoteModel) -> str:
    """Return host and port of a model's server."""
    return urlsplit(remote.url).netloc


def is_loopback(remote: RemoteModel) -> bool:
    """Whether the server is on this machine."""
    return _LOOPBACK.fullmatch(urlsplit(remote.url).hostname or "") is not None


def is_plain(remote: RemoteModel) -> bool:
    """Whether requests to the server can be read on the way."""
    return remote.url.startswith("http://") and not is_loopback(remote)


def normalise_url(url: str) -> str:
    """Return a server's base address without a slash at its end, with `/v1` if it has no path.

    Raises:
        UsageError: it is not an http(s) address of a host, or has a password, a query or a
            fragment.
    """
    try:
        parts = urlsplit(url.strip())
        problem = _problem(parts)
    except ValueError:
        problem = "is not an address"
    if problem:
        raise UsageError(
            f"the server {shorten(_without_password(url), 100)} {problem}: "
            "give an address such as http://localhost:8000/v1"
        )
    path = parts.path.rstrip("/")
    for endpoint in _ENDPOINTS:
        path = path.removesuffix(endpoint)
    return f"{parts.scheme}://{parts.netloc.lower()}{path or '/v1'}"


def _problem(parts: SplitResult) -> str:
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "is neither an http(s) address nor a name of [servers] in config.toml"
    if parts.username is not None or parts.password is not None:
        return "has a user or a password, which would be saved with the chat (--api-key has a key)"
    if parts.query or parts.fragment:
        return "has a query or a fragment"
    if not re.fullmatch(r"[\x21-\x7e]+", parts.netloc + (parts.path or "/")):
        return "has characters that no address has"
    _ = parts.port  # raises ValueError if it is no number
    return ""


def _without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//", one_line(url))


def _label(remote: RemoteModel) -> str:
    return "OpenAI" if remote.server == OPENAI else f"[servers.{one_line(remote.server)}]"


def _checked(key: str, source: str) -> str:
    """Refuse what cannot be sent as a header, without showing it."""
    key = key.strip()
    if key and not re.fullmatch(r"[\x21-\x7e]{1,8192}", key):
        raise ModelError(f"the key of {source} has spaces or characters that no key has")
    return key


def _read_key(path: Path) -> str:
    name = one_line(str(path))
    try:
        with open_regular(path) as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
                raise ModelError(f"other users can read the key file {name}: chmod 600 {name}")
            data = file.read(_MOST_KEY_BYTES)
    except OSError as error:
        raise ModelError(f"the key file {name} cannot be read: {error.strerror}") from None
    key = _checked(data.decode("utf-8", "replace"), name)
    if not key:
        raise ModelError(f"the key file {name} is empty")
    return key

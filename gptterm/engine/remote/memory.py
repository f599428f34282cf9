"""Memory of what servers refuse, in the cache folder: each is asked once, not at every start.

No message of a server is kept with a key in it: `Session` hides keys before it learns.
"""

import time
from pathlib import Path

import msgspec

from gptterm.engine.api import RemoteModel
from gptterm.engine.remote.requests import Learned
from gptterm.own_files import make_folder, write_own
from gptterm.paths import cache_directory
from gptterm.regular_files import read_regular

_KEPT_S = 7 * 24 * 3600.0
"""A newer version of a server may take what it refused."""
_MOST = 100
"""Models that are remembered."""
_MOST_BYTES = 1 << 20


class _Entry(msgspec.Struct):
    at: float
    """Time of the last refusal, in seconds since 1970."""
    learned: Learned


def recall(remote: RemoteModel) -> Learned:
    """Return what a model's server is known to refuse; nothing is known if it cannot be read."""
    entry = _read().get(_key(remote))
    return Learned() if entry is None else entry.learned


def remember(remote: RemoteModel, learned: Learned) -> None:
    """Keep what a model's server refuses. A file that cannot be written is not an error."""
    entries = _read() | {_key(remote): _Entry(time.time(), learned)}
    latest = sorted(entries.items(), key=lambda item: -item[1].at)[:_MOST]
    try:
        data = msgspec.json.encode(dict(latest))
        make_folder(_path().parent)
        write_own(_path(), data, overwrite=True)
    except (OSError, UnicodeEncodeError):
        return


def _path() -> Path:
    return cache_directory() / "servers.json"


def _key(remote: RemoteModel) -> str:
    return f"{remote.dialect} {remote.model}@{remote.url}"


def _read() -> dict[str, _Entry]:
    try:
        found = msgspec.json.decode(read_regular(_path(), _MOST_BYTES), type=dict[str, _Entry])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    now = time.time()
    return {key: entry for key, entry in found.items() if 0 <= now - entry.at < _KEPT_S}

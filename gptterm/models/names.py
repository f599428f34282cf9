"""What the name of a model means.

1. `tiny` is the bundled model and an alias (`gpt2`, …) is its Hub repository, always: a folder
   that happens to have that name in the working directory is written `./gpt2`.
2. What looks like a path is one: it begins with `/`, `./`, `../` or `~`, has more than one slash
   or one at its end, or ends in `.gguf`.
3. An existing directory that holds a config.json is that directory.
4. Anything else is a Hub id (`org/name`, or a web address of one).
"""

import errno
import os
import re
from pathlib import Path
from typing import NamedTuple

from gptterm.errors import ModelError
from gptterm.format import escaped

BUNDLED = "tiny"

# The first id is the one that is downloaded. The others are older names of the same repository,
# under which other programs may have put it into the cache.
_REPOSITORIES: dict[str, tuple[str, ...]] = {
    "gpt2": ("openai-community/gpt2", "gpt2"),
    "gpt2-medium": ("openai-community/gpt2-medium", "gpt2-medium"),
    "gpt2-large": ("openai-community/gpt2-large", "gpt2-large"),
    "gpt2-xl": ("openai-community/gpt2-xl", "gpt2-xl"),
    "distilgpt2": ("distilbert/distilgpt2", "distilgpt2"),
    "gpt1": ("openai-community/openai-gpt", "openai-gpt"),
    "gpt-neo-125m": ("EleutherAI/gpt-neo-125m", "EleutherAI/gpt-neo-125M"),
}

ALIASES: dict[str, str] = {alias: ids[0] for alias, ids in _REPOSITORIES.items()}
"""Short names and the Hub ids they stand for."""

_HUB_ADDRESS = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([^/?#]+/[^/?#]+)")
_HUB_PART = re.compile(r"\w[\w.-]*", re.ASCII)


class Bundled(NamedTuple):
    """The model inside the package."""


class LocalDirectory(NamedTuple):
    """A directory of the user's."""

    path: Path


class LocalGguf(NamedTuple):
    """A .gguf file of the user's."""

    path: Path


class HubModel(NamedTuple):
    """A repository on the Hub."""

    ids: tuple[str, ...]
    """What to download, then the older ids it may be cached under."""


Target = Bundled | LocalDirectory | LocalGguf | HubModel


def parse(name: str) -> Target:
    """Decide what `name` means, by the rules above. Looks at the file system, not the network.

    Raises:
        ModelError: it cannot be the name of a model.
    """
    if not name.strip() or "\0" in name:
        raise ModelError(f"'{escaped(name)}' is not the name of a model: {_known()}")
    if name == BUNDLED:
        return Bundled()
    if name in _REPOSITORIES:
        return HubModel(_REPOSITORIES[name])
    path = Path(os.path.expanduser(name))  # Path.expanduser raises where there is no home
    if name.endswith(".gguf"):
        return LocalGguf(path)
    if _looks_like_path(name) or _is_model_directory(path):
        return LocalDirectory(path)
    if address := _HUB_ADDRESS.match(name):
        name = address[1]
    if not _is_hub_id(name):
        raise ModelError(f"'{escaped(name)}' is not the name of a model: {_known()}")
    return HubModel(_ids_of(name))


def alias_of(repo_id: str) -> str:
    """The shortest name that leads to `repo_id`: its alias, or itself."""
    for alias, ids in _REPOSITORIES.items():
        if repo_id in ids:
            return alias
    return repo_id


def suggestion(name: str) -> str:
    """` (did you mean gpt2?)`, or nothing when no known name comes near, or `name` is known."""
    import difflib

    if alias_of(name) != name:
        return ""
    last = name.rsplit("/", 1)[-1].lower()
    near = difflib.get_close_matches(last, [*ALIASES, BUNDLED], n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near and near[0] != name else ""


def _looks_like_path(name: str) -> bool:
    if name.startswith((".", "~", "/")) or os.path.isabs(name):
        return True
    if name.startswith(("https://", "http://")):
        return False
    return name.endswith("/") or name.count("/") > 1 or (os.sep != "/" and os.sep in name)


def _is_model_directory(path: Path) -> bool:
    """Whether a config.json is in it, or nobody may look."""
    try:
        return (path / "config.json").is_file()
    except OSError as error:
        return error.errno == errno.EACCES  # not a name too long for the file system, say


def _is_hub_id(name: str) -> bool:
    parts = name.split("/")
    return (
        len(parts) <= 2
        and len(name) <= 96
        and "--" not in name
        and ".." not in name
        and all(_HUB_PART.fullmatch(part) for part in parts)
    )


def _ids_of(repo_id: str) -> tuple[str, ...]:
    for ids in _REPOSITORIES.values():
        if repo_id in ids:
            return (repo_id, *(other for other in ids if other != repo_id))
    return (repo_id,)


def _known() -> str:
    names = ", ".join((BUNDLED, *ALIASES))
    return f"give {names}, a Hub id such as openai-community/gpt2, or a path"

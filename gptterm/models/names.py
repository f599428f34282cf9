"""Names of models, and what each refers to.

1. `tiny` is always the bundled model, an alias (`gpt2`, …) always its Hub repository. A folder of
   that name in the working directory is written `./gpt2`.
2. A name is a path if it begins with `/`, `./`, `../` or `~`, has more than one slash or one at
   its end, or ends in `.gguf`.
3. The name of an existing directory with a config.json is that directory.
4. Any other name is a Hub id (`org/name`, or its web address).
"""

import errno
import os
import re
from pathlib import Path
from typing import NamedTuple

from gptterm.errors import ModelError
from gptterm.format import escaped

BUNDLED = "tiny"

# The first id is downloaded. The others are older names of the same repository, under which other
# programs may have cached it.
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
"""Short names and their Hub ids."""

_HUB_ADDRESS = re.compile(r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/([^/?#]+/[^/?#]+)")
_ON_SERVER = re.compile(r"@(https?://.*)", re.DOTALL)
_HUB_PART = re.compile(r"\w[\w.-]*", re.ASCII)


class BundledModel(NamedTuple):
    """The model inside the package."""


class LocalDirectory(NamedTuple):
    """A model directory of the user."""

    path: Path


class GgufFile(NamedTuple):
    """A .gguf file of the user."""

    path: Path


class HubModel(NamedTuple):
    """A repository on the Hub."""

    repo_ids: tuple[str, ...]
    """The id to download, then older ids under which it may be cached."""


Target = BundledModel | LocalDirectory | GgufFile | HubModel


def parse(name: str) -> Target:
    """Parse a name by the rules above. Looks at the file system, never at the network.

    Raises:
        ModelError: it cannot be the name of a model.
    """
    if not name.strip() or "\0" in name:
        raise ModelError(f"'{escaped(name)}' is not the name of a model: {_valid_names()}")
    if name == BUNDLED:
        return BundledModel()
    if on_server := _ON_SERVER.search(name):
        raise ModelError(
            f"{escaped(name)} is on a server: `gptterm doctor --server {escaped(on_server[1])}` "
            "shows what it can do"
        )
    if name in _REPOSITORIES:
        return HubModel(_REPOSITORIES[name])
    path = Path(os.path.expanduser(name))  # Path.expanduser raises where there is no home
    if name.endswith(".gguf"):
        return GgufFile(path)
    if _looks_like_path(name) or _is_model_directory(path):
        return LocalDirectory(path)
    if address := _HUB_ADDRESS.match(name):
        name = address[1]
    if not _is_hub_id(name):
        raise ModelError(f"'{escaped(name)}' is not the name of a model: {_valid_names()}")
    return HubModel(_repo_ids(name))


def alias_of(repo_id: str) -> str:
    """Return the alias of a repository; its id if it has none."""
    for alias, ids in _REPOSITORIES.items():
        if repo_id in ids:
            return alias
    return repo_id


def suggestion(name: str) -> str:
    """Return ` (did you mean gpt2?)`; empty if `name` is known or no known name is similar."""
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
    """Whether it holds a config.json, or may not be read."""
    try:
        return (path / "config.json").exists()
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


def _repo_ids(repo_id: str) -> tuple[str, ...]:
    for ids in _REPOSITORIES.values():
        if repo_id in ids:
            return (repo_id, *(other for other in ids if other != repo_id))
    return (repo_id,)


def _valid_names() -> str:
    names = ", ".join((BUNDLED, *ALIASES))
    return f"give {names}, a Hub id such as openai-community/gpt2, or a path"

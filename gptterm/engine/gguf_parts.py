"""Parts of a GGUF model that is split over files, by their names.

llama.cpp's `llama-gguf-split` names them `NAME-00001-of-00003.gguf`. The first holds the metadata;
each has a table of its own tensors. Imports no library.
"""

import re
from pathlib import Path

from gptterm.errors import ModelError
from gptterm.format import escaped

_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.DOTALL)
_MOST_PARTS = 4096


def part_names(name: str) -> list[str]:
    """Names of all files of the model that a file belongs to, in order; its own for a whole one."""
    match = _PART.fullmatch(name)
    if match is None:
        return [name]
    stem, number, count = match[1], int(match[2]), int(match[3])
    if not 1 <= number <= count <= _MOST_PARTS:
        return [name]
    return [f"{stem}-{i:05}-of-{count:05}.gguf" for i in range(1, count + 1)]


def part_paths(path: Path) -> list[Path]:
    """Paths of all files of the model that a file belongs to.

    Raises:
        ModelError: one is missing.
    """
    names = part_names(path.name)
    paths = [path.with_name(name) for name in names]
    missing = [part.name for part in paths if not part.exists()] if len(paths) > 1 else []
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(
            f"{escaped(str(path))} is one of {len(paths)} parts, of which {escaped(missing[0])}"
            f"{more} is missing; put all parts into one folder"
        )
    return paths

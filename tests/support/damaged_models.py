"""Copies of the bundled model, each damaged in one way by the name of a case."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gptterm.models import bundled

SIDE_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "chat_template.json",
    "adapter_config.json",
)
WEIGHT_FILES = ("model.safetensors", "model.safetensors.index.json")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _socket(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 8 << 30)


ODD_FILES: dict[str, Callable[[Path], None]] = {
    "fifo": _fifo,
    "zero": lambda path: path.symlink_to("/dev/zero"),
    "sparse": _sparse,
    "directory": Path.mkdir,
    "socket": _socket,
}
"""Ways to stand where a file should, by name."""


def copy(directory: Path) -> Path:
    """Make a directory with links to the bundled model's files; return it."""
    directory.mkdir(parents=True)
    for file in Path(bundled().directory).iterdir():
        (directory / file.name).symlink_to(file)
    return directory


def write(directory: Path, name: str, content: str | bytes) -> Path:
    """Put a file in the place of one of the copy's; return its path."""
    path = directory / name
    path.unlink(missing_ok=True)
    path.write_bytes(
        content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    )
    return path


def odd_file(directory: Path, kind: str, name: str) -> Path:
    """Put something that is no readable file in a file's place."""
    path = directory / name
    path.unlink(missing_ok=True)
    ODD_FILES[kind](path)
    return path


def change(directory: Path, name: str = "config.json", **changes: Any) -> Path:
    """Change values of a JSON file of the copy."""
    path = directory / name
    content = json.loads(path.read_bytes()) if path.exists() else {}
    return write(directory, name, json.dumps(content | changes))


def header(tensors: dict[str, Any], data: bytes = b"") -> bytes:
    """Return a safetensors file of a header as given."""
    raw = json.dumps(tensors, separators=(",", ":")).encode()
    return len(raw).to_bytes(8, "little") + raw + data

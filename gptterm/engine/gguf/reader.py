"""Read the header of a GGUF file (version 2 or 3, little-endian): metadata and tensor table.

The form is that of ggml's `docs/gguf.md`. A file is untrusted: every count and length is held
against what is left of the file before anything is allocated, and nothing is read outside it. The
package `gguf` reads the same into NumPy arrays, several a string: a vocabulary of 128,256 tokens
takes it 60 times as long (10 s beside 0.16 s). Imports no library.
"""

import math
import mmap
import os
import struct
from pathlib import Path
from typing import NamedTuple

from gptterm.engine.gguf.types import TYPES, TensorType
from gptterm.engine.gguf_parts import part_paths
from gptterm.errors import ModelError
from gptterm.regular_files import open_regular

Scalar = str | int | float | bool
Value = Scalar | list[Scalar]

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_MOST_KEYS, _MOST_TENSORS = 65_536, 65_536
_MOST_DIMENSIONS = 4
_LONGEST_NAME = 4096
_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip


class Tensor(NamedTuple):
    """A row of the tensor table."""

    name: str
    shape: tuple[int, ...]
    """Slowest dimension first, as NumPy has it; a file holds them the other way round."""
    type: TensorType
    offset: int
    """Bytes from the start of the file."""
    size: int
    """Bytes."""
    part: int = 0
    """Index of its file in `GgufFile.parts`."""


class GgufFile(NamedTuple):
    """The header of a model's file, or of all files that it is split over."""

    path: Path
    metadata: dict[str, Value]
    """Of the first file."""
    tensors: dict[str, Tensor]
    parts: tuple[Path, ...]
    """Paths of the files, in order."""

    @property
    def parameters(self) -> int:
        """Numbers of all tensors."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())

    @property
    def size(self) -> int:
        """Bytes of the files."""
        return sum(part.stat().st_size for part in self.parts)

    def text(self, key: str) -> str | None:
        """A string of the metadata; None where there is none of that type."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> int | None:
        """An integer of the metadata; None where there is none of that type."""
        value = self.metadata.get(key)
        return value if type(value) is int else None

    def flag(self, key: str) -> bool | None:
        """A boolean of the metadata; None where there is none of that type."""
        value = self.metadata.get(key)
        return value if isinstance(value, bool) else None

    def texts(self, key: str) -> list[str]:
        """An array of strings; empty where there is none of that type."""
        return [x for x in self._array(key) if isinstance(x, str)]

    def numbers(self, key: str) -> list[float]:
        """An array of numbers; empty where there is none of that type."""
        return [x for x in self._array(key) if isinstance(x, int | float)]

    def _array(self, key: str) -> list[Scalar]:
        value = self.metadata.get(key)
        return value if isinstance(value, list) else []


def read_header(path: Path) -> GgufFile:
    """Read metadata and tensor table of a model, of all its files where it is split.

    Args:
        path: of any of its files.

    Raises:
        ModelError: there is no such file, it is no GGUF file, of a version or byte order that is
            not read, damaged, or cut short; or another part is missing or of another model.
    """
    first, *others = part_paths(path)
    whole = _read_file(first)
    count = whole.number("split.count") or 0
    if count > 1 and count != 1 + len(others):
        raise ModelError(
            f"{path} is one of {count} parts: give them the names that they had,"
            f" NAME-00001-of-{count:05}.gguf and so on"
        )
    for number, other in enumerate(others, 1):
        part = _read_file(other)
        if (part.number("split.no"), part.number("split.count")) != (number, count):
            raise ModelError(f"{other} is no part of {first.name}; fetch them again")
        if whole.tensors.keys() & part.tensors.keys():
            raise ModelError(f"{other} and another part of {first.name} have the same tensors")
        for name, tensor in part.tensors.items():
            whole.tensors[name] = tensor._replace(part=number)
    promised = whole.number("split.tensors.count")
    if others and promised not in (None, len(whole.tensors)):
        raise ModelError(
            f"{first} promises {promised} tensors, its parts have {len(whole.tensors)}; fetch them"
            " again"
        )
    return whole._replace(parts=(first, *others))


def _read_file(path: Path) -> GgufFile:
    try:
        with open_regular(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            if file.read(len(_MAGIC)) != _MAGIC:
                raise ModelError(f"{path} is not a GGUF file")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(path, data, size).header()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


class _Reader:
    """A position in a mapped file. `need` stands before every read."""

    def __init__(self, path: Path, data: mmap.mmap, size: int) -> None:
        self._path = path
        self._data = data
        self._size = size
        self._at = len(_MAGIC)

    def header(self) -> GgufFile:
        version = self._scalar("I")
        if version not in _VERSIONS:
            swapped = int.from_bytes(int(version).to_bytes(4, "little"), "big")
            reason = "big-endian" if swapped in _VERSIONS else f"version {version}"
            raise ModelError(f"{self._path} is GGUF, {reason}; convert it to version 3 again")
        tensors = self._count("tensors", _MOST_TENSORS)
        keys = self._count("metadata keys", _MOST_KEYS)
        metadata: dict[str, Value] = {}
        for _ in range(keys):
            name = self._string(_LONGEST_NAME)
            metadata[name] = self._value(int(self._scalar("I")))
        rows = [self._tensor() for _ in range(tensors)]
        alignment = metadata.get("general.alignment", 32)
        if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
            raise self._damaged(f"general.alignment is {alignment!r}")
        start = -(-self._at // alignment) * alignment
        table = {row.name: row._replace(offset=start + row.offset) for row in rows}
        if len(table) != len(rows):
            raise self._damaged("two tensors have one name")
        end = max((row.offset + row.size for row in table.values()), default=0)
        if end > self._size:
            raise self._cut(end - self._size)
        return GgufFile(self._path, metadata, table, (self._path,))

    def _tensor(self) -> Tensor:
        name = self._string(_LONGEST_NAME)
        count = int(self._scalar("I"))
        if not 1 <= count <= _MOST_DIMENSIONS:
            raise self._damaged(f"{name!r} has {count} dimensions")
        shape = tuple(int(self._scalar("Q")) for _ in range(count))[::-1]
        number, offset = int(self._scalar("I")), int(self._scalar("Q"))
        kind = TYPES.get(number)
        if kind is None:
            raise ModelError(f"{self._path}: {name} has tensor type {number}, which is not known")
        if shape[-1] % kind.block or 0 in shape:
            raise self._damaged(f"{name!r} of shape {shape} is not whole blocks of {kind.name}")
        size = kind.size
        for length in (*shape[:-1], shape[-1] // kind.block):
            size *= length
        return Tensor(name, shape, kind, offset, size)

    def _value(self, kind: int) -> Value:
        if kind == _STRING:
            return self._string(self._size)
        if kind != _ARRAY:
            return self._scalar(self._format(kind))
        inner = int(self._scalar("I"))
        count = int(self._scalar("Q"))
        if inner == _STRING:
            return self._strings(count)
        layout = self._format(inner)
        self._need(count * struct.calcsize("<" + layout))
        values = struct.unpack_from(f"<{count}{layout}", self._data, self._at)
        self._at += count * struct.calcsize("<" + layout)
        return list(values)

    def _strings(self, count: int) -> list[Scalar]:
        """An array of strings: the longest of all values, so read in one loop."""
        self._need(8 * count)
        data, at, size = self._data, self._at, self._size
        length_of = struct.Struct("<Q").unpack_from
        result: list[Scalar] = []
        for _ in range(count):
            if at + 8 > size:
                raise self._cut(at + 8 - size)
            (length,) = length_of(data, at)
            at += 8
            if at + length > size:
                raise self._cut(at + length - size)
            result.append(data[at : at + length].decode("utf-8", "replace"))
            at += length
        self._at = at
        return result

    def _string(self, limit: int) -> str:
        length = int(self._scalar("Q"))
        self._need(length)
        if length > limit:
            raise self._damaged(f"a name of {length:,} bytes")
        text = self._data[self._at : self._at + length].decode("utf-8", "replace")
        self._at += length
        return text

    def _format(self, kind: int) -> str:
        try:
            return _SCALARS[kind]
        except KeyError:
            raise self._damaged(f"a value of type {kind}") from None

    def _scalar(self, layout: str) -> int | float | bool:
        size = struct.calcsize("<" + layout)
        self._need(size)
        value: int | float | bool = struct.unpack_from("<" + layout, self._data, self._at)[0]
        self._at += size
        return value

    def _count(self, what: str, limit: int) -> int:
        count = int(self._scalar("Q"))
        if count > limit:
            raise self._damaged(f"it counts {count:,} {what}")
        return count

    def _need(self, count: int) -> None:
        if self._at + count > self._size:
            raise self._cut(self._at + count - self._size)

    def _damaged(self, reason: str) -> ModelError:
        return ModelError(f"{self._path} is damaged: {reason}; fetch it again")

    def _cut(self, missing: int) -> ModelError:
        return self._damaged(f"at least {missing:,} bytes are missing at its end")

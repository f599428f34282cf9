"""Programs: the kernels' calls of a forward pass, recorded once and made by one call from Python.

Between two calls Python's own work takes some microseconds: of a model of 30 layers, whose step is
300 calls, that is as long as the smallest weights take to read.
"""

import ctypes
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from gptterm.cores import thread_count
from gptterm.engine.kernels.attention import Attention, KVLayout
from gptterm.engine.kernels.compiled import (
    FLOAT32,
    AttentionStruct,
    Floats,
    OperationStruct,
    RotaryStruct,
    address,
    loaded_library,
)


class Kind(IntEnum):
    """`operation_kind` in source/program.h."""

    LAYER_NORM = 0
    RMS_NORM = 1
    LINEAR = 2
    LINEARS = 3
    ROTARY = 4
    ATTENTION = 5
    ACTIVATION = 6


class Operation(NamedTuple):
    """One call, on slots: numbered matrices of as many rows as there are tokens.

    Attributes:
        layer: a `LayerNorm` or `RMSNorm`, `Linear`, `LinearGroup`, `RotaryOf`, `AttentionOf` or
            `Activation`, by the kind.
        reads: a LINEAR's residual and an ACTIVATION's second factor come last.
        writes: ROTARY and ACTIVATION overwrite what they read.
    """

    kind: Kind
    layer: Any
    reads: tuple[int, ...]
    writes: tuple[int, ...]


class RotaryOf(NamedTuple):
    """Rotary embedding of one slot, by the angles in two others."""

    head_dim: int
    neighbours: bool


class AttentionOf(NamedTuple):
    """Attention of one layer.

    Attributes:
        starts: the first columns of queries, keys and values in their slots.
    """

    layer: int
    scale: float
    window: int | None
    soft_cap: float | None
    starts: tuple[int, ...] = (0, 0, 0)


def places(
    widths: Sequence[int], operations: Sequence[Operation], given: Sequence[int], result: int
) -> list[int]:
    """Where each slot lies: slots that are not in use at once may share a place.

    Args:
        widths: of the slots.
        given: slots that are written before the first operation, and read by no later program.
    """
    last_use = {slot: i for i, o in enumerate(operations) for slot in (*o.reads, *o.writes)}
    last_use[result] = len(operations)
    found, free, count = {}, {width: list[int]() for width in widths}, 0

    def place(slot: int) -> None:
        nonlocal count
        if slot not in found:
            if free[widths[slot]]:
                found[slot] = free[widths[slot]].pop()
            else:
                found[slot], count = count, count + 1

    for slot in given:
        place(slot)
    for i, operation in enumerate(operations):
        for slot in operation.writes:
            place(slot)
        for slot in {*operation.reads, *operation.writes}:
            if last_use[slot] == i:
                free[widths[slot]].append(found[slot])
    return [found[slot] for slot in range(len(widths))]


class Program:
    """Operations for a number of rows, with memory of their own for all slots.

    Args:
        widths: of the slots.
        at: where each slot is, by `places`.
        result: the slot that is asked for.
    """

    def __init__(
        self,
        widths: Sequence[int],
        operations: Sequence[Operation],
        at: Sequence[int],
        result: int,
        rows: int,
    ) -> None:
        self._run = loaded_library().program_run
        self._threads = thread_count()
        self._rows, self._result = rows, result
        arrays = {
            place: np.empty((rows, width), FLOAT32)
            for place, width in dict(zip(at, widths, strict=True)).items()
        }
        self.slots = [arrays[place] for place in at]
        self._addresses = [address(array) for array in self.slots]
        self._kept: list[Any] = []  # structs whose addresses are in the operations
        self._count = len(operations)
        self._operations = (OperationStruct * self._count)(*map(self._bound, operations))
        self._start = ctypes.addressof(self._operations)

    def __call__(self, attention: Attention, layout: KVLayout) -> Floats:
        """Run it; (rows, width) of the result, which the next run overwrites.

        Raises:
            IndexError: a position is beyond the cache's capacity.
            MemoryError: no memory for a copy of the rows.
        """
        done = self._run(
            self._start, self._count, self._rows, attention.address, ctypes.addressof(layout.table)
        )
        if done < 0:
            raise IndexError(f"a position is beyond the cache's capacity of {layout.capacity}")
        if not done:
            raise MemoryError
        return self.slots[self._result]

    def _bound(self, operation: Operation) -> OperationStruct:
        """An operation with the addresses of its slots."""
        kind, layer, reads, writes = operation
        x, y = self._addresses[reads[0]], self._addresses[writes[0]]
        other = self._addresses[reads[1]] if len(reads) == 2 else 0
        size = self.slots[reads[0]].size
        struct = OperationStruct(kind=kind, threads=self._threads, x=x, other=other, y=y)
        match kind:
            case Kind.LAYER_NORM | Kind.RMS_NORM:
                struct.layer, struct.number = layer.address, size // layer.width
            case Kind.LINEAR:
                struct.layer = layer.address
            case Kind.LINEARS:
                results = (ctypes.c_void_p * len(writes))(*(self._addresses[i] for i in writes))
                self._kept.append(results)
                struct.layer = ctypes.addressof(layer.addresses)
                struct.number, struct.results = len(writes), ctypes.addressof(results)
            case Kind.ROTARY:
                struct.layer = self._keep(self._rotary(layer, reads))
            case Kind.ATTENTION:
                struct.layer, struct.number = self._keep(self._attention(layer, reads, y)), layer[0]
            case Kind.ACTIVATION:
                struct.number, struct.count = layer.kind, size
        self._kept.append(layer)
        return struct

    def _rotary(self, how: RotaryOf, reads: Sequence[int]) -> RotaryStruct:
        x, cosine, sine = reads
        heads, half = self.slots[x].shape[1] // how.head_dim, self.slots[cosine].shape[1]
        return RotaryStruct(
            *(self._rows, heads, how.head_dim, half, how.neighbours),
            *(self._addresses[slot] for slot in (x, cosine, sine)),
        )

    def _attention(self, how: AttentionOf, reads: Sequence[int], y: int) -> AttentionStruct:
        query, key, value = (
            self._addresses[slot] + FLOAT32.itemsize * start
            for slot, start in zip(reads, how.starts, strict=True)
        )
        strides = [self.slots[slot].shape[1] for slot in reads]
        assert strides[1] == strides[2]
        return AttentionStruct(
            window=how.window or 0,
            scale=how.scale,
            soft_cap=how.soft_cap or 0,
            query=query,
            key=key,
            value=value,
            query_stride=strides[0],
            kv_stride=strides[1],
            y=y,
        )

    def _keep(self, struct: ctypes.Structure) -> int:
        self._kept.append(struct)
        return ctypes.addressof(struct)

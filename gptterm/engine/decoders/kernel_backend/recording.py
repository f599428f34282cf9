"""Recording: a page's forward pass as a program of kernel calls, which few rows are fed through.

A page is called once with slots in place of arrays. Its layers note their calls; a page that does
more with arrays than hand them from layer to layer cannot be recorded, and computes as it is.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.config_values import ActivationName
from gptterm.engine.decoders.kernel_backend.kv_cache import KernelStep
from gptterm.engine.decoders.kernel_backend.layers import Embedding, KernelLayers, Rotary
from gptterm.engine.decoders.layers import LinearLayer
from gptterm.engine.decoders.native_decoder import Model
from gptterm.engine.decoders.rotary import Rotary as RotarySettings
from gptterm.engine.kernels.compiled import Floats
from gptterm.engine.kernels.elementwise import Activation, LayerNorm, RMSNorm
from gptterm.engine.kernels.linear import Linear, LinearGroup
from gptterm.engine.kernels.program import AttentionOf, Kind, Operation, Program, RotaryOf, places

MOST_ROWS = 64
"""Rows for which a program is bound; of more, Python's share is small."""
_PROGRAMS = 4
"""Numbers of rows whose programs are kept."""

Layer = Linear | LinearGroup | LayerNorm | RMSNorm | Activation | Embedding | Rotary


@dataclass(frozen=True, eq=False)
class Slot:
    """A (rows, width) matrix of a recording, of which no numbers are known."""

    __array_ufunc__ = None  # NumPy's numbers leave it alone, too

    recording: "Recording"
    number: int
    width: int
    start: int | None = None
    """The first column, of some columns of a matrix: only attention reads those."""

    def __getitem__(self, index: tuple[slice, slice]) -> "Slot":
        """Some columns of all rows, as a fused layer's outputs are told apart."""
        rows, columns = index
        if self.start is not None or rows != slice(None):
            raise TypeError("a part of a slot that is not some columns")
        start, end, _ = columns.indices(self.width)
        return Slot(self.recording, self.number, end - start, start)


@dataclass(frozen=True, eq=False)
class Index:
    """(rows,) ids or positions, known at each run."""

    recording: "Recording"
    of_positions: bool


class Given(NamedTuple):
    """Slots filled before each run: by an embedding, or by the angles of a rotary embedding."""

    layer: Embedding | Rotary
    at: Index
    slots: tuple[Slot, ...]
    residual: Slot | None = None


class Recording:
    """Calls noted by the layers of a page."""

    def __init__(self, head_dim: int) -> None:
        self.head_dim = head_dim
        self.widths: list[int] = []
        self.given: list[Given] = []
        self.operations: list[Operation] = []
        self.heads = 0

    def slot(self, width: int) -> Slot:
        self.widths.append(width)
        return Slot(self, len(self.widths) - 1, width)

    def embedding(self, table: Embedding, index: Index, residual: Slot | None) -> Slot:
        slot = self.slot(table.width)
        self.given.append(Given(table, index, (slot,), residual))
        return slot

    def rotation(self, rotary: Rotary, index: Index) -> Callable[[Slot], Slot]:
        cosine, sine = (self.slot(rotary.half) for _ in range(2))
        self.given.append(Given(rotary, index, (cosine, sine)))
        how = RotaryOf(self.head_dim, rotary.neighbours)

        def rotate(x: Slot) -> Slot:
            self._note(Kind.ROTARY, how, (x, cosine, sine), (x,))
            return x

        return rotate

    def call(self, layer: Layer, x: Slot, *others: Slot | None, **named: Slot | None) -> Any:
        given = [y for y in (*others, *named.values()) if y is not None]
        match layer:
            case LinearGroup():
                found = tuple(self.slot(outputs) for outputs in layer.outputs)
                self._note(Kind.LINEARS, layer, (x,), found)
                return list(found)
            case Activation():
                self._note(Kind.ACTIVATION, layer, (x, *given), (x,))
                return x
            case Linear():
                y = self.slot(layer.outputs)
                self._note(Kind.LINEAR, layer, (x, *given), (y,))
            case LayerNorm() | RMSNorm():
                y = self.slot(x.width)
                kind = Kind.RMS_NORM if isinstance(layer, RMSNorm) else Kind.LAYER_NORM
                self._note(kind, layer, (x,), (y,))
            case _:
                raise TypeError(f"{type(layer).__name__} of a slot")
        return y

    def attention(self, how: AttentionOf, *inputs: Slot) -> Slot:
        query, *_ = inputs
        heads = query.width // self.head_dim
        if self.heads not in (0, heads):
            raise TypeError(f"layers of {self.heads} and {heads} heads")
        self.heads = heads
        y = self.slot(query.width)
        numbers = tuple(slot.number for slot in inputs)
        self.operations.append(Operation(Kind.ATTENTION, how, numbers, (y.number,)))
        return y

    def _note(self, kind: Kind, layer: Any, reads: Sequence[Slot], writes: Sequence[Slot]) -> None:
        if any(slot.start is not None for slot in (*reads, *writes)):
            raise TypeError("some columns of a slot")
        numbers = (tuple(slot.number for slot in slots) for slots in (reads, writes))
        self.operations.append(Operation(kind, layer, *numbers))


class RecordingStep(AttentionStep):
    """A step of a recording."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    @property
    def positions(self) -> Index:
        return Index(self._recording, of_positions=True)

    def attend(self, layer: int, query: Slot, key: Slot, value: Slot, **how: Any) -> Slot:
        if how.pop("bias", None) is not None:
            raise TypeError("biases of attention")
        scale = how.pop("scale", None)
        scale = self._recording.head_dim**-0.5 if scale is None else scale
        window, soft_cap = how.get("window"), how.get("soft_cap")
        inputs = (query, key, value)
        starts = tuple(slot.start or 0 for slot in inputs)
        attention = AttentionOf(layer, scale, window, soft_cap, starts)
        return self._recording.attention(attention, *inputs)


class Recordable:
    """A layer that computes arrays, and notes its call of slots."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer

    def __call__(self, x: Any, *others: Any, **named: Any) -> Any:
        if isinstance(x, Slot):
            return x.recording.call(self.layer, x, *others, **named)
        if not isinstance(x, Index):
            return self.layer(x, *others, **named)
        if isinstance(self.layer, Embedding):
            return x.recording.embedding(self.layer, x, named.get("residual"))
        if isinstance(self.layer, Rotary):
            return x.recording.rotation(self.layer, x)
        raise TypeError(f"{type(self.layer).__name__} of an index")


class RecordableLayers(KernelLayers):
    """Implements `LayerMaker`, with layers that can be recorded."""

    def embedding(self, name: str, rows: int, width: int) -> Any:
        return Recordable(super().embedding(name, rows, width))

    def norm(self, name: str, width: int, epsilon: float) -> Any:
        return Recordable(super().norm(name, width, epsilon))

    def rms_norm(self, name: str, width: int, epsilon: float, *, above: float = 0) -> Any:
        return Recordable(super().rms_norm(name, width, epsilon, above=above))

    def rotary(self, settings: RotarySettings, head_dim: int) -> Any:
        return Recordable(super().rotary(settings, head_dim))

    def activation(self, name: ActivationName) -> Any:
        return Recordable(super().activation(name))

    def gate(self, name: ActivationName) -> Any:
        return Recordable(super().gate(name))

    def conv1d(self, name: str, inputs: int, outputs: int) -> Any:
        return Recordable(super().conv1d(name, inputs, outputs))

    def linear(self, name: str, inputs: int, outputs: int, *, bias: bool = True) -> Any:
        return Recordable(super().linear(name, inputs, outputs, bias=bias))

    def group(self, *layers: LinearLayer) -> Any:
        inner = [layer.layer for layer in layers if isinstance(layer, Recordable)]
        return Recordable(super().group(*cast("list[Linear]", inner)))


class RecordedPass:
    """A recorded forward pass, for any number of rows."""

    def __init__(self, recording: Recording, result: Slot) -> None:
        self._recording, self._result = recording, result.number
        given = [slot.number for entry in recording.given for slot in entry.slots]
        self._places = places(recording.widths, recording.operations, given, self._result)
        self._programs = lru_cache(_PROGRAMS)(self._program)
        self._in_use = threading.Lock()

    def __call__(self, ids: NDArray[np.int64], step: KernelStep) -> Floats | None:
        """As the page's `hidden`; None while another thread uses the programs."""
        if not self._in_use.acquire(blocking=False):
            return None
        try:
            program = self._programs(len(ids))
            for given in self._recording.given:
                _fill(given, step.positions if given.at.of_positions else ids, program.slots)
            return step.run(program, self._recording.heads).copy()
        finally:
            self._in_use.release()

    def _program(self, rows: int) -> Program:
        widths, operations = self._recording.widths, self._recording.operations
        return Program(widths, operations, self._places, self._result, rows)


def _fill(given: Given, index: NDArray[np.int64], slots: Sequence[Floats]) -> None:
    targets = [slots[slot.number] for slot in given.slots]
    if isinstance(given.layer, Embedding):
        residual = None if given.residual is None else slots[given.residual.number]
        targets[0][:] = given.layer(index, residual)
        return
    for target, angles in zip(targets, given.layer.angles(index), strict=True):
        target[:] = angles


def record(model: Model) -> RecordedPass | None:
    """Record a model whose layers are recordable; None if its page cannot be."""
    recording = Recording(model.config.head_dim)
    try:
        result = model.hidden(Index(recording, of_positions=False), RecordingStep(recording))
    except (TypeError, AttributeError):  # what a slot cannot do
        return None
    return RecordedPass(recording, result) if isinstance(result, Slot) else None

"""Messages between an engine's process and its clients, and their wire format.

A frame is a length of four bytes (big-endian) and that many bytes of msgpack: one tagged struct,
a `Command` to the engine or a `Report` from it.
"""

import struct
from collections.abc import Iterator
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec

from gptterm.engine.api import (
    Data,
    Event,
    GenerateRequest,
    LoadRequest,
    ModelInfo,
    NextToken,
    Piece,
    SamplingParams,
)
from gptterm.engine.inspection.answers import InspectionEvent
from gptterm.engine.inspection.requests import InspectionRequest
from gptterm.errors import FailureKind

LoadStage = Literal["starting", "importing", "loading"]
T = TypeVar("T")

# --------------------------------------------------------------------------------- commands


class Load(Data, frozen=True, kw_only=True):
    """Replace the model. Answered by `Loaded` or `LoadFailed`."""

    request: LoadRequest


class Generate(Data, frozen=True, kw_only=True):
    """Begin a generation. Answered by `EventFrame`s of this id up to its last event: a `Failed`, or
    the `Finished` of the last sample."""

    id: int
    request: GenerateRequest


class Cancel(Data, frozen=True, kw_only=True):
    """Cancel the generation of this id. Its remaining events, the ends among them, still follow."""

    id: int


class SetSampling(Data, frozen=True, kw_only=True):
    """Change the samplers of the generation of this id, from its next token on."""

    id: int
    sampling: SamplingParams


class QueryNextToken(Data, frozen=True, kw_only=True):
    """Query the next-token distribution. Answered by `NextTokenResult` or `QueryFailed`."""

    call: int
    sampling: SamplingParams
    limit: int


class QueryTokens(Data, frozen=True, kw_only=True):
    """Query the tokens of a text. Answered by `TokensResult` or `QueryFailed`."""

    call: int
    text: str


class QueryInspection(Data, frozen=True, kw_only=True):
    """Look into the model. Answered by `InspectionFrame`s of this call up to its last event."""

    call: int
    request: InspectionRequest


class StopInspection(Data, frozen=True, kw_only=True):
    """End the inspection of this call, whose remaining events are not wanted."""

    call: int


class LeaveCore(Data, frozen=True, kw_only=True):
    """Compute on a core less for a time: the client draws what a key has changed."""

    seconds: Annotated[float, msgspec.Meta(ge=0, le=1)]


class Close(Data, frozen=True, kw_only=True):
    """Free the model and end the process."""


Query = QueryNextToken | QueryTokens | QueryInspection | StopInspection
"""Commands that overtake a client's running generation."""
Command = (
    Load
    | Generate
    | Cancel
    | SetSampling
    | QueryNextToken
    | QueryTokens
    | QueryInspection
    | StopInspection
    | LeaveCore
    | Close
)

# ---------------------------------------------------------------------------------- reports


class LoadProgress(Data, frozen=True, kw_only=True):
    """Stage that a load has reached."""

    stage: LoadStage
    """`starting` the process, `importing` the engine's code (torch: seconds), `loading` weights."""


class Loaded(Data, frozen=True, kw_only=True):
    """The model is ready."""

    info: ModelInfo


class LoadFailed(Data, frozen=True, kw_only=True):
    """The model cannot be loaded; the process goes on without a model."""

    kind: FailureKind
    message: str


class Fatal(Data, frozen=True, kw_only=True):
    """The device has failed for good; the process exits."""

    message: str


class EventFrame(Data, frozen=True, kw_only=True):
    """An event of the generation of this id."""

    id: int
    event: Event


class Waiting(Data, frozen=True, kw_only=True):
    """The generation of this id is queued behind those of other clients."""

    id: int
    ahead: int
    """Number of generations before it."""


class NextTokenResult(Data, frozen=True, kw_only=True):
    """Answer to `QueryNextToken`."""

    call: int
    distribution: NextToken | None


class TokensResult(Data, frozen=True, kw_only=True):
    """Answer to `QueryTokens`."""

    call: int
    pieces: tuple[Piece, ...]


class InspectionFrame(Data, frozen=True, kw_only=True):
    """An event of the inspection of this call."""

    call: int
    event: InspectionEvent


class QueryFailed(Data, frozen=True, kw_only=True):
    """Answer to a query that cannot be answered."""

    call: int
    message: str


QueryResult = NextTokenResult | TokensResult | QueryFailed
Report = (
    LoadProgress
    | Loaded
    | LoadFailed
    | Fatal
    | EventFrame
    | Waiting
    | NextTokenResult
    | TokensResult
    | InspectionFrame
    | QueryFailed
)

# ---------------------------------------------------------------------------------- framing

MAX_FRAME = 1 << 30
"""Bytes; a longer frame counts as a protocol error."""

_length = struct.Struct(">I")
_encoder = msgspec.msgpack.Encoder()


def encode(frame: Command | Report) -> bytes:
    """Encode a frame.

    Raises:
        ValueError: a text in it has a lone surrogate (UnicodeEncodeError is one), or the frame
            is longer than `MAX_FRAME`.
        OverflowError: a number in it does not fit 64 bits.
    """
    body = _encoder.encode(frame)
    if len(body) > MAX_FRAME:
        raise ValueError(f"a message of {len(body)} bytes is too long")
    return _length.pack(len(body)) + body


def encode_report(report: Report) -> bytes:
    """Encode a report; half of a surrogate pair in a text becomes a question mark.

    Raises:
        ValueError, OverflowError: as `encode`.
    """
    try:
        return encode(report)
    except UnicodeEncodeError:
        plain = msgspec.to_builtins(report, builtin_types=(bytes, bytearray))
        return encode(msgspec.convert(_without_surrogates(plain), type(report)))


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case list() | tuple():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {key: _without_surrogates(item) for key, item in value.items()}
    return value


class FrameReader(Generic[T]):
    """Incremental decoder of length-prefixed frames of one type."""

    def __init__(self, frame_type: object) -> None:
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(frame_type)
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> Iterator[T]:
        """Buffer `data` and yield each frame that is complete.

        Frames before an invalid one are yielded, however the stream was cut.

        Raises:
            ValueError: the bytes are not a frame of this type (msgspec's DecodeError is one).
        """
        self._buffer += data
        start = 0
        try:
            with memoryview(self._buffer) as view:
                while len(view) - start >= _length.size:
                    (length,) = _length.unpack_from(view, start)
                    if length > MAX_FRAME:
                        raise ValueError(f"a frame of {length} bytes")
                    end = start + _length.size + length
                    if end > len(view):
                        break
                    frame = self._decoder.decode(view[start + _length.size : end])
                    start = end
                    yield frame
        finally:
            del self._buffer[:start]


def command_reader() -> FrameReader[Command]:
    """Return a reader of commands, for the engine's process."""
    return FrameReader(Command)


def report_reader() -> FrameReader[Report]:
    """Return a reader of reports, for its clients."""
    return FrameReader(Report)

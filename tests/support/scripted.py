"""A scripted engine, against which front ends are tested and measured.

It runs in-process (`ScriptedEngine(Script(...))`) or in an engine process
(`EngineClient(factory="tests.support.scripted:load")` with the request of `write_script`).
Without torch, it starts in a tenth of a second.
"""

import codecs
import ctypes
import itertools
import mmap
import os
import re
import signal
import sys
import tempfile
import threading
import time
import zlib
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Literal, Self

import msgspec

from gptterm.engine.api import (
    Alternative,
    Candidate,
    ChatPrompt,
    Event,
    Failed,
    Finished,
    FinishReason,
    GenerateRequest,
    LoadRequest,
    MixedPrompt,
    ModelInfo,
    ModelSource,
    NextToken,
    Piece,
    Prefilled,
    Prompt,
    SamplingParams,
    Started,
    TextPrompt,
    Timings,
    Token,
    TokenPrompt,
    Usage,
)
from gptterm.engine.text.text_end import text_end
from gptterm.errors import ModelError, OutOfMemoryError

FACTORY = "tests.support.scripted:load"
"""For `EngineClient(factory=FACTORY)`."""

STALLED = "the script stalls"
"""Written to stderr, and so to the log, when a stall begins."""

LEFT_CORE = "a core is left to others for {:.4f} s"
"""Written to stderr when the engine is asked to."""

VOCAB_SIZE = 50257
EOS_ID = VOCAB_SIZE - 1


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A failure on purpose."""

    at: Literal["load", "prefill", "decode"]
    how: Literal[
        "raise",
        "panic",
        "die",
        "segfault",
        "bus_error",
        "stall",
        "hold_lock",
        "fill_memory",
        "out_of_memory",
        "cuda",
    ]
    """`raise`: an unexpected exception. `panic`: one that is no Exception, as Rust's panics are.
    `die`: SIGKILL. `stall`: never returns and cannot be cancelled. `hold_lock`: the same in native
    code that holds the interpreter lock. `fill_memory`: memory is taken until the system ends it.
    `cuda`: the exception after which a CUDA context is unusable."""
    token: int = 0
    """For `decode`: the token of the reply before which it happens."""
    generation: int | None = None
    """Generation in which it happens, from 0; None for each."""


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Replies of the engine, their speed, and its failures. `Script.saying(...)` takes text."""

    replies: tuple[tuple[bytes, ...], ...] = ((b"Hello", b",", b" world", b"."),)
    """The pieces of each reply; the n-th generation plays the n-th, then from the first again."""
    endless: bool = False
    """Begin the reply again instead of ending it with `eos`."""
    echo_sampling: bool = False
    """Each piece is the temperature in effect, so that a change is visible in the text."""
    silent: int = 0
    """So many samples, of more, end at once."""
    rate: float | None = None
    """Tokens per second of each sample; None for as fast as possible."""
    hold: tuple[int, str] | None = None
    """A step, and a file that must exist before it."""
    load_s: float = 0.0
    prefill_s: float = 0.0
    """Seconds per chunk of the prompt."""
    prefill_chunks: int = 1
    context_length: int = 1024
    has_chat_template: bool = True
    fills_middle: bool = False
    dropped_messages: int = 0
    notices: tuple[str, ...] = ()
    load_notices: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @classmethod
    def saying(cls, *replies: str | bytes | list[str | bytes], **options: object) -> Self:
        """A script of these replies: text is split into words, a list is taken as the pieces."""
        cut = tuple(tuple(_pieces(reply)) for reply in replies)
        return msgspec.convert({"replies": cut, **options}, cls)


def _pieces(reply: str | bytes | list[str | bytes]) -> Iterator[bytes]:
    if isinstance(reply, str):
        for word in re.finditer(r"\s*\S+|\s+$", reply):
            yield word[0].encode()
        return
    parts = reply if isinstance(reply, list) else [reply]
    for part in parts:
        yield part.encode() if isinstance(part, str) else part


def write_script(directory: Path, script: Script, name: str = "scripted") -> LoadRequest:
    """Write `script` into `directory` and return the request that loads it."""
    (directory / "script.json").write_bytes(msgspec.json.encode(script))
    return LoadRequest(source=ModelSource(name=name, directory=str(directory)))


def load(request: LoadRequest) -> "ScriptedEngine":
    """The factory: read `script.json` from the source's directory.

    Raises:
        ModelError: there is none.
        OutOfMemoryError, RuntimeError: the script says so.
    """
    try:
        data = Path(request.source.directory, "script.json").read_bytes()
    except OSError as error:
        raise ModelError(f"no script for {request.source.name}: {error.strerror}") from error
    script = msgspec.json.decode(data, type=Script)
    time.sleep(script.load_s)
    for fault in script.faults:
        if fault.at == "load":
            _break(fault)
    return ScriptedEngine(script, name=request.source.name)


class ScriptedEngine:
    """Plays a `Script` by the rules of the `Engine` protocol."""

    def __init__(self, script: Script | None = None, name: str = "scripted") -> None:
        self.script = script or Script()
        self.generations = 0
        """Number of requests so far."""
        self.samplings: list[SamplingParams] = []
        """Arguments of all calls of `set_sampling`."""
        self.closed = False
        self._name = name
        self._sampling = SamplingParams()
        self._prompt: tuple[int, ...] = ()

    @property
    def info(self) -> ModelInfo:
        """A small model on the CPU."""
        return ModelInfo(
            name=self._name,
            revision="0123456789abcdef0123456789abcdef01234567",
            architecture="scripted",
            decoder="scripted",
            device="cpu",
            dtype="float32",
            parameters=124_439_808,
            context_length=self.script.context_length,
            vocab_size=VOCAB_SIZE,
            has_chat_template=self.script.has_chat_template,
            fills_middle=self.script.fills_middle,
            load_s=self.script.load_s,
            notices=self.script.load_notices,
        )

    def set_sampling(self, sampling: SamplingParams) -> None:
        """Use it from the next token on."""
        self.samplings.append(sampling)
        self._sampling = sampling

    def leave_core(self, seconds: float) -> None:
        """Write it to the log."""
        sys.stderr.write(f"{LEFT_CORE.format(seconds)}\n")
        sys.stderr.flush()

    def tokenize(self, text: str) -> tuple[Piece, ...]:
        """Split into words, with a checksum of its bytes as each id."""
        return tuple(Piece(id=_id(piece), piece=piece) for piece in _pieces(text))

    def next_token(self, sampling: SamplingParams, limit: int = 20) -> NextToken | None:
        """A distribution with temperature and top-k only."""
        return None if not self.generations else _distribution(sampling, limit)

    def close(self) -> None:
        """Set `closed`."""
        self.closed = True

    def generate(self, request: GenerateRequest) -> Generator[Event, None, None]:
        """Play the next reply, the same for every sample."""
        number = self.generations
        self.generations += 1
        self._sampling = request.sampling
        faults = [f for f in self.script.faults if f.generation in (None, number)]
        begun = time.perf_counter()
        started = self._start(request)
        yield started
        yield from self._prefill(started.prompt_tokens - started.reused_tokens, faults)
        if failed := _out_of_memory(faults, "prefill", 0):
            yield failed
            return
        reply = self.script.replies[number % len(self.script.replies)]
        samples = [_Sample(i, request, started, begun) for i in range(request.samples)]
        paced = time.perf_counter()
        for step in range(request.max_tokens):
            for fault in faults:
                if fault.at == "decode" and fault.token == step:
                    _break(fault)
            if failed := _out_of_memory(faults, "decode", step):
                yield failed
                return
            if not any(not sample.done for sample in samples):
                return
            if self.script.rate is not None:
                time.sleep(max(0.0, paced + step / self.script.rate - time.perf_counter()))
            if self.script.hold is not None and self.script.hold[0] == step:
                while not Path(self.script.hold[1]).exists():
                    time.sleep(0.01)
            for index, sample in enumerate(samples):
                if not sample.done:
                    is_silent = index < self.script.silent < len(samples)
                    yield from sample.step(None if is_silent else self._piece(reply, step))
        for sample in samples:
            if not sample.done:
                yield sample.finish("length")

    def _piece(self, reply: tuple[bytes, ...], step: int) -> bytes | None:
        if self.script.echo_sampling:
            return f"{self._sampling.temperature:g} ".encode()
        if step < len(reply) or (self.script.endless and reply):
            return reply[step % len(reply)]
        return None

    def _start(self, request: GenerateRequest) -> Started:
        room = max(1, self.script.context_length - request.max_tokens)
        last: deque[int] = deque(maxlen=room)
        count = 0
        for last_id in self._encode(request.prompt):
            last.append(last_id)
            count += 1
        ids = tuple(last) or (EOS_ID,)
        dropped = max(0, count - room)
        reused = min(_common(self._prompt, ids), len(ids) - 1)
        self._prompt = ids
        return Started(
            prompt_tokens=len(ids),
            reused_tokens=reused,
            dropped_tokens=dropped,
            context_length=self.script.context_length,
            seed=42 if request.seed is None else request.seed,
            dropped_messages=self.script.dropped_messages,
            prompt_ids=ids,
            notices=self.script.notices,
        )

    def _encode(self, prompt: Prompt) -> Iterator[int]:
        """The ids one by one: a long chat's take ten times its text."""
        match prompt:
            case TextPrompt(text=text):
                yield from map(_id, _pieces(text))
            case TokenPrompt(ids=ids):
                yield from ids
            case MixedPrompt(parts=parts, memory=memory, note=note, note_depth=depth):
                body = [token for part in parts for token in self._encode(part)]
                at = max(0, len(body) - depth)
                yield from map(_id, _pieces(memory))
                yield from body[:at]
                yield from map(_id, _pieces(note))
                yield from body[at:]
            case ChatPrompt(messages=messages):
                text = "".join(f"{m.role}: {m.text}\n" for m in messages)
                yield from map(_id, _pieces(text))

    def _prefill(self, tokens: int, faults: list[Fault]) -> Iterator[Event]:
        for chunk in range(self.script.prefill_chunks):
            for fault in faults:
                if fault.at == "prefill":
                    _break(fault)
            time.sleep(self.script.prefill_s)
            done = tokens * (chunk + 1) // self.script.prefill_chunks
            yield Prefilled(done=done, total=tokens)


class _Sample:
    """One continuation: decodes bytes, finds stop texts, counts tokens."""

    def __init__(
        self, index: int, request: GenerateRequest, started: Started, begun: float
    ) -> None:
        self.done = False
        self._index = index
        self._request = request
        self._started = started
        self._begun = begun
        self._first = begun
        self._count = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._stops = text_end(request.stop, request.until)

    def step(self, piece: bytes | None) -> Iterator[Event]:
        """The events of one more token; None is the end-of-text token."""
        if piece is None and not self._request.ignore_eos:
            yield self.finish("eos")
            return
        piece = piece or b""
        if self._count == 0:
            self._first = time.perf_counter()
        self._count += 1
        text = self._stops.push(self._decoder.decode(piece))
        wanted = self._request.logprobs
        yield Token(
            sample=self._index,
            id=_id(piece),
            text=text,
            piece=piece,
            logprob=None if wanted is None else -0.5,
            alternatives=tuple(
                Alternative(id=_id(word), piece=word, logprob=-1.0 - n)
                for n, word in enumerate(_WORDS[: wanted or 0])
            ),
        )
        if self._stops.matched is not None:
            yield self.finish("stop")

    def finish(self, reason: FinishReason) -> Finished:
        """The sample's last event."""
        self.done = True
        now = time.perf_counter()
        if self._stops.matched is None:
            tail = self._stops.push(self._decoder.decode(b"", final=True)) + self._stops.flush()
        else:
            tail = ""
        rest = now - self._first
        return Finished(
            sample=self._index,
            reason=reason,
            text=tail,
            stop=self._stops.matched,
            usage=Usage(
                prompt_tokens=self._started.prompt_tokens,
                completion_tokens=self._count,
                reused_tokens=self._started.reused_tokens,
                dropped_tokens=self._started.dropped_tokens,
            ),
            timings=Timings(
                first_token_s=self._first - self._begun,
                total_s=now - self._begun,
                tokens_per_s=(self._count - 1) / rest if self._count > 1 and rest > 0 else 0.0,
            ),
        )


class AcceleratorError(RuntimeError):
    """Stands for torch's exception of the same name, raised for CUDA faults."""


def _read_past_the_end() -> None:
    """Read a page of a mapping whose file has become shorter."""
    with tempfile.TemporaryFile() as file:
        file.truncate(1 << 16)
        with mmap.mmap(file.fileno(), 1 << 16) as mapping:
            file.truncate(0)
            mapping[1 << 15]


class PanicException(BaseException):
    """Stands for that of pyo3, with a message that no encoding takes."""


def _break(fault: Fault) -> None:
    """Fail as the fault says, except for out-of-memory in a generation, which is an event."""
    match fault.how:
        case "raise":
            raise RuntimeError("the script says so")
        case "panic":
            raise PanicException("called `Result::unwrap()` on \ud800")
        case "cuda":
            raise AcceleratorError("CUDA error: device-side assert triggered")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "bus_error":
            _read_past_the_end()
        case "stall":
            sys.stderr.write(f"{STALLED}\n")
            sys.stderr.flush()
            threading.Event().wait()
        case "hold_lock":
            sys.stderr.write(f"{STALLED}\n")
            sys.stderr.flush()
            ctypes.PyDLL(None).pause()
        case "fill_memory":
            taken = []
            while True:
                taken.append(bytearray(1 << 20))
        case "out_of_memory":
            if fault.at == "load":
                raise OutOfMemoryError("no memory for the script: try a smaller one")


def _out_of_memory(faults: list[Fault], at: str, step: int) -> Failed | None:
    for fault in faults:
        if fault.how == "out_of_memory" and fault.at == at and fault.token == step:
            return Failed(kind="out_of_memory", message="out of memory: try a smaller model")
    return None


_WORDS = (b" the", b" a", b" of", b" and", b" to")
_PROBABILITIES = (1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16)


def _common(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    same = (a == b for a, b in zip(one, other, strict=False))
    return sum(1 for _ in itertools.takewhile(bool, same))


def _id(piece: bytes) -> int:
    return zlib.crc32(piece) % EOS_ID


def _distribution(sampling: SamplingParams, limit: int) -> NextToken:
    kept = len(_WORDS) if sampling.top_k == 0 else min(sampling.top_k, len(_WORDS))
    cut = "top-k"
    if sampling.temperature == 0:
        kept, cut, weights = 1, "greedy", list(_PROBABILITIES)
    else:
        weights = [p ** (1 / sampling.temperature) for p in _PROBABILITIES]
    total = sum(weights[:kept])
    rows = tuple(
        Candidate(
            id=_id(word),
            piece=word,
            raw=_PROBABILITIES[n],
            used=weights[n] / total if n < kept else 0.0,
            cut=None if n < kept else cut,
        )
        for n, word in enumerate(_WORDS)
    )
    return NextToken(
        candidates=rows[:limit],
        entropy_bits=1.875,
        used_entropy_bits=1.875,
        kept=kept,
        kept_mass=sum(_PROBABILITIES[:kept]),
        vocab_size=VOCAB_SIZE,
    )

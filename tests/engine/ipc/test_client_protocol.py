"""The clients' protocol core, without a socket: bytes in, answers out, at every cut."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.engine.api import (
    Event,
    Failed,
    Finished,
    GenerateRequest,
    LoadRequest,
    ModelInfo,
    ModelSource,
    NextToken,
    Piece,
    SamplingParams,
    Started,
    TextPrompt,
    Timings,
    Token,
    Usage,
)
from gptterm.engine.ipc import protocol
from gptterm.engine.ipc.client_protocol import (
    ClientProtocol,
    ConnectionLostError,
    Generation,
    Notification,
    Pending,
    ProtocolError,
)
from gptterm.errors import GpttermError, ModelError, OutOfMemoryError, UsageError

LOG = Path("/log")
LOAD = LoadRequest(source=ModelSource(name="small", directory="/small"))
INFO = ModelInfo(
    name="small",
    revision="",
    architecture="gpt2",
    decoder="scripted",
    device="cpu",
    dtype="float32",
    parameters=1,
    context_length=8,
    vocab_size=9,
    has_chat_template=False,
)
DISTRIBUTION = NextToken(
    candidates=(), entropy_bits=1.0, used_entropy_bits=1.0, kept=2, kept_mass=1.0, vocab_size=9
)
PIECES = (Piece(id=1, piece=b"a"), Piece(id=2, piece=b" b"))
STARTED = Started(
    prompt_tokens=1, reused_tokens=0, dropped_tokens=0, context_length=8, seed=1
)  # fmt: skip


def request(samples: int = 1, text: str = "a") -> GenerateRequest:
    return GenerateRequest(prompt=TextPrompt(text=text), samples=samples)


def token(text: str, sample: int = 0) -> Token:
    return Token(sample=sample, id=1, text=text, piece=text.encode())


def finished(sample: int = 0) -> Finished:
    usage = Usage(prompt_tokens=1, completion_tokens=1, reused_tokens=0, dropped_tokens=0)
    timings = Timings(first_token_s=0.1, total_s=0.2, tokens_per_s=1.0)
    return Finished(sample=sample, reason="eos", text="", usage=usage, timings=timings)


def encoded(*reports: protocol.Report) -> bytes:
    return b"".join(map(protocol.encode, reports))


def commands(*data: bytes) -> list[protocol.Command]:
    return list(protocol.command_reader().feed(b"".join(data)))


class Conversation:
    """A client that has asked for one of everything, and what the engine says to it."""

    def __init__(self) -> None:
        self.core = ClientProtocol(LOG)
        self.notifications: list[Notification] = []
        self.load: Pending[ModelInfo] = self.core.load(LOAD)[0]
        self.first: Generation = self.core.generate(request(samples=2))[0]
        self.next_token: Pending[NextToken | None] = self.core.next_token(SamplingParams(), 3)[0]
        self.tokens: Pending[tuple[Piece, ...]] = self.core.tokenize("a b")[0]
        self.refused: Pending[tuple[Piece, ...]] = self.core.tokenize("c")[0]
        self.second: Generation = self.core.generate(request())[0]

    REPORTS: Sequence[protocol.Report] = (
        protocol.LoadProgress(stage="importing"),
        protocol.LoadProgress(stage="loading"),
        protocol.Loaded(info=INFO),
        protocol.Waiting(id=1, ahead=2),
        protocol.EventFrame(id=1, event=STARTED),
        protocol.EventFrame(id=99, event=token("of nobody")),
        protocol.TokensResult(call=99, pieces=()),
        protocol.EventFrame(id=5, event=STARTED),
        protocol.EventFrame(id=1, event=token("🦊 one", sample=1)),
        protocol.NextTokenResult(call=2, distribution=DISTRIBUTION),
        protocol.NextTokenResult(call=2, distribution=None),
        protocol.EventFrame(id=1, event=finished(1)),
        protocol.QueryFailed(call=4, message="no model is loaded"),
        protocol.EventFrame(id=5, event=Failed(kind="model", message="it broke")),
        protocol.EventFrame(id=5, event=token("after the end")),
        protocol.TokensResult(call=3, pieces=PIECES),
        protocol.EventFrame(id=1, event=token("two")),
        protocol.EventFrame(id=1, event=finished(0)),
        protocol.Waiting(id=1, ahead=1),
        protocol.Loaded(info=INFO),
    )

    def receive(self, data: bytes) -> None:
        self.notifications += self.core.receive_data(data)

    def outcome(self) -> tuple[object, ...]:
        """All that the client can see."""
        pending = (self.load, self.next_token, self.tokens, self.refused)
        return (
            self.core.state,
            self.core.failure,
            self.core.activity,
            self.core.backlog,
            self.notifications,
            [(list(g.events), g.done, g.begun, g.decoding) for g in (self.first, self.second)],
            [result(one) for one in pending],
        )


def result(pending: Pending[Any]) -> object:
    if not pending.done:
        return "open"
    try:
        return pending.result()
    except GpttermError as error:
        return type(error), str(error)


STREAM = encoded(*Conversation.REPORTS)


def test_each_answer_reaches_the_command_that_it_belongs_to() -> None:
    chat = Conversation()
    chat.receive(STREAM)
    stages = [n.stage for n in chat.notifications if isinstance(n, protocol.LoadProgress)]
    assert stages == ["importing", "loading"]
    assert chat.notifications[2:] == [protocol.Waiting(id=1, ahead=2)]
    assert chat.load.result() == INFO
    assert list(chat.first.events) == [
        STARTED, token("🦊 one", sample=1), finished(1), token("two"), finished(0),
    ]  # fmt: skip
    assert list(chat.second.events) == [STARTED, Failed(kind="model", message="it broke")]
    assert chat.next_token.result() == DISTRIBUTION
    assert chat.tokens.result() == PIECES
    with pytest.raises(GpttermError, match="no model is loaded"):
        chat.refused.result()
    assert (chat.core.state, chat.core.failure) == ("ready", None)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_the_size_of_the_pieces_does_not_matter(size: int) -> None:
    whole, chat = Conversation(), Conversation()
    whole.receive(STREAM)
    for at in range(0, len(STREAM), size):
        chat.receive(STREAM[at : at + size])
    assert chat.outcome() == whole.outcome()


def test_no_cut_matters() -> None:
    whole = Conversation()
    whole.receive(STREAM)
    for cut in range(len(STREAM)):
        chat = Conversation()
        chat.receive(STREAM[:cut])
        chat.receive(STREAM[cut:])
        assert chat.outcome() == whole.outcome(), cut


@given(st.data())
def test_any_order_of_reports_in_any_pieces(data: st.DataObject) -> None:
    reports = data.draw(st.lists(st.sampled_from(Conversation.REPORTS), max_size=30))
    stream = encoded(*reports)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    whole, chat = Conversation(), Conversation()
    whole.receive(stream)
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        chat.receive(stream[start:end])
    assert chat.outcome() == whole.outcome()
    for generation in (chat.first, chat.second):
        check_ends(generation)


def check_ends(generation: Generation) -> None:
    """A generation is over with its last end, or a failure, and nothing comes after."""
    events = list(generation.events)
    ends = [event for event in events if isinstance(event, Finished | Failed)]
    samples = 2 if generation.id == 1 else 1
    failed = any(isinstance(end, Failed) for end in ends)
    assert generation.done == (failed or len(ends) == samples)
    if generation.done:
        assert events[-1] is ends[-1]


def test_a_lost_connection_ends_every_open_command_once_at_every_byte() -> None:
    starts = [len(encoded(*Conversation.REPORTS[:n])) for n in range(len(Conversation.REPORTS))]
    for at in range(len(STREAM) + 1):
        complete = sum(start <= at for start in [*starts[1:], len(STREAM)])
        whole, chat = Conversation(), Conversation()
        whole.receive(encoded(*Conversation.REPORTS[:complete]))
        chat.receive(STREAM[:at])
        for _ in range(2):  # the second time nothing happens
            chat.core.connection_lost("internal", "it is gone")
        assert chat.core.state == "closed"
        assert chat.core.failure == Failed(kind="internal", message="it is gone")
        for before, after in ((whole.first, chat.first), (whole.second, chat.second)):
            lost = [] if before.done else [chat.core.failure]
            assert list(after.events) == [*before.events, *lost]
            assert after.done
        pairs = (
            (whole.load, chat.load),
            (whole.next_token, chat.next_token),
            (whole.tokens, chat.tokens),
            (whole.refused, chat.refused),
        )
        for answered, pending in pairs:
            lost_error = (ConnectionLostError, "it is gone")
            assert result(pending) == (result(answered) if answered.done else lost_error)


@pytest.mark.parametrize("call", ["load", "generate", "next_token", "tokenize", "close"])
def test_after_the_connection_is_lost_commands_are_refused_with_its_reason(call: str) -> None:
    core = ClientProtocol(LOG)
    core.connection_lost("out_of_memory", "it was too large")
    arguments: dict[str, tuple[object, ...]] = {
        "load": (LOAD,),
        "generate": (request(),),
        "next_token": (SamplingParams(), 1),
        "tokenize": ("a",),
        "close": (),
    }
    with pytest.raises(ConnectionLostError, match="it was too large"):
        getattr(core, call)(*arguments[call])
    assert core.state == "closed"


def test_a_fatal_error_is_the_reason_whatever_the_shell_says_later() -> None:
    chat = Conversation()
    chat.receive(encoded(protocol.Fatal(message="the device failed")))
    assert (chat.core.state, chat.core.failure) == ("loading", None)
    chat.core.connection_lost("out_of_memory", "it ended")
    wanted = Failed(kind="internal", message="the device failed; its log is /log")
    assert chat.core.failure == wanted
    assert list(chat.first.events) == [wanted]


def failing_loads() -> Iterable[tuple[protocol.LoadFailed, type[GpttermError], str]]:
    memory = protocol.LoadFailed(kind="out_of_memory", message="no room")
    yield memory, OutOfMemoryError, "no room"
    model = protocol.LoadFailed(kind="model", message="no such file")
    yield model, ModelError, "no such file"
    broken = protocol.LoadFailed(kind="internal", message="it broke")
    yield broken, ModelError, "it broke; the log is /log"


@pytest.mark.parametrize(("report", "error", "message"), failing_loads())
def test_a_load_that_fails(
    report: protocol.LoadFailed, error: type[GpttermError], message: str
) -> None:
    core = ClientProtocol(LOG)
    pending, _ = core.load(LOAD)
    with pytest.raises(GpttermError, match="another model"):
        core.load(LOAD)
    core.receive_data(encoded(report))
    assert result(pending) == (error, message)
    states = [core.state]
    core.load(LOAD)
    states.append(core.state)
    assert states == ["unloaded", "loading"]


def test_states_and_activities() -> None:
    core = ClientProtocol(LOG)
    seen = [(core.state, core.activity)]

    def note(*reports: protocol.Report) -> None:
        core.receive_data(encoded(*reports))
        seen.append((core.state, core.activity))

    core.load(LOAD)
    note(protocol.LoadProgress(stage="loading"))
    note(protocol.Loaded(info=INFO))
    core.tokenize("a")
    note()
    core.generate(request())
    note()
    note(protocol.EventFrame(id=2, event=STARTED))
    note(protocol.EventFrame(id=2, event=token("a")))
    note(protocol.EventFrame(id=2, event=finished()))
    assert seen == [
        ("unloaded", "before it had loaded a model"),
        ("loading", "while it loaded small"),
        ("ready", "while it was idle"),
        ("ready", "while it was idle"),
        ("generating", "while it read the prompt"),
        ("generating", "while it read the prompt"),
        ("generating", "in the middle of a reply"),
        ("ready", "while it was idle"),
    ]


def test_commands_are_encoded_with_rising_ids() -> None:
    core, warmer = ClientProtocol(LOG), SamplingParams(temperature=1.5)
    _, load = core.load(LOAD)
    first, generate = core.generate(request())
    _, next_token = core.next_token(warmer, 5)
    _, tokenize = core.tokenize("a b")
    second, again = core.generate(request(samples=2))
    data = (
        load, generate, next_token, tokenize, again,
        core.set_sampling(second, warmer), core.leave_core(0.02), core.cancel(first), core.close(),
    )  # fmt: skip
    assert commands(*data) == [
        protocol.Load(request=LOAD),
        protocol.Generate(id=1, request=request()),
        protocol.QueryNextToken(call=2, sampling=warmer, limit=5),
        protocol.QueryTokens(call=3, text="a b"),
        protocol.Generate(id=4, request=request(samples=2)),
        protocol.SetSampling(id=4, sampling=warmer),
        protocol.LeaveCore(seconds=0.02),
        protocol.Cancel(id=1),
        protocol.Close(),
    ]


def test_a_command_that_cannot_be_encoded_opens_nothing() -> None:
    core = ClientProtocol(LOG)
    source = ModelSource(name="small", directory="/\udc80")
    for refused in (
        lambda: core.load(LoadRequest(source=source)),
        lambda: core.generate(request(text="half \ud83e of a fox")),
        lambda: core.tokenize("\udc80"),
    ):
        with pytest.raises(UsageError, match="not valid Unicode"):
            refused()
    with pytest.raises(UsageError, match="cannot be sent"):
        core.next_token(SamplingParams(), 2**70)
    assert (core.state, core.backlog) == ("unloaded", 0)
    core.connection_lost("internal", "it is gone")  # nothing is open, nothing fails


def test_a_cancelled_generation_still_gets_its_ends() -> None:
    core = ClientProtocol(LOG)
    generation, _ = core.generate(request(samples=2))
    events: list[Event] = [token("a"), finished(0), token("b", sample=1), finished(1)]
    core.receive_data(encoded(protocol.EventFrame(id=1, event=events[0])))
    core.cancel(generation)
    core.receive_data(encoded(*(protocol.EventFrame(id=1, event=e) for e in events[1:])))
    assert list(generation.events) == events
    assert generation.done


def test_a_discarded_generation_keeps_no_events_and_still_ends() -> None:
    core = ClientProtocol(LOG)
    generation, _ = core.generate(request())
    core.receive_data(encoded(protocol.EventFrame(id=1, event=token("a"))))
    generation.discard()
    core.receive_data(encoded(protocol.EventFrame(id=1, event=token("b"))))
    assert (list(generation.events), generation.done) == ([], False)
    core.receive_data(encoded(protocol.EventFrame(id=1, event=finished())))
    assert (list(generation.events), generation.done, core.state) == ([], True, "unloaded")


def test_the_backlog_counts_what_a_consumer_is_slow_about() -> None:
    core = ClientProtocol(LOG)
    first, _ = core.generate(request())
    second, _ = core.generate(request())
    for number in (1, 2, 2):
        core.receive_data(encoded(protocol.EventFrame(id=number, event=token("a"))))
    assert core.backlog == 3
    # An answer is behind the events: they must be read to get to it.
    core.tokenize("a")
    assert core.backlog == 0
    core.receive_data(encoded(protocol.TokensResult(call=3, pieces=())))
    assert core.backlog == 3
    core.cancel(second)
    assert core.backlog == 1
    core.receive_data(encoded(protocol.EventFrame(id=1, event=finished())))
    assert len(first.events) == 2
    assert core.backlog == 0


BROKEN = [
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x01\xff",
    protocol.encode(protocol.Close()),
]


@pytest.mark.parametrize("broken", BROKEN, ids=["too long", "no msgpack", "a command"])
def test_bytes_that_are_no_report_are_refused_and_what_came_before_is_not_lost(
    broken: bytes,
) -> None:
    good = encoded(*Conversation.REPORTS[:9])
    whole = Conversation()
    whole.receive(good)
    for cut in range(len(good) + 1):
        chat = Conversation()
        chat.receive(good[:cut])
        with pytest.raises(ProtocolError, match="protocol error from the engine"):
            chat.receive(good[cut:] + broken)
        chat.notifications = whole.notifications  # they may get lost
        assert chat.outcome() == whole.outcome()
        with pytest.raises(ProtocolError):
            chat.receive(encoded(protocol.Loaded(info=INFO)))


@given(st.binary(max_size=200), st.lists(st.integers(1, 40), min_size=1))
def test_noise_raises_nothing_but_a_protocol_error(noise: bytes, sizes: list[int]) -> None:
    chat, at, turn = Conversation(), 0, 0
    while at < len(noise):
        size = sizes[turn % len(sizes)]
        try:
            chat.receive(noise[at : at + size])
        except ProtocolError:
            break
        at, turn = at + size, turn + 1
    chat.core.connection_lost("internal", "it is gone")
    assert chat.first.done
    assert chat.load.done

"""The engine's process and its client: what goes right."""

import asyncio
import contextlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from gptterm.engine.api import (
    ChatPrompt,
    Event,
    Failed,
    Finished,
    Message,
    Prefilled,
    SamplingParams,
    Started,
    Token,
    TokenPrompt,
)
from gptterm.engine.ipc.connection import HIGH_WATER
from gptterm.engine.ipc.protocol import LoadProgress
from gptterm.engine.runtime.log import LOG_LIMIT
from gptterm.errors import GpttermError, UsageError
from tests.support.ipc_engines import (
    collect,
    end_of,
    failure_of,
    hosted,
    new_client,
    request,
    text_of,
)
from tests.support.scripted import LEFT_CORE, Fault, Script, write_script
from tests.support.waiting import until

ENDLESS = Script.saying([" again"], endless=True, rate=200)


def test_importing_the_client_imports_nothing_heavy() -> None:
    code = (
        "import sys, gptterm.engine.ipc.client; "
        "print({'torch', 'transformers', 'numpy', 'textual'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


async def test_events_come_in_order_and_whole(tmp_path: Path) -> None:
    async with hosted(tmp_path, Script.saying("Once upon a time", prefill_chunks=3)) as client:
        events = await collect(client, request("one two three", seed=7))
    kinds = [type(event) for event in events]
    assert kinds == [Started, *[Prefilled] * 3, *[Token] * 4, Finished]
    started = events[0]
    assert isinstance(started, Started)
    assert (started.prompt_tokens, started.seed) == (3, 7)
    assert text_of(events) == "Once upon a time"
    assert end_of(events).reason == "eos"
    assert end_of(events).usage.completion_tokens == 4


async def test_characters_cut_across_tokens_arrive_whole(tmp_path: Path) -> None:
    text = "Größe 🦊 नमस्ते مرحبا 👩‍👩‍👧"
    pieces: list[str | bytes] = [text.encode()[i : i + 1] for i in range(len(text.encode()))]
    async with hosted(tmp_path, Script.saying(pieces)) as client:
        events = await collect(client, request(text))
    assert text_of(events) == text
    assert b"".join(e.piece for e in events if isinstance(e, Token)) == text.encode()


async def test_samples_and_logprobs(tmp_path: Path) -> None:
    async with hosted(tmp_path, Script.saying("a b c")) as client:
        events = await collect(client, request(samples=3, logprobs=2))
    assert [text_of(events, sample) for sample in range(3)] == ["a b c"] * 3
    tokens = [event for event in events if isinstance(event, Token)]
    assert all(len(token.alternatives) == 2 for token in tokens)
    assert sorted(e.sample for e in events if isinstance(e, Finished)) == [0, 1, 2]


async def test_every_kind_of_prompt_and_a_ban_travel(tmp_path: Path) -> None:
    sampling = SamplingParams(logit_bias=((5, float("-inf")), (6, 1.5)))
    chat = ChatPrompt(messages=(Message(role="user", text="hi", ids=(1, 2)),))
    async with hosted(tmp_path, Script.saying("yes")) as client:
        for prompt in (chat, TokenPrompt(ids=(1, 2, 3))):
            asked = request(sampling=sampling, stop=("\n",), seed=2**63 - 1)
            events = await collect(
                client, type(asked)(prompt=prompt, sampling=sampling, seed=asked.seed)
            )
            assert text_of(events) == "yes"


async def test_progress_of_a_load_is_told(tmp_path: Path) -> None:
    seen: list[LoadProgress] = []
    async with new_client(tmp_path) as client:
        info = await client.load(write_script(tmp_path, Script()), seen.append)
        assert client.info == info
        assert info.name == "scripted"
    assert [progress.stage for progress in seen] == ["starting", "importing", "loading"]


async def test_start_before_load_reports_what_happened_meanwhile(tmp_path: Path) -> None:
    seen: list[LoadProgress] = []
    async with new_client(tmp_path) as client:
        await asyncio.gather(client.start(), client.start())
        pid = client.pid
        await client.load(write_script(tmp_path, Script()), seen.append)
        assert client.pid == pid
    assert seen[-1].stage == "loading"


async def test_another_model_is_loaded_into_the_same_process(tmp_path: Path) -> None:
    async with hosted(tmp_path, Script.saying("first")) as client:
        pid = client.pid
        info = await client.load(write_script(tmp_path, Script.saying("second"), name="other"))
        assert info.name == "other"
        assert client.pid == pid
        assert text_of(await collect(client, request())) == "second"


async def test_loading_cancels_the_running_generation(tmp_path: Path) -> None:
    async with hosted(tmp_path, ENDLESS) as client:
        running = asyncio.create_task(collect(client, request(max_tokens=10**6)))
        await until(lambda: client.busy)
        await client.load(write_script(tmp_path, Script.saying("new")))
        assert end_of(await running).reason == "cancelled"
        assert text_of(await collect(client, request())) == "new"


async def test_cancel_ends_the_reply_and_keeps_what_was_made(tmp_path: Path) -> None:
    async with hosted(tmp_path, ENDLESS) as client:
        events: list[Event] = []
        async for event in client.generate(request(max_tokens=10**6, samples=2)):
            events.append(event)
            if len(events) == 10:
                await client.cancel()
        ends = [event for event in events if isinstance(event, Finished)]
        assert [end.reason for end in ends] == ["cancelled"] * 2
        for end in ends:
            written = [e for e in events if isinstance(e, Token) and e.sample == end.sample]
            assert end.usage.completion_tokens == len(written) > 0
            assert end.usage.dropped_tokens + end.usage.prompt_tokens == 4
            assert end.timings.total_s >= end.timings.first_token_s > 0
        await client.cancel()  # nothing runs: nothing happens
        assert client.alive


async def test_cancel_gives_back_what_was_held_back(tmp_path: Path) -> None:
    # "\nUser" could become the stop text; the fox's last byte has not come.
    pieces: list[str | bytes] = ["Hi", "\nUser", "\n", "\nUs", "🦊".encode()[:3]]
    nothing: list[str | bytes] = [b""]
    async with hosted(tmp_path, Script.saying(pieces + nothing * 10_000, rate=200)) as client:
        events: list[Event] = []
        async for event in client.generate(request(stop=("\nUser:",), max_tokens=10_000)):
            events.append(event)
            if isinstance(event, Token) and event.piece == pieces[-1]:
                await client.cancel()
        assert text_of(events) == "Hi\nUser\n\nUs\ufffd"
        assert end_of(events).text == "\nUs\ufffd"


async def test_cancel_before_the_first_token(tmp_path: Path) -> None:
    async with hosted(
        tmp_path, Script.saying("x", prefill_chunks=10**6, prefill_s=0.001)
    ) as client:
        events: list[Event] = []
        async for event in client.generate(request()):
            events.append(event)
            if isinstance(event, Prefilled):
                await client.cancel()
        assert end_of(events).reason == "cancelled"
        assert end_of(events).usage.completion_tokens == 0


async def test_closing_the_iterator_cancels(tmp_path: Path) -> None:
    async with hosted(tmp_path, ENDLESS) as client:
        async with contextlib.aclosing(client.generate(request(max_tokens=10**6))) as events:
            async for event in events:
                if isinstance(event, Token):
                    break
        assert not client.busy
        assert end_of(await collect(client, request(max_tokens=3))).reason == "length"


async def test_cancelling_the_task_cancels(tmp_path: Path) -> None:
    async with hosted(tmp_path, ENDLESS) as client:
        running = asyncio.create_task(collect(client, request(max_tokens=10**6)))
        await until(lambda: client.busy)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert running.cancelled()
        assert end_of(await collect(client, request(max_tokens=3))).reason == "length"


async def test_a_second_generation_is_refused(tmp_path: Path) -> None:
    async with hosted(tmp_path, ENDLESS) as client:
        running = asyncio.create_task(collect(client, request(max_tokens=10**6)))
        await until(lambda: client.busy)
        with pytest.raises(GpttermError, match="busy"):
            await collect(client, request())
        await client.cancel()
        assert end_of(await running).reason == "cancelled"


async def test_new_samplers_act_in_the_middle_of_a_reply(tmp_path: Path) -> None:
    script = Script(echo_sampling=True, rate=500)
    async with hosted(tmp_path, script) as client:
        events: list[Event] = []
        async for event in client.generate(request(max_tokens=10**6)):
            events.append(event)
            if isinstance(event, Token) and event.text == "0.8 ":
                await client.set_sampling(SamplingParams(temperature=1.5))
            elif isinstance(event, Token):
                assert event.text == "1.5 "
                await client.cancel()
        assert end_of(events).reason == "cancelled"


async def test_a_core_is_left_while_a_reply_is_written(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    async with hosted(tmp_path, ENDLESS) as client:
        client.leave_core(0.5)  # of no generation: ignored
        async for event in client.generate(request(max_tokens=10**6)):
            if isinstance(event, Started):
                client.leave_core(0.25)
            if LEFT_CORE.format(0.25) in log.read_text():
                await client.cancel()
        assert LEFT_CORE.format(0.5) not in log.read_text()


async def test_samplers_set_before_the_engine_has_begun_are_not_lost(tmp_path: Path) -> None:
    async with hosted(tmp_path, Script(echo_sampling=True, rate=500)) as client:
        await client.set_sampling(SamplingParams(temperature=9))  # of no generation: ignored
        for temperature in (1.5, 2.5):
            generation = client.generate(request(max_tokens=2000))
            first = asyncio.ensure_future(anext(generation))
            await asyncio.sleep(0)  # the request is written, nothing has come back yet
            assert client.busy
            await client.set_sampling(SamplingParams(temperature=temperature))
            events = [await first]
            async for event in generation:
                events.append(event)
                if isinstance(event, Token) and event.text == f"{temperature} ":
                    await client.cancel()
            # The engine may have been quick to begin with the old one.
            assert text_of(events).replace("0.8 ", "").startswith(f"{temperature} ")
            assert end_of(events).reason == "cancelled"
        assert text_of(await collect(client, request(max_tokens=1))) == "0.8 "


async def test_questions_are_answered_idle_and_between_two_tokens(tmp_path: Path) -> None:
    async with hosted(tmp_path, ENDLESS) as client:
        assert await client.next_token(SamplingParams()) is None
        assert [p.piece for p in await client.tokenize("ab cd")] == [b"ab", b" cd"]
        async for event in client.generate(request(max_tokens=10**6)):
            if isinstance(event, Token):
                found = await client.next_token(SamplingParams(top_k=2), limit=3)
                assert found is not None
                assert (found.kept, len(found.candidates)) == (2, 3)
                assert found.candidates[2].cut == "top-k"
                assert len(await client.tokenize("one two")) == 2
                await client.cancel()
        assert await client.next_token(SamplingParams()) is not None


async def test_text_that_is_no_unicode_is_refused(tmp_path: Path) -> None:
    async with hosted(tmp_path, Script.saying("fine")) as client:
        assert failure_of(await collect(client, request("half \ud83e of a fox"))).kind == "usage"
        with pytest.raises(UsageError, match="Unicode"):
            await client.tokenize("\udc80")
        assert text_of(await collect(client, request())) == "fine"


async def test_without_a_model(tmp_path: Path) -> None:
    client = new_client(tmp_path)
    assert isinstance(failure_of(await collect(client, request())), Failed)
    with pytest.raises(GpttermError, match="no model is loaded"):
        await client.tokenize("a")
    await client.start()
    assert "no model" in failure_of(await collect(client, request())).message
    with pytest.raises(GpttermError, match="no model is loaded"):
        await client.next_token(SamplingParams())
    await client.close()
    await client.close()


async def test_a_hundred_thousand_tokens_arrive_and_the_last_is_the_last(tmp_path: Path) -> None:
    pieces: list[str | bytes] = [f"{number} " for number in range(100_000)]
    async with hosted(tmp_path, Script.saying(pieces)) as client:
        events = await collect(client, request(max_tokens=100_000))
    tokens = [event.piece for event in events if isinstance(event, Token)]
    assert tokens == [f"{number} ".encode() for number in range(100_000)]


async def test_a_reader_that_is_slow_slows_the_engine_and_loses_nothing(tmp_path: Path) -> None:
    pieces: list[str | bytes] = [b"x" * 500]
    async with hosted(tmp_path, Script.saying(pieces, endless=True)) as client:
        generation = client.generate(request(max_tokens=50_000))
        events = [await anext(generation)]
        assert client._connection is not None
        transport = client._connection._transport
        assert transport is not None
        await until(lambda: not transport.is_reading(), "the client to stop reading")
        # An answer behind all those events comes all the same.
        assert len(await client.tokenize("a b")) == 2
        await until(lambda: not transport.is_reading(), "the client to stop reading again")
        events += [event async for event in generation]
        assert sum(isinstance(event, Token) for event in events) == 50_000
        # So does a cancel when nobody reads.
        async with contextlib.aclosing(client.generate(request(max_tokens=10**6))) as slow:
            await anext(slow)
            await until(lambda: not transport.is_reading())
            await client.cancel()
            assert end_of([event async for event in slow]).reason == "cancelled"


async def test_a_reply_that_is_left_unread_does_not_hold_up_the_next(tmp_path: Path) -> None:
    script = Script.saying([b"x"], endless=True, prefill_chunks=1)
    async with hosted(tmp_path, script) as client:
        # Unread are a `Prefilled`, the tokens and a `Finished`: the last one is one too many.
        generation = client.generate(request(max_tokens=HIGH_WATER - 1))
        await anext(generation)
        await until(lambda: not client.busy, "the whole reply to arrive")
        await generation.aclose()
        assert end_of(await collect(client, request(max_tokens=3))).reason == "length"


async def test_the_process_has_a_session_of_its_own_and_no_terminal(tmp_path: Path) -> None:
    async with hosted(tmp_path, Script()) as client:
        assert client.pid is not None
        assert os.getsid(client.pid) == client.pid != os.getsid(0)
        assert psutil.Process(client.pid).terminal() is None


async def test_the_log_is_private_and_does_not_grow_for_ever(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_bytes(b"x" * (LOG_LIMIT + 1))
    log.chmod(0o644)
    script = Script(faults=(Fault(at="decode", how="raise"),))
    async with hosted(tmp_path, script) as client:
        await collect(client, request())
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "the script says so" in log.read_text()
    assert "xxxx" not in log.read_text()


async def test_a_log_that_cannot_be_written_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "engine.log").mkdir()
    async with hosted(tmp_path, Script.saying("fine")) as client:
        assert text_of(await collect(client, request())) == "fine"

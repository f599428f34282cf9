"""Warm engines: what goes right."""

import math
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gptterm.engine.api import (
    ChatPrompt,
    Dtype,
    Finished,
    GenerateRequest,
    LoadRequest,
    Message,
    ModelSource,
    SamplingParams,
    Started,
    TextPrompt,
    Token,
)
from gptterm.engine.daemon import launcher, registry
from gptterm.engine.daemon.fingerprint import serves
from gptterm.engine.daemon.handshake import EngineStatus
from gptterm.engine.daemon.sync_client import DaemonEngine, open_engine
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.ipc import LOCAL_ENGINE
from gptterm.errors import UsageError
from tests.support.daemon import ENDLESS, FOREVER, Client, opened
from tests.support.gpt2 import write_gpt2
from tests.support.ipc_engines import end_of, request, text_of
from tests.support.scripted import FACTORY, Script, write_script
from tests.support.waiting import gone, wait_until

# The engine makes two tokens of its own before it is ready: the first reply is played then.


def the_engine() -> EngineStatus:
    """The only one there is."""
    (found,) = launcher.list_daemons()
    assert found.status is not None
    return found.status


def said(engine: DaemonEngine, max_tokens: int = 256) -> str:
    return text_of(list(engine.generate(request(max_tokens=max_tokens))))


def test_the_client_is_light() -> None:
    code = (
        "import sys, gptterm.engine.daemon.sync_client; "
        "print({'torch', 'numpy', 'textual', 'asyncio', 'subprocess', 'logging', 'tempfile'}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_an_engine_outlives_its_client_and_serves_the_next(folder: Path, tmp_path: Path) -> None:
    asked = write_script(tmp_path, Script.saying("warming up", "one two", "three", load_s=0.2))
    assert open_engine(asked, None, factory=FACTORY) is None
    first = opened(asked)
    assert first.connection.started
    assert first.info.load_s > 0.2
    assert first.info.warm_pid == first.connection.pid
    assert said(first) == "one two"
    first.close()
    source = ModelSource(name="another name", directory=str(tmp_path), notices=("found there",))
    second = opened(LoadRequest(source=source), None)
    assert second.connection.pid == first.connection.pid
    assert not second.connection.started
    assert said(second) == "three"
    assert (second.info.name, second.info.notices) == ("another name", ("found there",))
    assert first.info.notices == ()
    wait_until(lambda: the_engine().clients == 1, "the first client's end to be noticed")
    status = the_engine()
    assert (status.model, status.state) == ("scripted", "idle")
    assert (status.generations, math.isinf(status.keep_alive_s)) == (2, True)
    second.close()
    assert [path.suffix for path in sorted(folder.iterdir())] == [".lock", ".sock"]


def test_it_is_a_daemon(folder: Path, tmp_path: Path) -> None:
    engine = opened(write_script(tmp_path, Script()))
    pid = engine.connection.pid
    assert os.getsid(pid) not in (os.getsid(0), pid)  # it cannot get a terminal
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        assert f"PPid:\t{os.getpid()}\n" not in status.read_text()
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        opens = {os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.exists()}
        assert str(tmp_path / "home/engine.log") in opens
    engine.close()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())
    assert "ready" in next(folder.glob("*.lock")).read_text()


def test_each_model_device_and_dtype_has_its_own(folder: Path, tmp_path: Path) -> None:
    asked = write_script(tmp_path, Script())
    source = asked.source
    requests = [asked, LoadRequest(source=source, dtype="bfloat16")]
    requests.append(LoadRequest(source=source, device="mps"))
    assert len({opened(one).connection.pid for one in requests}) == 3
    assert len(launcher.list_daemons()) == 3
    for one in launcher.list_daemons():
        launcher.stop(one)
    assert launcher.list_daemons() == []
    assert list(folder.glob("*.sock")) == []


@pytest.mark.parametrize(
    ("device", "dtype"),
    [("cpu", "auto"), ("auto", "float32"), ("cpu", "float32")],
)
def test_what_auto_turned_out_to_be_is_found_by_its_name(
    folder: Path, tmp_path: Path, device: str, dtype: Dtype
) -> None:
    del folder
    asked = write_script(tmp_path, Script())
    auto = opened(asked).connection.pid
    request = LoadRequest(source=asked.source, device=device, dtype=dtype)
    assert opened(request, None).connection.pid == auto
    # One that is to be kept is not started twice either.
    assert opened(request).connection.pid == auto
    assert len(launcher.list_daemons()) == 1


def test_auto_is_not_taken_for_what_another_engine_was_told(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, Script())
    told = LoadRequest(source=asked.source, device="cpu")
    opened(told)
    assert open_engine(asked, None, factory=FACTORY) is None


def test_the_first_cuda_device_has_two_names() -> None:
    source = ModelSource(name="m", directory="/m")
    status = EngineStatus(pid=1, device="cuda:0", dtype="bfloat16", asked_device="auto")
    assert serves(status, LoadRequest(source=source, device="cuda", dtype="bfloat16"))
    assert not serves(status, LoadRequest(source=source, device="cuda:1", dtype="bfloat16"))


def test_an_engine_of_old_files_is_not_used_under_another_name(
    folder: Path, tmp_path: Path
) -> None:
    del folder
    asked = write_script(tmp_path, Script.saying("before", "before"))
    old = opened(asked).connection.pid
    write_script(tmp_path, Script.saying("after that", "after that"))
    new = opened(LoadRequest(source=asked.source, device="cpu"), None)
    assert new.connection.pid != old
    assert said(new) == "after that"
    assert the_engine().asked_device == "cpu"


def test_questions_and_samplers(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, Script(echo_sampling=True, rate=500))
    one, other = opened(asked), opened(asked)
    assert one.next_token(SamplingParams()) is None
    assert [piece.piece for piece in one.tokenize("ab cd")] == [b"ab", b" cd"]
    seen = []
    for event in one.generate(request(max_tokens=10**6)):
        if isinstance(event, Token):
            seen.append(event.text)
            if event.text == "1.5 ":
                break
            # Between two tokens; what comes of the generation meanwhile is not lost.
            found = one.next_token(SamplingParams(top_k=2), limit=3)
            assert found is not None
            assert found.kept == 2
            assert len(other.tokenize("a b c")) == 3
            one.set_sampling(SamplingParams(temperature=1.5))
    assert seen[0] == "0.8 "
    assert one.next_token(SamplingParams()) is not None
    # The row of one client's text is not for another one.
    assert other.next_token(SamplingParams()) is None
    assert said(other, max_tokens=1) == "0.8 "
    assert other.next_token(SamplingParams()) is not None
    assert one.next_token(SamplingParams()) is None
    with pytest.raises(UsageError, match="Unicode"):
        one.tokenize("\udc80")
    assert list(one.generate(request("half \ud83e")))[-1].kind == "usage"  # type: ignore[union-attr]
    assert said(one, max_tokens=1) == "0.8 "


def test_clients_take_turns_and_are_told_how_many_go_before(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, ENDLESS)
    a = Client(asked)
    a.begin(request(max_tokens=10**6))
    wait_until(lambda: a.is_at(Token))
    b, c = Client(asked), Client(asked)  # to attach, nobody has to wait
    b.begin(request(max_tokens=3))
    wait_until(lambda: b.told == [1])
    c.begin(request(max_tokens=4))
    wait_until(lambda: c.told == [2])
    status = the_engine()
    assert (status.state, status.clients, status.waiting) == ("generating", 3, 2)
    assert not b.events
    a.stop()
    assert text_of(b.ended()) == " again" * 3
    assert text_of(c.ended()) == " again" * 4
    assert c.told == [2, 1]
    assert b.told == [1]
    a.ended()


def test_who_waits_can_give_up_and_the_others_do_not_notice(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, ENDLESS)
    a, b, c = (Client(asked) for _ in range(3))
    a.begin(request(max_tokens=10**6))
    wait_until(lambda: a.is_at(Token))
    b.begin(request(max_tokens=3))
    wait_until(lambda: b.told == [1])
    c.begin(request(max_tokens=4))
    wait_until(lambda: c.told == [2])
    b.stop()
    assert end_of(b.ended()).reason == "cancelled"
    assert end_of(b.events).usage.completion_tokens == 0
    wait_until(lambda: c.told == [2, 1])
    assert not a.is_at(Finished)
    a.stop()
    assert text_of(c.ended()) == " again" * 4


def test_closing_the_iterator_cancels(folder: Path, tmp_path: Path) -> None:
    del folder
    engine = opened(write_script(tmp_path, ENDLESS))
    for event in engine.generate(request(max_tokens=10**6)):
        if isinstance(event, Token):
            break
    wait_until(lambda: the_engine().state == "idle")
    assert said(engine, max_tokens=2) == " again" * 2


def test_many_start_one_at_once_and_get_the_same(folder: Path, tmp_path: Path) -> None:
    asked = write_script(tmp_path, Script.saying("a b"))
    found: list[DaemonEngine] = []
    threads = [
        threading.Thread(target=lambda: found.append(opened(asked)), daemon=True)
        for _ in range(6)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 6
    assert len({engine.connection.pid for engine in found}) == 1
    assert [engine.connection.started for engine in found].count(True) == 1
    assert [said(engine) for engine in found] == ["a b"] * 6
    assert len(list(folder.glob("*.sock"))) == 1


def test_it_ends_when_nobody_has_used_it_for_long_enough(folder: Path, tmp_path: Path) -> None:
    asked = write_script(tmp_path, Script.saying("a b"))
    engine = opened(asked, 0.05)
    pid = engine.connection.pid
    # Its client is there: it stays, and still does all that it is asked.
    assert [said(engine) for _ in range(20)] == ["a b"] * 20
    engine.close()
    wait_until(lambda: gone(pid), "the engine to end")
    assert list(folder.glob("*.sock")) == []
    assert open_engine(asked, None, factory=FACTORY) is None


def test_the_last_client_says_how_long_it_stays(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, Script())
    opened(asked, FOREVER).close()
    opened(asked, None).close()
    assert math.isinf(the_engine().keep_alive_s)
    last = opened(asked, 60.0)
    assert the_engine().keep_alive_s == 60
    pid = last.connection.pid
    last.close()
    opened(asked, 0.0).close()
    wait_until(lambda: gone(pid), "the engine to end")


def test_homes_have_engines_of_their_own(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = write_script(tmp_path, Script())
    opened(asked).close()
    monkeypatch.setenv("GPTTERM_HOME", str(tmp_path / "other"))
    assert registry.socket_directory() != folder
    assert launcher.list_daemons() == []
    assert open_engine(asked, None, factory=FACTORY) is None
    monkeypatch.setenv("GPTTERM_HOME", str(tmp_path))


def test_two_clients_of_a_real_model_get_what_each_would_alone(
    folder: Path, tmp_path: Path
) -> None:
    del folder
    model = write_gpt2(tmp_path / "model", positions=128)
    asked = LoadRequest(source=ModelSource(name="small", directory=str(model)), device="cpu")
    alone = load_engine(asked)
    a, b = opened(asked, factory=LOCAL_ENGINE), opened(asked, None, factory=LOCAL_ENGINE)
    assert a.connection.pid == b.connection.pid
    assert a.info.decoder == "native"

    def ids(engine: DaemonEngine, asked: GenerateRequest) -> list[int]:
        return [event.id for event in engine.generate(asked) if isinstance(event, Token)]

    beginning = "Once upon a time there was a king who had three daughters. "
    for number, text in enumerate(["She said", "The moon", "She said that", "", "The moon is"]):
        for seed, engine in enumerate((a, b, a)):
            prompt = TextPrompt(text=beginning + text)
            wanted = GenerateRequest(prompt=prompt, seed=seed, max_tokens=12, samples=1 + seed % 2)
            expected = ids(alone, wanted)  # type: ignore[arg-type]
            assert ids(engine, wanted) == expected, (number, seed)
    # The cache is shared, whoever filled it.
    started = next(b.generate(request(beginning + "She said", max_tokens=1)))
    assert isinstance(started, Started)
    assert started.reused_tokens > len(started.prompt_ids) // 2
    chat = ChatPrompt(messages=(Message(role="user", text="hello"),))
    wanted = GenerateRequest(prompt=chat, seed=1, max_tokens=5)
    assert ids(b, wanted) == ids(alone, wanted)  # type: ignore[arg-type]
    alone.close()


@pytest.mark.parametrize("size", [1, 100_000])
def test_a_reply_of_any_size_arrives_whole(folder: Path, tmp_path: Path, size: int) -> None:
    del folder
    pieces: list[str | bytes] = [f"{number} " for number in range(size)]
    engine = opened(write_script(tmp_path, Script.saying(pieces)))
    tokens = [
        event.piece for event in engine.generate(request(max_tokens=size + 1))
        if isinstance(event, Token)
    ]  # fmt: skip
    assert tokens == [f"{number} ".encode() for number in range(size)]

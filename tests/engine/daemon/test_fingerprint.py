"""Fingerprint of a daemon's model: the one that a client asks for, or another."""

from pathlib import Path

from gptterm.engine.api import AdapterSource, KVDtype, LoadRequest, ModelInfo, ModelSource
from gptterm.engine.daemon.fingerprint import (
    as_requested,
    daemon_name,
    serves,
)
from gptterm.engine.daemon.handshake import EngineStatus
from gptterm.engine.runtime.fingerprint import fingerprint_of


def test_a_notice_of_both_is_said_once() -> None:
    source = ModelSource(name="m", directory="/m", notices=("an adapter", "mine"))
    info = ModelInfo(
        name="other",
        revision="",
        architecture="GPT2LMHeadModel",
        decoder="native",
        device="cpu",
        dtype="float32",
        parameters=1,
        context_length=2,
        vocab_size=3,
        has_chat_template=False,
        notices=("an adapter", "its own"),
    )
    found = as_requested(info, LoadRequest(source=source), 7, 0.5)
    assert (found.name, found.warm_pid) == ("m", 7)
    assert found.notices == ("an adapter", "mine", "its own")


def test_an_engine_of_another_context_is_another_engine() -> None:
    source = ModelSource(name="m", directory="/m")
    requests = [LoadRequest(source=source, context=context) for context in (None, 64, 65)]
    assert len({daemon_name(request, "") for request in requests}) == 3
    status = EngineStatus(pid=1, device="cpu", dtype="float32", asked_device="auto", context=64)
    asked = [LoadRequest(source=source, dtype="float32", context=context) for context in (None, 64)]
    assert [serves(status, request) for request in asked] == [False, True]


def test_an_engine_with_another_kv_cache_is_another_engine() -> None:
    source = ModelSource(name="m", directory="/m")
    asked: list[KVDtype] = ["auto", "float16", "int8"]
    requests = [LoadRequest(source=source, kv_dtype=dtype) for dtype in asked]
    assert len({daemon_name(request, "") for request in requests}) == 3
    status = EngineStatus(pid=1, device="auto", dtype="auto", kv_dtype="int8")
    assert [serves(status, request) for request in requests] == [False, False, True]


def test_an_engine_with_an_adapter_is_another_engine(tmp_path: Path) -> None:
    source = ModelSource(name="m", directory=str(tmp_path))
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    given = [(), (AdapterSource(directory=str(adapter)),)]
    given.append((AdapterSource(directory=str(adapter), scale=0.5),))
    requests = [LoadRequest(source=source, adapters=each) for each in given]
    assert len({daemon_name(request, "") for request in requests}) == 3
    status = EngineStatus(pid=1, device="auto", dtype="auto", adapters=given[2])
    assert [serves(status, request) for request in requests] == [False, False, True]
    link = tmp_path / "link"
    link.symlink_to(adapter)
    linked = AdapterSource(directory=str(link), scale=0.5)
    assert serves(status, LoadRequest(source=source, adapters=(linked,)))
    before = fingerprint_of(requests[1])
    (adapter / "adapter_config.json").write_text("{ }")
    assert fingerprint_of(requests[1]) != before

"""The table of models: what is known of each, and what can be chosen in it."""

import shutil
from pathlib import Path

import pytest

from gptterm.engine.remote.servers import Server, Servers
from gptterm.models import bundled
from gptterm.store import History, UsedModel
from gptterm.tui.dialogs.models import ModelDialog
from gptterm.tui.state.file_paths import FoundPath, list_paths
from gptterm.tui.state.model_table import ModelEntry, Wanted, facts, parameters, read_models
from tests.store.chats import talk
from tests.tui.conftest import Open
from tests.tui.saved import fill

REVISION = "0" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with a whole model and a broken one."""
    folder = tmp_path / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    whole = folder / "models--org--whole" / "snapshots" / REVISION
    shutil.copytree(bundled().directory, whole)
    half = folder / "models--org--half" / "snapshots" / REVISION
    half.mkdir(parents=True)
    (half / "config.json").write_text('{"model_type": "gpt2"}')
    return folder


def by_name(entries: list[ModelEntry]) -> dict[str, ModelEntry]:
    """The entries by their names, each of which is there once."""
    named = {entry.name: entry for entry in entries}
    assert len(named) == len(entries)
    return named


def test_every_model_stands_in_one_section(cache: Path) -> None:
    used = [
        UsedModel("x@http://localhost:1/v1", None),
        UsedModel("lab/big", 30.0),
        UsedModel("gone", 9.0),
        UsedModel("tiny", 120.0),
    ]
    servers = Servers(named={"lab": Server(url="http://lab:8000/v1")})
    found = by_name(read_models(used, Wanted(servers=servers)))
    assert [name for name, entry in found.items() if entry.section == "recent"] == [
        "x@http://localhost:1/v1",
        "lab/big",
        "tiny",
    ]
    assert "gone" not in found
    tiny, whole, half = found["tiny"], found["org/whole"], found["org/half"]
    assert (tiny.parameters, tiny.context, tiny.kind) == (2_467_968, 1024, "chat")
    # In float32, with the keys and values of a full context.
    assert tiny.memory == 4 * 2_467_968 + 1024 * 2 * 3072
    assert tiny.dtype == "float32"
    assert facts(tiny) == "2.5 M · 4.9 MB · chat · 120 tok/s"
    assert whole.section == "on this machine"
    assert whole.detail == str(cache / "models--org--whole" / "snapshots" / REVISION)
    assert not half.is_usable
    assert "no weights" in half.detail
    assert found["gpt2-xl"].is_download
    assert found["gpt2-xl"].is_usable


def test_numbers_follow_the_settings_and_offline_says_why(cache: Path) -> None:
    found = by_name(read_models([], Wanted(dtype="int8", offline=True)))
    assert found["tiny"].section == "bundled"
    assert found["tiny"].memory == 2_467_968 + 1024 * 3072
    small = by_name(read_models([], Wanted(dtype="int8", kv_dtype="int8", offline=True)))
    assert small["tiny"].memory == 2_467_968 + 1024 * 1664
    assert not found["gpt2"].is_usable
    assert "offline" in found["gpt2"].detail
    assert by_name(read_models([], Wanted("cuda:0")))["org/whole"].dtype == "bfloat16"
    assert cache.is_dir()


def test_parameters_are_short() -> None:
    assert [parameters(n) for n in (0, 2_467_968, 124_439_808, 1_557_611_200)] == [
        "", "2.5 M", "124 M", "1.6 B",
    ]  # fmt: skip


def test_the_history_tells_which_models_were_used(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    fill(path, talk("a", "b", model="first"), talk("c", "d", model="second"))
    with History.open(path) as history:
        assert [model.name for model in history.used_models()] == ["second", "first"]
        last = {chat.model: chat.updated for chat in history.conversations()}
        assert history.last_use() == last


def test_paths_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Sub").mkdir()
    (tmp_path / "a.gguf").write_bytes(b"12345")
    (tmp_path / "b.txt").write_text("")
    (tmp_path / ".hidden").write_text("")
    monkeypatch.chdir(tmp_path)
    assert list_paths("./", (".gguf",)) == [FoundPath("./Sub/", 0), FoundPath("./a.gguf", 5)]
    assert list_paths("s") == [FoundPath("Sub/", 0)]
    assert [entry.path for entry in list_paths(f"{tmp_path}/.")] == [f"{tmp_path}/.hidden"]
    assert list_paths("/nowhere/at/all") == list_paths("a\0b/") == []


async def test_what_can_be_done_in_the_table(open_tui: Open, cache: Path) -> None:
    async with open_tui(size=(110, 30)) as desk:
        await desk.ready()
        await desk.press("ctrl+o")
        await desk.until(lambda: isinstance(desk.app.screen, ModelDialog) and "size" in desk.text)
        await desk.type("half")
        await desk.until(lambda: "no weights" in desk.text)
        await desk.press("enter")
        assert isinstance(desk.app.screen, ModelDialog)
        await desk.press("ctrl+u")
        await desk.type(f"{cache}/models--org--w")
        await desk.until(lambda: "folder" in desk.text)
        await desk.press("tab")
        await desk.until(lambda: " snapshots/ " in desk.text)
        await desk.press("tab")
        await desk.until(lambda: f" {REVISION}/ " in desk.text)
        await desk.press("tab", "enter")
        wanted = f"{cache}/models--org--whole/snapshots/{REVISION}/"
        await desk.until(lambda: desk.controller.settings.model == wanted)

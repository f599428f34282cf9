"""Conversations as files: JSON comes back whole, the others read well, no file is harmed."""

import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.conversation.attribution import generation_summary
from gptterm.conversation.export import (
    export,
    format_of,
    from_json,
    to_json,
    to_markdown,
    to_text,
)
from gptterm.conversation.nodes import EARLIEST, LATEST, Generation
from gptterm.conversation.tree import Conversation, clean_text
from gptterm.engine.api import Failed, SamplingParams, Timings, Usage
from gptterm.errors import GpttermError, UsageError
from tests.support.ipc_engines import request
from tests.support.scripted import Script, ScriptedEngine

INFO = ScriptedEngine(name="gpt2").info


def short_chat() -> Conversation:
    chat = Conversation("be kind", clock=lambda: 1.5)
    question = chat.add_user("Tell me\nabout *the* moon")
    engine = ScriptedEngine(Script.saying("It is round.", "It is far."))
    for _ in range(2):
        run = Generation.for_model(INFO, SamplingParams(logit_bias=((5, -float("inf")),)))
        reply = chat.begin_reply(question, run)
        for event in engine.generate(request()):
            chat.apply_event(reply, event)
    return chat


def same(one: Conversation, other: Conversation) -> bool:
    def parts(chat: Conversation) -> tuple[object, ...]:
        opened = [chat.selected_child(node.id) for node in chat.nodes()]
        title = chat.title, chat.has_title
        return chat.id, chat.created, chat.system, title, chat.nodes(), chat.path(), opened

    return parts(one) == parts(other)


# ------------------------------------------------------------------------------------ JSON

texts = st.text(st.characters(), max_size=20)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)
samplings = st.builds(
    SamplingParams,
    temperature=st.floats(0, 10),
    top_k=st.integers(0, 100),
    top_p=st.floats(0, 1, exclude_min=True),
    logit_bias=st.lists(
        st.tuples(st.integers(0, 9), st.one_of(numbers, st.just(-float("inf"))))
    ).map(tuple),
)
runs = st.builds(
    Generation,
    model=texts.map(clean_text),
    sampling=samplings,
    changed_sampling=st.lists(st.tuples(st.integers(0, 9), samplings), max_size=2).map(tuple),
    seed=st.one_of(st.none(), st.integers(0, 2**63 - 1)),
    stop_texts=st.lists(texts.map(clean_text), max_size=2).map(tuple),
    usage=st.one_of(
        st.none(),
        st.just(Usage(prompt_tokens=1, completion_tokens=2, reused_tokens=3, dropped_tokens=4)),
    ),
    timings=st.one_of(
        st.none(), st.builds(Timings, first_token_s=numbers, total_s=numbers, tokens_per_s=numbers)
    ),
)


@given(st.data())
def test_json_comes_back_as_it_was(data: st.DataObject) -> None:
    chat = Conversation(data.draw(texts), created=data.draw(st.floats(EARLIEST, LATEST)))
    chat.title = data.draw(texts)
    for _ in range(data.draw(st.integers(0, 8))):
        nodes = chat.nodes()
        deed = data.draw(st.sampled_from(["user", "reply", "edit", "select"]))
        users = [node.id for node in nodes if node.role == "user"]
        if deed == "user" or not users:
            chat.add_user(data.draw(texts))
        elif deed == "reply":
            reply = chat.begin_reply(data.draw(st.sampled_from(users)), data.draw(runs))
            chat.append(reply, clean_text(data.draw(texts)))
            if data.draw(st.booleans()):
                chat.apply_event(reply, Failed(kind="internal", message="broken"))
        elif deed == "edit":
            chat.edit(data.draw(st.sampled_from(nodes)).id, data.draw(texts))
        else:
            chat.select(data.draw(st.sampled_from(nodes)).id)
    written = to_json(chat)
    json.loads(written, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    back = from_json(written)
    assert same(back, chat)
    assert to_json(back) == written
    for node in back.nodes():
        assert not back.is_streaming(node.id)


def test_a_conversation_that_was_read_goes_on() -> None:
    raw = json.loads(to_json(short_chat()))
    for node in raw["nodes"]:  # whoever made the file may count otherwise
        node["id"] = f"{int(node['id']) + 1}"
        node["parent"] = node["parent"] and f"{int(node['parent']) + 1}"
    raw["open_root"], raw["open_children"] = "2", {"2": "3"}
    back = from_json(json.dumps(raw))
    assert [back.node(i).text for i in back.path()] == ["Tell me\nabout *the* moon", "It is round."]
    added = [back.add_user("more"), back.add_user("and more")]
    assert len({node.id for node in back.nodes()}) == 5
    assert list(back.path()[-2:]) == added


@pytest.mark.parametrize(
    ("changes", "node_changes", "says"),
    [
        ({"version": 2}, {}, "version 2"),
        ({"format": "other"}, {}, "not a conversation"),
        ({"nodes": 5}, {}, "nodes"),
        ({"extra": 5}, {}, "extra"),
        ({"open_root": "9"}, {}, "does not follow"),
        ({"open_children": {"1": "1"}}, {}, "does not follow"),
        ({}, {1: {"id": "1"}}, "two turns"),
        ({}, {0: {"id": ""}}, "two turns"),
        ({}, {1: {"parent": "7"}}, "does not exist"),
        ({}, {0: {"parent": "2"}}, "does not exist"),
        ({}, {1: {"parent": None}}, "must follow a user's turn"),
        ({}, {1: {"role": "robot"}}, "robot"),
    ],
    ids=str,
)
def test_a_damaged_export_is_refused(
    changes: dict[str, object], node_changes: dict[int, dict[str, object]], says: str
) -> None:
    raw = {**json.loads(to_json(short_chat())), **changes}
    for number, values in node_changes.items():
        raw["nodes"][number].update(values)
    with pytest.raises(ValueError, match=says):
        from_json(json.dumps(raw))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "not JSON"),
        ("[1]", "not a conversation"),
        ("{}", "not a conversation"),
        ("[" * 200_000, "nested too deeply"),
    ],
    ids=["empty", "list", "object", "deep"],
)
def test_other_files_are_refused(data: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as raised:
        from_json(data)
    assert "\n" not in str(raised.value)


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(ValueError, match="not JSON"):
        from_json(b"\xff\xfe")


# ------------------------------------------------------------------------------- for readers


def test_markdown() -> None:
    chat = short_chat()
    assert to_markdown(chat) == (
        "# Tell me\n\n## System\n\nbe kind\n\n## You\n\nTell me\nabout *the* moon\n\n"
        "## gpt2\n\nIt is far.\n\n<sub>" + _summary_of(chat) + "</sub>\n"
    )


def _summary_of(chat: Conversation) -> str:
    return generation_summary(chat.node(str(chat.last_reply())).generations)


def test_text() -> None:
    assert to_text(short_chat()) == (
        "System:\nbe kind\n\nYou:\nTell me\nabout *the* moon\n\ngpt2:\nIt is far.\n"
    )


def test_a_title_that_was_given() -> None:
    chat = short_chat()
    untitled = json.loads(to_json(chat))
    assert "title" not in untitled
    chat.title = " On *the*\n moon \x1b "
    assert to_markdown(chat).startswith("# On \\*the\\* moon ␛\n\n## System\n")
    assert to_text(chat).startswith("On *the* moon ␛\n\nSystem:\nbe kind\n\nYou:\nTell me\n")
    assert json.loads(to_json(chat)) == {**untitled, "title": "On *the* moon \x1b"}
    chat.title = ""
    assert to_markdown(chat).startswith("# Tell me\n")
    assert json.loads(to_json(chat)) == untitled


def test_nothing_said_makes_an_empty_file() -> None:
    assert to_markdown(Conversation()) == "\n"
    assert to_text(Conversation()) == "\n"


def test_names_are_no_markup() -> None:
    chat = Conversation()
    name = "<b>*x*\n# y"
    run = Generation.for_model(ScriptedEngine(name=name).info, SamplingParams())
    chat.finish(chat.begin_reply(chat.add_user("# <i>hi"), run), "error")
    shown = to_markdown(chat)
    assert "# \\# \\<i\\>hi\n" in shown
    assert "## \\<b\\>\\*x\\* \\# y\n" in shown


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("```python\nprint()", "\n```"),
        ("````\n```\n", "\n````"),
        ("~~~\n```\n", "\n~~~"),
        ("  ```\ncode\n```", ""),
        ("```\ncode\n```` \nmore", ""),
        ("``` not `a` fence", ""),
        ("    ```\n", ""),
        ("```\na\n```\n```\nb", "\n```"),
    ],
)
def test_an_open_code_block_does_not_swallow_the_next_turn(text: str, end: str) -> None:
    chat = Conversation()
    chat.add_user("q")
    chat.append(chat.begin_reply("1", Generation(model="m")), text)
    chat.finish("2", "cancelled")
    chat.add_user("next")
    assert f"## m\n\n{text.rstrip() if end else text}{end}\n\n<sub>" in to_markdown(chat)


# ----------------------------------------------------------------------------------- files


@pytest.mark.parametrize("name", ["chat.md", "chat.json", "CHAT.TXT"])
def test_a_file_is_private_and_never_replaced_unasked(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    export(short_chat(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    path.chmod(0o644)
    with pytest.raises(UsageError, match="exists already"):
        export(Conversation(), path)
    assert path.read_bytes() == before
    export(Conversation(), path, overwrite=True)
    assert path.read_bytes() != before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_link_is_not_followed_unasked(tmp_path: Path) -> None:
    (tmp_path / "chat.md").symlink_to(tmp_path / "elsewhere.md")
    with pytest.raises(UsageError, match="exists already"):
        export(short_chat(), tmp_path / "chat.md")
    assert not (tmp_path / "elsewhere.md").exists()


def test_json_from_a_file(tmp_path: Path) -> None:
    chat = short_chat()
    export(chat, tmp_path / "chat.json")
    assert same(from_json((tmp_path / "chat.json").read_bytes()), chat)


def test_a_file_that_cannot_be_written_says_why(tmp_path: Path) -> None:
    for overwrite in (False, True):
        with pytest.raises(GpttermError, match="No such file or directory"):
            export(short_chat(), tmp_path / "nowhere" / "chat.md", overwrite=overwrite)
    with pytest.raises(UsageError, match="not a valid file name"):
        export(short_chat(), tmp_path / "a\0.md")
    with pytest.raises(UsageError, match=r"must end in \.md"):
        format_of(Path("chat.pdf"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_leaves_no_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full_open = os.open

    def onto_a_full_disk(path: str, flags: int, mode: int = 0o777) -> int:
        os.close(full_open(path, flags, mode))
        return full_open("/dev/full", os.O_WRONLY)

    monkeypatch.setattr(os, "open", onto_a_full_disk)
    with pytest.raises(GpttermError, match="No space left"):
        export(short_chat(), tmp_path / "chat.md")
    assert list(tmp_path.iterdir()) == []

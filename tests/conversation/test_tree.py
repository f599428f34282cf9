"""The tree of turns: what each operation does, and what no sequence of them may break."""

import itertools

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gptterm.conversation.nodes import Generation, Node
from gptterm.conversation.tree import Conversation, SiblingPosition, clean_text
from gptterm.engine.api import (
    Event,
    Failed,
    Message,
    ModelInfo,
    SamplingParams,
    Started,
    Token,
    Transcript,
)
from tests.support.ipc_engines import request
from tests.support.scripted import Script, ScriptedEngine

INFO = ScriptedEngine().info
RUN = Generation.for_model(INFO, SamplingParams(), max_tokens=7, stop=("x",))


def answered(chat: Conversation, user: str, *replies: str | list[str | bytes]) -> list[str]:
    """Have the user's turn answered once by each reply; return the replies' ids."""
    engine = ScriptedEngine(Script.saying(*replies))
    found = []
    for _ in replies:
        reply = chat.begin_reply(user, RUN)
        for event in engine.generate(request()):
            chat.apply_event(reply, event)
        found.append(reply)
    return found


def texts(chat: Conversation) -> list[str]:
    return [chat.node(node_id).text for node_id in chat.path()]


def test_turns_follow_each_other() -> None:
    chat = Conversation("be kind", clock=lambda: 5.0)
    assert chat.leaf is None
    assert chat.title == ""
    question = chat.add_user("\nhello\nthere")
    (reply,) = answered(chat, question, "good day")
    chat.add_user("more")
    assert texts(chat) == ["\nhello\nthere", "good day", "more"]
    assert chat.title == "hello"
    assert chat.node(reply).parent == question
    assert chat.node(reply).created == 5.0
    assert chat.last_reply() == reply


def test_a_title_is_given_and_taken_away() -> None:
    chat = Conversation()
    chat.add_user("first line\nsecond")
    assert (chat.title, chat.has_title) == ("first line", False)
    chat.title = "  a \n title\ud800 "
    assert (chat.title, chat.has_title) == ("a title\ufffd", True)
    assert chat.first_line == "first line"
    chat.title = "x" * 1000
    assert len(chat.title) == 200
    chat.title = " \n"
    assert (chat.title, chat.has_title) == ("first line", False)


def test_regenerating_puts_a_sibling_beside_the_reply() -> None:
    chat = Conversation()
    question = chat.add_user("hello")
    (first,) = answered(chat, question, "one")
    second = chat.regenerate(first, RUN)
    chat.append(second, "two")
    chat.finish(second, "eos")
    assert texts(chat) == ["hello", "two"]
    assert chat.siblings(second) == (first, second)
    assert chat.sibling_position(second) == SiblingPosition(2, 2)
    assert chat.select_sibling(second, -1) == first
    assert chat.select_sibling(first, -1) == first
    assert texts(chat) == ["hello", "one"]
    assert chat.select_sibling(first, +5) == second


def test_editing_keeps_the_old_branch_as_it_was_left() -> None:
    chat = Conversation()
    old = chat.add_user("old")
    one, _two = answered(chat, old, "one", "two")
    chat.select_sibling(chat.path()[-1], -1)
    chat.add_user("deeper")
    new = chat.edit(old, "new")
    assert texts(chat) == ["new"]
    assert chat.children(None) == (old, new)
    chat.select(old)
    assert texts(chat) == ["old", "one", "deeper"]
    edited = chat.edit(one, "mine")
    assert chat.node(edited).role == "assistant"
    assert chat.node(edited).generations == ()
    assert texts(chat) == ["old", "mine"]


def test_a_reply_remembers_what_it_was_made_with() -> None:
    chat = Conversation()
    (reply,) = answered(chat, chat.add_user("hello"), "good day")
    run = chat.node(reply).generation
    assert run is not None
    assert (run.model, run.sampling, run.max_tokens) == (INFO.name, SamplingParams(), 7)
    assert (run.seed, run.reason, run.tokens) == (42, "eos", 2)
    assert run.usage is not None
    assert run.usage.completion_tokens == 2
    assert run.timings is not None


def test_a_change_of_the_samplers_is_remembered_with_its_place() -> None:
    chat = Conversation()
    reply = chat.begin_reply(chat.add_user("hello"), RUN)
    chat.apply_event(reply, Token(sample=0, id=1, text="a", piece=b"a"))
    chat.change_sampling(reply, SamplingParams(temperature=2))
    chat.apply_event(reply, Token(sample=0, id=2, text="b", piece=b"b"))
    chat.finish(reply, "cancelled")
    run = chat.node(reply).generation
    assert run is not None
    assert run.changed_sampling == ((1, SamplingParams(temperature=2)),)
    assert run.reason == "cancelled"


def test_a_broken_reply_keeps_what_came() -> None:
    chat = Conversation()
    reply = chat.begin_reply(chat.add_user("hello"), RUN)
    assert chat.is_streaming(reply)
    chat.apply_event(reply, Token(sample=0, id=1, text="half", piece=b"half"))
    chat.apply_event(reply, Token(sample=1, id=1, text="another sample", piece=b"?"))
    assert chat.node(reply).text == "half"
    chat.apply_event(reply, Failed(kind="internal", message="the engine was killed"))
    assert not chat.is_streaming(reply)
    chat.apply_event(reply, Token(sample=0, id=1, text="late", piece=b"late"))
    chat.finish(reply, "eos")
    node = chat.node(reply)
    assert (node.text, node.ids) == ("half", (1,))
    assert node.generation is not None
    assert (node.generation.reason, node.generation.error) == ("error", "the engine was killed")


def test_continuing_makes_the_reply_longer() -> None:
    chat = Conversation()
    (reply,) = answered(chat, chat.add_user("hello"), "one two")
    before = chat.node(reply)
    chat.continue_reply(reply, RUN)
    assert chat.chat_prompt(reply, INFO).continue_last
    for event in ScriptedEngine(Script.saying(" three")).generate(request()):
        chat.apply_event(reply, event)
    node = chat.node(reply)
    assert node.text == "one two three"
    assert node.ids[: len(before.ids)] == before.ids
    assert len(node.ids) == 3
    assert [run.start for run in node.generations] == [0, len("one two")]
    assert len(chat) == 2


def test_ids_are_kept_only_where_they_spell_the_text() -> None:
    def ids_of(reply: list[str | bytes], *stop: str) -> tuple[str, int]:
        chat = Conversation()
        node_id = chat.begin_reply(chat.add_user("q"), RUN)
        for event in ScriptedEngine(Script.saying(reply)).generate(request(stop=stop)):
            chat.apply_event(node_id, event)
        return chat.node(node_id).text, len(chat.node(node_id).ids)

    assert ids_of(["a", " b"]) == ("a b", 2)
    # The stop text's tokens are not the reply's.
    assert ids_of(["a", " b", "\n", "User", ":"], "\nUser:") == ("a b", 2)
    # It begins within a token: no ids spell the text.
    assert ids_of(["a", " b\n", "User:"], "\nUser:") == ("a b", 0)
    assert ids_of(["🦊".encode()[:2], "🦊".encode()[2:]]) == ("🦊", 2)
    assert ids_of(["a", "🦊".encode()[:2]]) == ("a\ufffd", 0)


def test_white_space_before_a_transcripts_reply_stays_in_its_ids() -> None:
    chat = Conversation()
    reply = chat.begin_reply(chat.add_user("q"), RUN)
    chat.apply_event(reply, Token(sample=0, id=1, text="", piece=b" "))
    chat.apply_event(reply, Token(sample=0, id=2, text="The", piece=b" The"))
    chat.finish(reply, "cancelled")
    assert (chat.node(reply).text, chat.node(reply).ids) == ("The", (1, 2))


def test_a_prompt_has_the_ids_of_a_reply_that_is_being_written() -> None:
    chat = Conversation()
    reply = chat.begin_reply(chat.add_user("q"), RUN)

    def read() -> tuple[str, tuple[int, ...]]:
        message = chat.chat_prompt(reply, INFO).messages[-1]
        return message.text, message.ids

    assert read() == ("q", ())
    fox = "🦊".encode()
    for number, text, piece in (
        (1, "", b" "),  # a transcript strips it
        (2, "The", b" The"),
        (3, "", fox[:2]),
        (4, "🦊", fox[2:]),
    ):
        chat.apply_event(reply, Token(sample=0, id=number, text=text, piece=piece))
    assert read() == ("The🦊", (1, 2, 3, 4))
    # What is held back, since a stop text may begin there, is read once the token is whole.
    chat.apply_event(reply, Token(sample=0, id=5, text=" ran", piece=b" ran\n"))
    assert read() == ("The🦊", (1, 2, 3, 4))
    chat.apply_event(reply, Token(sample=0, id=6, text="\nand", piece=b"and"))
    assert read() == ("The🦊 ran\nand", (1, 2, 3, 4, 5, 6))
    chat.finish(reply, "cancelled")
    assert read() == ("The🦊 ran\nand", (1, 2, 3, 4, 5, 6))
    chat.continue_reply(reply, RUN)
    assert read() == ("The🦊 ran\nand", (1, 2, 3, 4, 5, 6))
    chat.apply_event(reply, Token(sample=0, id=7, text=" on", piece=b" on"))
    assert read() == ("The🦊 ran\nand on", (1, 2, 3, 4, 5, 6, 7))


def test_a_continued_reply_whose_ids_are_not_all_known_has_none() -> None:
    chat = Conversation()
    (reply,) = answered(chat, chat.add_user("q"), "one")
    mine = chat.edit(reply, "mine")
    chat.continue_reply(mine, RUN)
    chat.apply_event(mine, Token(sample=0, id=1, text=" and yours", piece=b" and yours"))
    chat.finish(mine, "eos")
    assert chat.node(mine).text == "mine and yours"
    assert chat.node(mine).ids == ()


def test_the_prompt_is_the_path_to_the_reply_wherever_the_reader_is() -> None:
    chat = Conversation("be kind")
    first = chat.add_user("hello")
    (reply,) = answered(chat, first, "good day")
    second = chat.add_user("how are you")
    waiting = chat.begin_reply(second, RUN)
    chat.edit(first, "elsewhere")
    form = Transcript(user="Q", assistant="A")
    prompt = chat.chat_prompt(waiting, INFO, form)
    assert prompt.messages == (
        Message(role="system", text="be kind"),
        Message(role="user", text="hello"),
        Message(role="assistant", text="good day", ids=chat.node(reply).ids),
        Message(role="user", text="how are you"),
    )
    assert not prompt.continue_last
    assert prompt.transcript == form


def test_another_models_ids_are_not_used() -> None:
    chat = Conversation()
    (reply,) = answered(chat, chat.add_user("hello"), "good day")
    waiting = chat.begin_reply(chat.add_user("more"), RUN)
    assert chat.chat_prompt(waiting, INFO).messages[1].ids == chat.node(reply).ids != ()
    for other in (_other(name="gpt2"), _other(revision="1")):
        assert chat.chat_prompt(waiting, other).messages[1].ids == ()


def _other(**fields: str) -> ModelInfo:
    return msgspec.structs.replace(INFO, **fields)


def test_an_empty_reply_is_no_message_and_turns_are_taken() -> None:
    chat = Conversation()
    stopped = chat.begin_reply(chat.add_user("hello"), RUN)
    chat.finish(stopped, "cancelled")
    chat.add_user("are you there?")
    chat.add_user("well?")
    waiting = chat.begin_reply(str(chat.leaf), RUN)
    assert chat.chat_prompt(waiting, INFO).messages == (
        Message(role="user", text="hello\n\nare you there?\n\nwell?"),
    )
    # Nothing has been written: going on with it is beginning it.
    chat.select(stopped)
    chat.continue_reply(stopped, RUN)
    assert chat.chat_prompt(stopped, INFO).messages == (Message(role="user", text="hello"),)
    assert not chat.chat_prompt(stopped, INFO).continue_last


def test_what_did_not_fit_is_known_by_its_turns() -> None:
    chat = Conversation("system texts are never dropped")
    assert chat.out_of_context() == frozenset()
    lost = [chat.add_user("one")]
    lost += answered(chat, lost[0], "two")
    kept = chat.add_user("three")
    reply = chat.begin_reply(kept, RUN)
    assert chat.out_of_context() == frozenset()
    chat.apply_event(
        reply,
        Started(
            prompt_tokens=1, reused_tokens=0, dropped_tokens=9, context_length=8, seed=1,
            dropped_messages=2,
        ),
    )  # fmt: skip
    assert chat.out_of_context() == frozenset(lost)


def test_what_makes_no_tree_is_refused() -> None:
    chat = Conversation()
    question = chat.add_user("hello")
    (reply,) = answered(chat, question, "good day")
    with pytest.raises(ValueError, match="user's"):
        chat.begin_reply(reply, RUN)
    with pytest.raises(ValueError, match="only a reply"):
        chat.regenerate(question, RUN)
    with pytest.raises(ValueError, match="only a finished reply"):
        chat.continue_reply(question, RUN)
    chat.continue_reply(reply, RUN)
    with pytest.raises(ValueError, match="only a finished reply"):
        chat.continue_reply(reply, RUN)
    for call in (chat.node, chat.select, chat.path_to, chat.siblings):
        with pytest.raises(KeyError):
            call("nowhere")
    with pytest.raises(KeyError):
        chat.apply_event("nowhere", Failed(kind="internal", message=""))
    with pytest.raises(KeyError):
        chat.finish("nowhere", "eos")


@given(st.text(st.characters()))
def test_clean_text_is_unicode(text: str) -> None:
    cleaned = clean_text(text)
    cleaned.encode()
    assert clean_text(cleaned) == cleaned
    if not any("\ud800" <= c <= "\udfff" for c in text):
        assert cleaned == text


def test_halves_of_a_character_are_joined() -> None:
    assert clean_text("\ud83e\udd8a \ud83e") == "🦊 \ufffd"
    chat = Conversation("\ud800")
    assert chat.system == "\ufffd"
    chat.edit(chat.add_user("\ud800"), "\udc00")
    assert {node.text for node in chat.nodes()} == {"\ufffd"}


BROKEN: Event = Failed(kind="internal", message="broken")
FINISHED: Event = list(ScriptedEngine(Script.saying("")).generate(request()))[-1]
PIECES = ("", "a", " b", "🦊")
"""Texts of the tokens, by their ids; a part of a character alone has none."""


class AnyConversation(RuleBasedStateMachine):
    """Operations in any order; what was there before each of them is still there after it."""

    def __init__(self) -> None:
        super().__init__()
        self.chat = Conversation()
        self.seen: dict[str, Node] = {}

    def some(self, data: st.DataObject, role: str | None = None) -> str | None:
        found = [n.id for n in self.chat.nodes() if role is None or n.role == role]
        return data.draw(st.sampled_from(found)) if found else None

    @rule(text=st.text(max_size=3))
    def add_user(self, text: str) -> None:
        leaf = self.chat.leaf
        added = self.chat.add_user(text)
        assert self.chat.leaf == added
        assert self.chat.node(added).parent == leaf

    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        if user := self.some(data, "user"):
            reply = self.chat.begin_reply(user, RUN)
            assert self.chat.children(user)[-1] == reply
            assert self.chat.selected_child(user) == reply

    @rule(data=st.data())
    def regenerate(self, data: st.DataObject) -> None:
        if reply := self.some(data, "assistant"):
            other = self.chat.regenerate(reply, RUN)
            assert self.chat.siblings(reply) == self.chat.siblings(other)

    @rule(data=st.data(), text=st.text(max_size=3))
    def edit(self, data: st.DataObject, text: str) -> None:
        if turn := self.some(data):
            edited = self.chat.edit(turn, text)
            assert self.chat.node(edited).role == self.chat.node(turn).role
            assert self.chat.node(edited).parent == self.chat.node(turn).parent

    @rule(data=st.data())
    def continue_reply(self, data: st.DataObject) -> None:
        reply = self.some(data, "assistant")
        if reply and not self.chat.is_streaming(reply):
            self.chat.continue_reply(reply, RUN)

    @rule(data=st.data(), token=st.sampled_from(range(len(PIECES))))
    def write(self, data: st.DataObject, token: int) -> None:
        if reply := self.some(data, "assistant"):
            text = PIECES[token]
            event = Token(sample=0, id=token, text=text, piece=text.encode())
            self.chat.apply_event(reply, event)

    @rule(data=st.data(), last=st.sampled_from(["finished", "failed", "given up"]))
    def end(self, data: st.DataObject, last: str) -> None:
        if not (reply := self.some(data, "assistant")):
            return
        if last == "given up":
            self.chat.finish(reply, "cancelled")
        else:
            self.chat.apply_event(reply, FINISHED if last == "finished" else BROKEN)
        assert not self.chat.is_streaming(reply)

    @rule(data=st.data())
    def select(self, data: st.DataObject) -> None:
        if turn := self.some(data):
            self.chat.select(turn)
            assert turn in self.chat.path()

    @precondition(lambda self: self.chat.leaf)
    @rule(data=st.data(), by=st.integers(-3, 3))
    def step(self, data: st.DataObject, by: int) -> None:
        turn = data.draw(st.sampled_from(self.chat.path()))
        place = self.chat.sibling_position(turn)
        reached = self.chat.select_sibling(turn, by)
        wanted = min(max(place.number + by, 1), place.total)
        assert self.chat.sibling_position(reached) == SiblingPosition(wanted, place.total)
        assert reached in self.chat.path()

    @invariant()
    def nothing_is_lost(self) -> None:
        now = {node.id: node for node in self.chat.nodes()}
        for node_id, before in self.seen.items():
            node = now[node_id]
            assert (node.parent, node.role, node.created) == (
                before.parent, before.role, before.created,
            )  # fmt: skip
            assert node.text.startswith(before.text)
            assert len(node.generations) >= len(before.generations)
        self.seen = now

    @invariant()
    def it_is_a_tree(self) -> None:
        reached: list[str] = []
        to_visit = list(self.chat.children(None))
        while to_visit:
            node_id = to_visit.pop()
            reached.append(node_id)
            to_visit += self.chat.children(node_id)
            assert all(self.chat.node(c).parent == node_id for c in self.chat.children(node_id))
        assert sorted(reached) == sorted(node.id for node in self.chat.nodes())
        assert len(reached) == len(self.chat)

    @invariant()
    def the_open_path_goes_from_a_first_turn_to_a_last_one(self) -> None:
        path = self.chat.path()
        assert bool(path) == bool(len(self.chat))
        for parent, child in zip((None, *path), path, strict=False):
            assert child in self.chat.children(parent)
        if path:
            assert self.chat.children(path[-1]) == ()
            assert self.chat.path_to(path[-1]) == path

    @invariant()
    def prompts_take_turns_and_ids_spell_their_text(self) -> None:
        for node in self.chat.nodes():
            if node.role != "assistant":
                continue
            messages = self.chat.chat_prompt(node.id, INFO).messages
            roles = [message.role for message in messages]
            assert all(a != b for a, b in itertools.pairwise(roles))
            assert roles[0] == "user"
            if not self.chat.is_streaming(node.id) and node.ids:
                assert "".join(PIECES[token] for token in node.ids) == node.text


TestAnyConversation = AnyConversation.TestCase
TestAnyConversation.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)

"""Documents: every version stays what it was, whatever is done; tokens stay where their text is."""

import codecs
import json
import math
from collections.abc import Mapping
from itertools import accumulate, pairwise
from types import MappingProxyType

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gptterm.conversation.nodes import Generation
from gptterm.document.edits import Edit
from gptterm.document.export import to_json
from gptterm.document.json_import import from_builtins
from gptterm.document.tree import Document
from gptterm.engine.api import (
    Failed,
    Finished,
    ModelInfo,
    TextPrompt,
    Timings,
    Token,
    Usage,
)

RUN = Generation(model="m")
INFO = ModelInfo(
    name="m", revision="", architecture="", decoder="scripted", device="cpu", dtype="float32",
    parameters=0, context_length=1000, vocab_size=0, has_chat_template=False,
)  # fmt: skip
USAGE = Usage(prompt_tokens=0, completion_tokens=0, reused_tokens=0, dropped_tokens=0)
TIMINGS = Timings(first_token_s=0, total_s=0, tokens_per_s=0)
PIECES = [b"a", b" b", "é".encode()[:1], "é".encode()[1:], "人".encode(), b"\n", b"cd ef"]
"""Of the tokens 0, 1, …"""
EMOJI = "😀".encode()


def write(document: Document, version: str, ids: list[int]) -> None:
    """Let a model write these tokens."""
    pending = b""
    for number in ids:
        pending += PIECES[number]
        text = pending.decode("utf-8", "ignore")
        pending = pending[len(text.encode()) :] if len(pending) < 2 else b""
        document.apply_event(
            version,
            Token(sample=0, id=number, text=text, piece=PIECES[number], logprob=-number / 2),
        )


def end(document: Document, version: str) -> None:
    finished = Finished(sample=0, reason="length", text="", usage=USAGE, timings=TIMINGS)
    document.apply_event(version, finished)


def written(document: Document, at: int, ids: list[int]) -> str:
    (version,) = document.begin(at, RUN)
    write(document, version, ids)
    end(document, version)
    return version


def parts(document: Document, at: int | None = None) -> list[object]:
    """The prompt up to a place, as texts and lists of ids."""
    found = document.prompt_parts(len(document.text) if at is None else at, INFO)
    return [part.text if isinstance(part, TextPrompt) else list(part.ids) for part in found]


# -------------------------------------------------------------------------------------- edits


def test_typing_joins_and_undo_takes_it_back() -> None:
    document = Document()
    for at, letter in enumerate("The fox"):
        document.replace(at, at, letter, typing=True)
    assert (document.text, len(document)) == ("The fox", 1)
    document.replace(0, 3, "A", typing=True)  # another place
    assert (document.text, len(document)) == ("A fox", 2)
    assert document.undo()
    assert document.text == "The fox"
    assert document.undo()
    assert document.text == ""
    assert not document.undo()
    assert document.redo()
    assert document.redo()
    assert document.text == "A fox"
    assert not document.redo()


def test_deleting_letter_by_letter_is_one_version() -> None:
    document = Document()
    document.replace(0, 0, "The fox")
    for at in range(7, 3, -1):
        document.replace(at - 1, at, "", typing=True)
    assert (document.text, len(document)) == ("The", 2)
    document.undo()
    assert document.text == "The fox"


def test_typing_after_an_undo_begins_a_branch() -> None:
    document = Document()
    first = document.replace(0, 0, "a", typing=True)
    second = document.replace(1, 1, "\n", typing=True)
    third = document.replace(2, 2, "b", typing=True)
    assert first == second != third
    document.undo()
    fourth = document.replace(2, 2, "c", typing=True)
    assert document.children(first) == (third, fourth)
    assert document.text == "a\nc"
    document.go(third)
    assert document.text == "a\nb"
    document.undo()
    document.redo()
    assert document.text == "a\nb"  # the one that was in view last


def test_half_a_character_is_replaced() -> None:
    document = Document()
    document.replace(0, 0, "a\ud800b")
    assert document.text == "a?b"


def test_places_outside_the_text_are_refused() -> None:
    document = Document()
    for start, stop in ((0, 1), (-1, 0), (1, 1), (1, 0)):
        with pytest.raises(ValueError, match="no stretch"):
            document.replace(start, stop, "x")
    with pytest.raises(ValueError, match="does not fit the text"):
        Document(edits=[Edit(id="x", parent=None, start=1)], current="x")
    with pytest.raises(ValueError, match="does not fit the tree"):
        Document(edits=[Edit(id="x", parent="y", start=0)])


# ------------------------------------------------------------------------------------- tokens


def test_a_models_tokens_go_back_to_it_as_they_were() -> None:
    document = Document()
    document.replace(0, 0, "Once")
    written(document, 4, [1, 0, 6])
    document.replace(4 + 8, 4 + 8, " end")
    assert document.text == "Once bacd ef end"
    assert parts(document) == ["Once", [1, 0, 6], " end"]
    other = msgspec.structs.replace(INFO, name="other")
    assert document.prompt_parts(12, other) == (TextPrompt(text="Once bacd ef"),)
    assert document.prompt_parts(12, None) == (TextPrompt(text="Once bacd ef"),)


def test_an_edit_re_encodes_only_what_it_changes() -> None:
    document = Document()
    written(document, 0, [0, 1, 0, 1])  # "a ba b"
    document.replace(0, 0, "X")
    assert parts(document) == ["X", [0, 1, 0, 1]]
    document.replace(2, 2, "Y")  # between two tokens
    assert document.cut_tokens == 0
    assert parts(document) == ["X", [0], "Y", [1, 0, 1]]
    document.replace(4, 4, "Z")  # inside " b"
    assert document.cut_tokens == 1
    assert document.text == "XaY Zba b"
    assert parts(document) == ["X", [0], "Y Zb", [0, 1]]
    # The prompt up to the middle of a token has that token's text.
    assert parts(document, 8) == ["X", [0], "Y Zb", [0], " "]


def test_an_edit_inside_a_character_of_several_tokens() -> None:
    document = Document()
    written(document, 0, [0, 2, 3, 4])  # "aé人"
    assert parts(document) == [[0, 2, 3, 4]]
    document.replace(1, 1, "-")
    assert parts(document) == [[0], "-", [2, 3, 4]]
    document.undo()
    document.replace(1, 2, "")
    assert parts(document) == [[0, 4]] or parts(document) == [[0], [4]]


def say(document: Document, version: str, *pieces: bytes) -> None:
    """Let a model write tokens of these pieces, 10, 11, …, as an engine's decoder tells them."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for number, piece in enumerate(pieces, 10):
        text = decoder.decode(piece)
        document.apply_event(
            version, Token(sample=0, id=number, text=text, piece=piece, logprob=-number / 2)
        )


def tokens_of(edit: Edit) -> list[bytes]:
    """What each token spells, by its length."""
    raw, ends = edit.text.encode(), accumulate(edit.lengths, initial=0)
    return [raw[start:end] for start, end in pairwise(ends)]


def test_half_a_character_takes_no_token_from_the_others() -> None:
    document = Document()
    (version,) = document.begin(0, RUN)
    say(document, version, b"a", b"\xfd", b" b", EMOJI[:2], EMOJI[2:], EMOJI[:1], EMOJI[1:3], b"c")
    assert sum(document.written(version).lengths) == len(document.text.encode())
    end(document, version)
    edit = document.edit(version)
    assert edit.text == "a\ufffd b😀\ufffdc"
    sign = "\ufffd".encode()
    assert edit.ids == tuple(range(10, 18))
    assert edit.logprobs == tuple(-number / 2 for number in range(10, 18))
    assert tokens_of(edit) == [
        b"a", sign, b" b", EMOJI[:2], EMOJI[2:], sign[:1], sign[1:], b"c",
    ]  # fmt: skip
    assert edit.token_ends() == [1, 2, 4, -1, 5, -1, 6, 7]
    assert parts(document) == [list(range(10, 18))]
    exported = json.loads(to_json(document))
    assert [each["id"] for each in exported["edits"][0]["tokens"]] == list(range(10, 18))
    assert from_builtins(exported).edits() == document.edits()


def test_stopped_within_a_character_the_tokens_before_it_stay() -> None:
    document = Document()
    (version,) = document.begin(0, RUN)
    # As GPT-2 cuts an emoji: the space is part of its first token.
    say(document, version, b"So", b" big", b" " + EMOJI[:2], EMOJI[2:3])
    document.finish(version, "cancelled")
    edit = document.edit(version)
    assert (edit.text, edit.ids, edit.lengths) == ("So big ", (10, 11), (2, 4))
    assert edit.logprobs == (-5.0, -5.5)
    assert parts(document) == [[10, 11], " "]
    assert from_builtins(json.loads(to_json(document))).edits() == document.edits()
    document.replace(7, 7, "!")
    assert parts(document) == [[10, 11], " !"]
    assert [document.run_end(place) for place in (0, 5, 6, 7)] == [7, 7, 6, 7]


def test_half_a_character_at_the_end_is_not_completed() -> None:
    document = Document()
    (version,) = document.begin(0, RUN)
    say(document, version, b"So", b" b" + EMOJI[:2])
    finished = Finished(sample=0, reason="length", text="\ufffd", usage=USAGE, timings=TIMINGS)
    document.apply_event(version, finished)
    assert (document.text, document.edit(version).ids) == ("So b\ufffd", (10, 11))
    assert parts(document) == [[10], " b\ufffd"]


@given(st.lists(st.binary(min_size=1, max_size=3) | st.sampled_from([EMOJI, b"ab"]), max_size=8))
def test_every_run_keeps_its_tokens(pieces: list[bytes]) -> None:
    document = Document()
    (version,) = document.begin(0, RUN)
    say(document, version, *pieces)
    known = document.written(version)
    assert known.text == document.text
    document.finish(version, "cancelled")
    edit = document.edit(version)
    assert (edit.lengths, edit.logprobs) == (known.lengths, known.logprobs)
    whole = b"".join(pieces).decode("utf-8", "replace")
    assert whole.startswith(edit.text)
    # Only the last character can be missing, and the tokens that it begins in.
    begun = sum(len(piece) for piece in pieces[: len(edit.ids) + 1])
    missing = b"".join(pieces)[:begun].decode("utf-8", "replace")
    assert len(edit.ids) == len(pieces) or len(missing) > len(edit.text)
    check_spans(document, {10 + number: piece for number, piece in enumerate(pieces)})


def test_a_stop_text_in_the_middle_of_a_token_leaves_no_ids() -> None:
    document = Document()
    (version,) = document.begin(0, RUN)
    document.apply_event(version, Token(sample=0, id=6, text="cd", piece=b"cd ef"))
    end(document, version)
    assert parts(document) == ["cd"]


def test_a_text_longer_than_the_context_gives_its_end() -> None:
    document = Document()
    document.replace(0, 0, "x" * 100_000)
    (part,) = document.prompt_parts(100_000, INFO)
    assert isinstance(part, TextPrompt)
    assert len(part.text) == 16_000


def test_perplexity_is_of_the_tokens_that_were_kept() -> None:
    document = Document()
    edit = document.edit(written(document, 0, [1, 4, 6]))
    assert edit.logprobs == (-0.5, -2.0, -3.0)
    assert edit.perplexity == pytest.approx(math.exp(5.5 / 3))
    (version,) = document.begin(0, RUN)
    document.apply_event(version, Token(sample=0, id=1, text=" b", piece=b" b"))
    end(document, version)
    assert document.edit(version).perplexity is None


# ------------------------------------------------------------------------------ continuations


def test_continuations_are_siblings_that_stream_together() -> None:
    document = Document()
    document.replace(0, 0, "<>")
    versions = document.begin(1, RUN, 3)
    for number, version in enumerate(versions):
        write(document, version, [0] * (number + 1))
    assert document.text == "<a>"
    document.go(versions[2])
    assert document.text == "<aaa>"
    write(document, versions[2], [1])
    assert document.text == "<aaa b>"
    for version in versions:
        end(document, version)
    document.go(versions[1])
    assert document.text == "<aa>"
    assert [document.edit(v).run.tokens for v in versions] == [1, 2, 4]  # type: ignore[union-attr]


def test_what_is_written_on_is_not_changed_below() -> None:
    document = Document()
    (version,) = document.begin(0, RUN)
    write(document, version, [0])
    document.replace(1, 1, "!")
    write(document, version, [0])
    end(document, version)
    assert document.text == "a!"
    document.go(version)
    assert document.text == "a"


def test_a_generation_that_fails_keeps_its_text() -> None:
    document = Document()
    (version,) = document.begin(0, RUN)
    write(document, version, [0])
    document.apply_event(version, Failed(kind="internal", message="gone"))
    assert not document.is_streaming(version)
    assert document.text == "a"
    assert document.edit(version).run.error == "gone"  # type: ignore[union-attr]
    document.finish(version, "cancelled")  # no effect
    with pytest.raises(KeyError):
        document.apply_event("unknown", Failed(kind="internal", message=""))


@given(st.lists(st.integers(0, len(PIECES) - 1), max_size=12), st.data())
def test_tokens_spell_the_text_where_they_stand(ids: list[int], data: st.DataObject) -> None:
    spelled = b"".join(PIECES[i] for i in ids)
    edit = Edit(
        id="x", parent=None, start=0, text=spelled.decode("utf-8", "replace"), ids=tuple(ids),
        lengths=tuple(len(PIECES[i]) for i in ids),
    )  # fmt: skip
    if edit.text.encode() != spelled:
        return
    document = Document(edits=[edit], current="x")
    for _ in range(3):
        start = data.draw(st.integers(0, len(document.text)))
        stop = data.draw(st.integers(start, len(document.text)))
        document.replace(start, stop, data.draw(st.sampled_from(["", "X", "é"])))
        check_spans(document)


def check_spans(
    document: Document, pieces: Mapping[int, bytes] = MappingProxyType(dict(enumerate(PIECES)))
) -> None:
    """The spans are in order, and each has the text of its tokens."""
    at = 0
    for span in document.spans:
        assert at <= span.start < span.end
        at = span.end
        edit = document.edit(span.edit)
        begin = sum(edit.lengths[: span.first])
        size = sum(edit.lengths[span.first : span.first + span.tokens])
        text = edit.text.encode()[begin : begin + size].decode()
        assert document.text[span.start : span.end] == text
    assert at <= len(document.text)
    whole = b"".join(
        part.text.encode()
        if isinstance(part, TextPrompt)
        else b"".join(pieces[i] for i in part.ids)
        for part in document.prompt_parts(len(document.text), INFO)
    )
    assert whole.decode("utf-8", "replace") == document.text


class Versions(RuleBasedStateMachine):
    """All edits, undo, branches and streams, against a dictionary of every version's text."""

    def __init__(self) -> None:
        super().__init__()
        self.document = Document()
        self.texts: dict[str | None, str] = {None: ""}
        self.streaming: list[str] = []

    def _stretch(self, data: st.DataObject) -> tuple[int, int]:
        start = data.draw(st.integers(0, len(self.document.text)))
        return start, data.draw(st.integers(start, len(self.document.text)))

    @rule(data=st.data(), text=st.text("ab é人\n", max_size=6), typing=st.booleans())
    def edit(self, data: st.DataObject, text: str, typing: bool) -> None:
        start, stop = self._stretch(data)
        expected = self.document.text[:start] + text + self.document.text[stop:]
        self.texts[self.document.replace(start, stop, text, typing=typing)] = expected

    @rule(text=st.sampled_from("ab \n"))
    def type_at_the_end(self, text: str) -> None:
        at = len(self.document.text)
        expected = self.document.text + text
        self.texts[self.document.replace(at, at, text, typing=True)] = expected

    @rule()
    def undo(self) -> None:
        before = self.document.current
        assert self.document.undo() == (before is not None)
        if before is not None:
            assert self.document.current == self.document.edit(before).parent
            assert self.document.redo()
            assert self.document.current == before
            self.document.undo()

    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        self.document.go(data.draw(st.sampled_from([None, *(e.id for e in self.document.edits())])))

    @rule(data=st.data(), samples=st.integers(1, 3))
    def begin(self, data: st.DataObject, samples: int) -> None:
        text = self.document.text
        at = data.draw(st.integers(0, len(text)))
        for version in self.document.begin(at, RUN, samples):
            self.texts[version] = text
            self.streaming.append(version)

    @precondition(lambda self: self.streaming)
    @rule(data=st.data(), ids=st.lists(st.sampled_from([0, 1, 4, 5, 6]), max_size=4))
    def stream(self, data: st.DataObject, ids: list[int]) -> None:
        version = data.draw(st.sampled_from(self.streaming))
        grows = not self.document.children(version)
        edit = self.document.edit(version)
        write(self.document, version, ids)
        if grows:
            at = edit.start + len(edit.text)
            text = b"".join(PIECES[i] for i in ids).decode()
            self.texts[version] = self.texts[version][:at] + text + self.texts[version][at:]

    @precondition(lambda self: self.streaming)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        version = data.draw(st.sampled_from(self.streaming))
        self.streaming.remove(version)
        end(self.document, version)

    @invariant()
    def every_version_is_what_it_was(self) -> None:
        assert self.document.text == self.texts[self.document.current]
        check_spans(self.document)

    def teardown(self) -> None:
        for version in self.streaming:
            self.document.finish(version, "cancelled")
        again = Document(edits=self.document.edits())
        exported = from_builtins(json.loads(to_json(self.document)))
        assert exported.edits() == self.document.edits()
        assert (exported.id, exported.text) == (self.document.id, self.document.text)
        for edit in exported.edits():
            assert exported.selected_child(edit.id) == self.document.selected_child(edit.id)
        for made, expected in self.texts.items():
            for document in (self.document, again, exported):
                document.go(made)
                assert document.text == expected
            check_spans(again)


TestVersions = Versions.TestCase


def test_a_refused_version_goes_and_one_with_a_text_stays() -> None:
    document = Document()
    before = document.replace(0, 0, "So")
    refused, partial = document.begin(2, RUN, 2)
    write(document, partial, [0])
    for version in (refused, partial):
        document.discard(version)  # not while it is written
        document.apply_event(version, Failed(kind="internal", message="refused"))
        document.discard(version)
    assert [edit.id for edit in document.edits()] == [before, partial]
    assert document.current == before
    assert document.redo()
    assert document.text == "Soa"
    document.discard(before)
    assert len(document) == 2


def test_an_empty_version_that_a_person_has_marked_stays() -> None:
    document = Document()
    document.replace(0, 0, "So")
    versions = document.begin(2, RUN, 4)
    for version in versions:
        end(document, version)
    document.names[versions[0]] = "the end"
    document.bookmarks[versions[1]] = 2
    document.pruned[versions[2]] = 1.0
    assert [document.discard(version) for version in versions] == [False, False, False, True]

"""Scores of a reply's tokens: kept with it, aligned to its text, exported."""

import math
import re

import pytest

from gptterm.conversation import token_scores
from gptterm.conversation.export import from_json, to_json
from gptterm.conversation.html import to_html
from gptterm.conversation.nodes import Generation, Node
from gptterm.conversation.token_scores import ScoredToken, pack, unpack
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import Alternative, Event, Finished, Timings, Token, Usage


def token(
    piece: str | bytes, logprob: float | None, *others: tuple[str, float], id_: int = 7
) -> Token:
    raw = piece.encode() if isinstance(piece, str) else piece
    text = piece if isinstance(piece, str) else ""
    alternatives = tuple(
        Alternative(id=i, piece=other.encode(), logprob=p) for i, (other, p) in enumerate(others)
    )
    return Token(sample=0, id=id_, text=text, piece=raw, logprob=logprob, alternatives=alternatives)


def finished(text: str = "") -> Finished:
    usage = Usage(prompt_tokens=1, completion_tokens=1, reused_tokens=0, dropped_tokens=0)
    timings = Timings(first_token_s=0.1, total_s=0.2, tokens_per_s=5.0)
    return Finished(sample=0, reason="eos", text=text, usage=usage, timings=timings)


def chat_with(*events: Event) -> tuple[Conversation, str]:
    chat = Conversation()
    reply = chat.begin_reply(chat.add_user("a question"), Generation(model="m"))
    for event in (*events, finished()):
        chat.apply_event(reply, event)
    return chat, reply


def spelled(node: Node) -> list[str]:
    return [node.text[each.start : each.end] for each in unpack(node.scores)]


def test_each_token_has_its_part_of_the_text() -> None:
    chat, reply = chat_with(token("Hi", -0.5, ("Hello", -0.1)), token(" there", -3.0))
    node = chat.node(reply)
    assert spelled(node) == ["Hi", " there"]
    first, second = unpack(node.scores)
    assert (first.id, first.piece, first.logprob) == (7, b"Hi", -0.5)
    assert [(o.piece, o.logprob) for o in first.alternatives] == [(b"Hello", -0.1)]
    assert (second.start, second.end, second.alternatives) == (2, 8, ())


def test_parts_of_characters_and_text_that_is_not_shown() -> None:
    face = "🙂".encode()
    chat, reply = chat_with(
        token("  ", -0.1), token(b" a", -0.2), token(face[:1], -0.3), token(face[1:], -0.4),
        Token(sample=0, id=1, text="a🙂b", piece=b"b", logprob=-0.5), token(b"STOP", -0.6),
    )  # fmt: skip
    # The leading white space was stripped and the stop text left out.
    node = chat.node(reply)
    assert node.text == "  a🙂b"
    text = "a🙂b"
    events = [
        token("  ", -0.1), token(b" a", -0.2), token(face[:1], -0.3), token(face[1:], -0.4),
        token(b"b", -0.5), token(b"STOP", -0.6),
    ]  # fmt: skip
    scores = token_scores.score(events, text, 10)
    assert [(s.start, s.end, s.logprob) for s in scores] == [
        (10, 11, -0.2), (11, 11, -0.3), (11, 12, -0.4), (12, 13, -0.5),
    ]  # fmt: skip
    assert token_scores.score(events, "something else", 0) == []


def test_half_a_character_keeps_its_score_and_the_others_theirs() -> None:
    chat, reply = chat_with(
        token("Hi", -0.5), token(b"\xfd", -1.0, id_=8),
        Token(sample=0, id=9, text="\ufffd you", piece=b" you", logprob=-2.0),
    )  # fmt: skip
    node = chat.node(reply)
    assert node.text == "Hi\ufffd you"
    assert node.ids == (7, 8, 9)
    assert spelled(node) == ["Hi", "\ufffd", " you"]
    assert [each.piece for each in unpack(node.scores)] == [b"Hi", b"\xfd", b" you"]
    assert from_json(to_json(chat)).node(reply) == node


def test_a_reply_that_ends_within_a_character_has_scores_and_no_ids() -> None:
    chat = Conversation()
    reply = chat.begin_reply(chat.add_user("a question"), Generation(model="m"))
    for event in (token("Hi", -0.5), token("🙂".encode()[:3], -1.0), finished("\ufffd")):
        chat.apply_event(reply, event)
    node = chat.node(reply)
    assert node.text == "Hi\ufffd"
    assert spelled(node) == ["Hi", "\ufffd"]
    # The model would go on with the rest of the character.
    assert node.ids == ()


def test_none_without_log_probabilities_and_those_of_a_continued_reply() -> None:
    chat, reply = chat_with(token("one", None))
    assert chat.node(reply).scores == b""
    chat.continue_reply(reply, Generation(model="m"))
    for event in (token(" two", -1.0), finished()):
        chat.apply_event(reply, event)
    assert spelled(chat.node(reply)) == [" two"]
    chat.continue_reply(reply, Generation(model="m"))
    for event in (token(" three", -2.0), finished()):
        chat.apply_event(reply, event)
    assert spelled(chat.node(reply)) == [" two", " three"]


def test_size_is_bounded_and_damage_is_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [ScoredToken(i, b"x" * 1000, i, i + 1, -1.0) for i in range(20_000)]
    kept = unpack(pack(many))
    assert len(kept) == token_scores.MAX_TOKENS
    assert {len(each.piece) for each in kept} == {token_scores.MAX_PIECE}
    packed = pack(many[:100])
    for damaged in (packed[:-9], packed[5:], b"\0", b"x" * 100):
        assert unpack(damaged) == ()
    monkeypatch.setattr(token_scores, "MAX_UNPACKED", 100)
    assert unpack(packed) == ()


@pytest.mark.parametrize("before", ["", "  "])
def test_a_reply_of_more_tokens_keeps_the_scores_of_the_first(
    before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = "🙂".encode()
    monkeypatch.setattr(token_scores, "MAX_TOKENS", 5)
    # The last one that is kept begins a character. A transcript strips the space before a reply.
    tokens = [b"a", face, b" b", face[:2], face[2:], b" c"]
    events = [token(piece, -float(n)) for n, piece in enumerate([before.encode(), *tokens])]
    text = "a🙂 b🙂 c"
    chat, reply = chat_with(*events, Token(sample=0, id=1, text=text, piece=b"", logprob=-9.0))
    found = unpack(chat.node(reply).scores)
    pieces = [before.encode(), *tokens][:5]
    kept = pieces[1:]
    assert [each.piece for each in found if each.piece] == kept
    assert [text[each.start : each.end] for each in found if each.piece][:3] == ["a", "🙂", " b"]
    assert all(each.end <= len(text) for each in found)


def test_json_keeps_them() -> None:
    part = "é".encode()
    chat, reply = chat_with(
        token("Hi", -0.25, ("Hello", -0.5)), token(part[:1], -1.5),
        Token(sample=0, id=3, text="é", piece=part[1:], logprob=-0.75),
    )  # fmt: skip
    text = to_json(chat)
    again = from_json(text)
    assert again.node(reply) == chat.node(reply)
    assert '"text": "Hello"' in text
    # Where there are none, an older version reads the export.
    plain, _ = chat_with(token("Hi", None))
    assert "scores" not in to_json(plain)


@pytest.mark.parametrize(
    "wrong", ['"span":[0,-1]', '"span":[0,99999999999]', '"bytes":[256]', '"id":-5', '"span":"x"']
)
def test_json_with_values_out_of_range_is_refused(wrong: str) -> None:
    chat, reply = chat_with(token("Hi", None))
    text = to_json(chat).rstrip().removesuffix("}")
    text += f', "scores": {{"{reply}": [{{"text": "Hi", "logprob": -1, {wrong}}}]}}}}'
    with pytest.raises(ValueError, match=r"\S"):
        from_json(text)


def test_html_tints_by_surprisal() -> None:
    chat, _ = chat_with(
        token("<b>", -0.1), token(" sure", -math.log(2) * 5, (" rare", -0.3)), token("\u202e!", -20)
    )
    page = to_html(chat)
    assert re.search(r'<span title="p 0\.905">&lt;b&gt;</span>', page)
    assert re.search(
        r'<span class="s3" title="p 0\.0312, or &#x27; rare&#x27; 0\.741"> sure<', page
    )
    assert '<span class="s7"' in page
    assert "surprisal, bits" in page
    assert "\u202e" not in page
    plain, _ = chat_with(token("Hi", None))
    assert "surprisal" not in to_html(plain)

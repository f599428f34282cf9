"""Streamed text against the decoding of all ids at once, for every family of tokenizers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import decoders

from gptterm.engine.text.detokenize import ByteDetokenizer, WindowDetokenizer, detokenizer
from gptterm.engine.text.tokenizer import Tokenizer
from tests.engine.text.vocabularies import (
    BYTE_FAMILIES,
    FAMILIES,
    OTHER_FAMILIES,
    TEXTS,
    backend,
    llama,
    tokenizer,
)

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
ids_of = st.lists(st.integers(0, 10_000), max_size=60)
families = pytest.mark.parametrize("family", FAMILIES)


def within(ids: list[int], of: Tokenizer) -> list[int]:
    return [i % of.vocab_size for i in ids]


def stream(of: Tokenizer, prompt: list[int], reply: list[int]) -> list[str]:
    made = detokenizer(of, prompt)
    return [*(made.push(i) for i in reply), made.flush()]


def finished(of: Tokenizer, prompt: list[int]) -> str:
    """The text of a prompt without a character that is not finished yet."""
    made = detokenizer(of)
    return "".join(made.push(i) for i in prompt)


@families
@given(ids=ids_of, cut=st.integers(0, 60))
def test_stream_and_prompt_are_the_decoding_of_all_ids(
    family: str, ids: list[int], cut: int
) -> None:
    of = tokenizer(family)
    ids = within(ids, of)
    prompt, reply = ids[:cut], ids[cut:]
    assert finished(of, prompt) + "".join(stream(of, prompt, reply)) == of.decode(ids)


def unfinished(data: bytes) -> int:
    """How many bytes at the end begin a character and do not end it."""
    if data[-2:-1] == b"\xed" and 0xA0 <= data[-1] <= 0xBF:
        return 2  # half of a surrogate pair, whose end Python's incremental decoder waits for
    for size in (3, 2, 1):
        try:
            data[-size:].decode()
        except UnicodeDecodeError as error:
            if error.start == 0 and error.reason == "unexpected end of data":
                return min(size, len(data))
    return 0


@pytest.mark.parametrize("family", BYTE_FAMILIES)
@given(ids=ids_of)
def test_nothing_is_held_back_but_an_unfinished_character(family: str, ids: list[int]) -> None:
    of = tokenizer(family)
    made = ByteDetokenizer(of)
    shown, data = "", b""
    for position, token_id in enumerate(i for i in within(ids, of) if i not in of.special_ids):
        shown += made.push(token_id)
        data += of.piece(token_id) if position else of.first_piece(token_id)
        assert shown == data[: len(data) - unfinished(data)].decode(errors="replace")


@pytest.mark.parametrize("family", OTHER_FAMILIES)
@given(ids=ids_of)
def test_a_window_holds_back_nothing(family: str, ids: list[int]) -> None:
    of = tokenizer(family)
    made = WindowDetokenizer(of)
    seen: list[int] = []
    shown = ""
    for token_id in within(ids, of):
        shown += made.push(token_id)
        seen.append(token_id)
        assert shown == of.decode(seen)


@families
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_streams_as_the_library_decodes_it(family: str, text: str) -> None:
    of, library = tokenizer(family), backend(family)
    ids = of.encode(text)
    known = [i for i in ids if i not in of.special_ids]
    assert "".join(stream(of, [], ids)) == library.decode(known)


def odd() -> Tokenizer:
    """With bytes among its tokens, and a decoder that nobody knows."""
    made = llama("never")
    made.decoder = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Fuse(), decoders.Replace("▁", " ")]
    )
    return Tokenizer(made)


ODD = odd()


@given(text=st.text("a é🌶人", max_size=40), cut=st.integers(0, 100))
def test_characters_in_bytes_under_an_unknown_decoder(text: str, cut: int) -> None:
    assert ODD.kind == "other"
    ids = ODD.encode(text)
    prompt, reply = ids[:cut], ids[cut:]
    while ODD.decode(prompt).endswith(REPLACEMENT):
        prompt.pop()
    assert ODD.decode(prompt) + "".join(stream(ODD, ids[:cut], reply)) == text


@given(ids=ids_of)
def test_invalid_bytes_are_replaced_as_by_the_library(ids: list[int]) -> None:
    of = tokenizer("byte-level")
    ids = [i for i in within(ids, of) if i not in of.special_ids]
    assert "".join(stream(of, [], ids)) == backend("byte-level").decode(ids)


@given(data=st.binary(max_size=40))
def test_invalid_bytes_are_replaced_as_by_python(data: bytes) -> None:
    for family in ("byte-level", "llama, no prefix"):
        of = tokenizer(family)
        names = {of.piece(i): i for i in reversed(range(of.vocab_size)) if len(of.piece(i)) == 1}
        ids = [names[bytes([byte])] for byte in data]
        assert "".join(stream(of, [], ids)) == data.decode(errors="replace")


def test_a_character_begun_in_the_prompt_is_finished_by_the_reply() -> None:
    of = tokenizer("byte-level")
    ids = of.encode("a🌶b")
    assert len(ids) == 6
    for cut in range(1, 6):
        assert "".join(stream(of, ids[:cut], ids[cut:])) == ("🌶b" if cut < 5 else "b")


def test_an_unfinished_character_comes_out_at_the_end() -> None:
    of = tokenizer("byte-level")
    assert stream(of, [], of.encode("a人")[:-1]) == ["a", "", "", REPLACEMENT]


def test_special_tokens_are_never_printed() -> None:
    of = tokenizer("byte-level")
    end = next(iter(of.end_ids))
    assert stream(of, [end], [end, *of.encode("hi"), end]) == ["", "h", "i", "", ""]


def test_the_space_before_a_first_word_is_the_prompts_or_nobodys() -> None:
    of = tokenizer("llama")
    word = of.encode("king")
    start = of.specials["<s>"].id
    assert "".join(stream(of, [start], word)) == "king"
    assert "".join(stream(of, [start, *of.encode("a")], word)) == " king"


def test_gpt1_writes_the_space_before_the_next_word() -> None:
    of = tokenizer("gpt-1")
    assert stream(of, [], of.encode("the king")) == ["the", " king", ""]

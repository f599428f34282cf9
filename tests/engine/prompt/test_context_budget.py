"""The context budget: what is dropped, and that nothing ever exceeds it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Backend

from gptterm.engine.api import (
    ChatPrompt,
    GenerateRequest,
    Message,
    MixedPrompt,
    Overflow,
    Prompt,
    Role,
    TextPrompt,
    TokenPrompt,
)
from gptterm.engine.prompt import context_budget
from gptterm.engine.prompt.context_budget import FittedPrompt, fit
from gptterm.engine.prompt.rendering import render
from gptterm.engine.text.tokenizer import TextPosition, Tokenizer
from gptterm.errors import PromptTooLongError, UsageError
from tests.engine.prompt.templates import CHATML
from tests.engine.text.vocabularies import backend, tokenizer

ROLES: tuple[Role, Role] = ("user", "assistant")


def fitted(
    prompt: Prompt,
    context: int,
    max_tokens: int = 8,
    overflow: Overflow = "truncate",
    of: Tokenizer | None = None,
) -> FittedPrompt:
    of = of or tokenizer("byte-level")
    request = GenerateRequest(prompt=prompt, max_tokens=max_tokens, overflow=overflow)
    return fit(request, of, context, of.vocab_size)


def templated() -> Tokenizer:
    made = Backend.from_str(backend("byte-level").to_str())
    made.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    return Tokenizer(made, frozenset(), CHATML)


def tokens(count: int) -> TokenPrompt:
    return TokenPrompt(ids=tuple(range(count)))


def noted(text: str, memory: str, note: str, depth: int) -> MixedPrompt:
    return MixedPrompt(parts=(TextPrompt(text=text),), memory=memory, note=note, note_depth=depth)


@pytest.mark.parametrize("kind", ["byte-level", "llama"])
def test_truncation_keeps_the_memory_and_the_note(kind: str) -> None:
    of = tokenizer(kind)
    memory, note = of.encode("king\n"), of.encode("\nqueen\n", "inside")
    body = of.encode(" the king had three" * 20, "inside")
    prompt = noted(" the king had three" * 20, "king\n", "\nqueen\n", 5)
    whole = fitted(prompt, 10_000, of=of).prompt
    assert whole.kept == len(memory) + len(note)
    assert whole.ids == [*of.start_ids, *memory, *body[:-5], *note, *body[-5:]]
    cut = fitted(prompt, 60, of=of)
    fixed = len(of.start_ids) + whole.kept
    rest = 52 - fixed
    assert cut.prompt.ids == [*of.start_ids, *memory, *body[-rest:-5], *note, *body[-5:]]
    assert cut.dropped_tokens == len(body) - rest
    assert cut.notices == (f"the text is too long: the model sees its last {rest} tokens",)
    # A note deeper than the text is is right behind the memory.
    deep = fitted(noted("king", "", "\nqueen\n", 999), 60, of=of).prompt.ids
    assert deep == [*of.start_ids, *note, *of.encode("king")]


def test_no_length_is_told_of_a_text_of_which_only_the_end_is_known() -> None:
    """Write mode gives no more characters than the context may hold, of a text of any length."""
    of = tokenizer("llama")
    prompt = noted(" the king had three" * 20, "", "", 0)
    cut = fitted(prompt, 60, of=of)
    seen = len(cut.prompt.ids) - len(of.start_ids)
    assert cut.notices == (f"the text is too long: the model sees its last {seen} tokens",)
    with pytest.raises(PromptTooLongError, match="the prompt has more than 52 tokens and the"):
        fitted(prompt, 60, 8, "error", of=of)


def test_a_memory_of_more_than_half_is_told_and_of_all_refused() -> None:
    told = fitted(noted("king", "king\n" * 12, "", 0), 40)
    assert any("more than half" in notice for notice in told.notices)
    with pytest.raises(PromptTooLongError, match="the memory and the note have"):
        fitted(noted("king" * 9, "king\n" * 99, "queen", 0), 40)


def chat(*texts: str, system: str = "", continue_last: bool = False) -> ChatPrompt:
    turns = [Message(role=ROLES[i % 2], text=text) for i, text in enumerate(texts)]
    first = [Message(role="system", text=system)] if system else []
    return ChatPrompt(messages=(*first, *turns), continue_last=continue_last)


def length(prompt: Prompt, of: Tokenizer) -> int:
    return len(render(prompt, of, of.vocab_size).ids)


# ------------------------------------------------------------------------------ token counts


@pytest.mark.parametrize(
    ("size", "max_tokens", "kept", "reply"),
    [
        (10, 8, 10, 8),
        (24, 8, 24, 8),  # exactly full
        (25, 8, 24, 8),  # one too many
        (380, 8, 24, 8),
        (31, 1, 31, 1),
        (32, 1, 31, 1),
        (16, 16, 16, 16),
        (17, 16, 16, 16),
        (10, 20, 10, 20),
        (10, 23, 10, 22),  # the reply is cut, not the prompt
        (10, 1000, 10, 22),
        (17, 31, 16, 16),  # half of the context is the prompt's
        (17, 32, 16, 16),
        (17, 10_000, 16, 16),
    ],
)
def test_how_a_context_of_32_is_shared(size: int, max_tokens: int, kept: int, reply: int) -> None:
    result = fitted(tokens(size), 32, max_tokens)
    assert result.prompt.ids == list(range(size))[size - kept :]
    assert (result.dropped_tokens, result.max_tokens) == (size - kept, reply)
    assert len(result.notices) == (size > kept) + (reply < max_tokens)


def test_the_notices_say_what_happened() -> None:
    result = fitted(tokens(100), 32, 20)
    assert result.notices == (
        "the prompt is too long: the first 84 of its 100 tokens were dropped",
        "the reply is limited to 16 tokens by the model's 32",
    )


@given(size=st.integers(1, 300), max_tokens=st.integers(1, 300), context=st.integers(2, 200))
def test_a_prompt_and_its_reply_never_exceed_the_context(
    size: int, max_tokens: int, context: int
) -> None:
    result = fitted(tokens(size), context, max_tokens)
    kept = len(result.prompt.ids)
    assert kept >= 1
    assert 1 <= result.max_tokens <= max_tokens
    assert kept + result.max_tokens <= context
    assert kept + result.dropped_tokens == size
    assert result.prompt.ids == list(range(size))[size - kept :]
    # Nothing is given up without need.
    if result.dropped_tokens:
        assert kept + min(max_tokens, context // 2) == context
    if result.max_tokens < max_tokens:
        assert kept + result.max_tokens == context


def test_the_start_token_stays() -> None:
    of = tokenizer("llama")
    result = fitted(TextPrompt(text="the king " * 30), 32, 8, of=of)
    assert len(result.prompt.ids) == 24
    assert result.prompt.ids[0] == of.specials["<s>"].id
    whole = render(TextPrompt(text="the king " * 30), of, of.vocab_size).ids
    assert result.prompt.ids[1:] == whole[-23:]
    assert result.dropped_tokens == len(whole) - 24


def test_an_empty_prompt() -> None:
    for prompt in (TextPrompt(text=""), TokenPrompt(ids=())):
        with pytest.raises(UsageError, match="empty"):
            fitted(prompt, 32)


@pytest.mark.parametrize(
    ("prompt", "limit"), [(tokens(25), 24), (chat("a " * 100), 24), (TextPrompt(text="é" * 99), 24)]
)
def test_what_does_not_fit_can_be_an_error(prompt: Prompt, limit: int) -> None:
    size = length(prompt, tokenizer("byte-level"))
    with pytest.raises(PromptTooLongError, match=rf"has {size} tokens .* may take 8, .* holds 32"):
        fitted(prompt, 32, 8, "error")
    assert not fitted(tokens(limit), 32, 8, "error").dropped_tokens


# -------------------------------------------------------------------------------------- chats


@pytest.mark.parametrize("template", [True, False])
def test_whole_oldest_turns_go_and_the_system_text_stays(template: bool) -> None:
    of = templated() if template else tokenizer("byte-level")
    texts = [f"{'user' if i % 2 == 0 else 'reply'} {i} says so" for i in range(9)]
    whole = chat(*texts, system="Be brief.")
    size = length(whole, of)
    assert fitted(whole, size + 8, 8, of=of).dropped_messages == 0
    kept = 9
    for context in range(size + 7, length(chat(texts[-1], system="Be brief."), of) + 7, -1):
        result = fitted(whole, context, 8, of=of)
        gone = result.dropped_messages
        assert gone in (2, 4, 6, 8)
        expected = render(chat(*texts[gone:], system="Be brief."), of, of.vocab_size).ids
        assert result.prompt.ids == expected
        assert result.dropped_tokens == size - len(expected)
        kept = min(kept, 9 - gone)
    assert kept == 1


class Growth:
    """A chat that grows turn by turn in a context: what each request keeps of it."""

    def __init__(self, sizes: list[tuple[int, int]], of: Tokenizer, context: int) -> None:
        self.firsts: list[int] = []
        """Dropped messages, request by request."""
        self.shares: list[float] = []
        """How full the prompt's room is right after more messages were dropped than before."""
        room = context - context // 4
        texts: list[str] = []
        for asked, answered in sizes:
            texts.append("the king " * asked)
            result = fitted(chat(*texts, system="Be brief."), context, context // 4, of=of)
            assert len(result.prompt.ids) <= room
            if self.firsts and result.dropped_messages > self.firsts[-1]:
                self.shares.append(len(result.prompt.ids) / room)
            self.firsts.append(result.dropped_messages)
            texts.append("said she " * answered)


@pytest.mark.parametrize("template", [True, False])
def test_a_growing_chat_keeps_its_beginning_for_many_turns(template: bool) -> None:
    of = templated() if template else tokenizer("byte-level")
    growth = Growth([(4 + i % 3, 5 + i % 4) for i in range(60)], of, 700)
    drops = len(set(growth.firsts)) - 1
    assert 5 < drops < 15  # of 60 requests
    assert all(0.45 < share < 0.8 for share in growth.shares)


@given(
    sizes=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=30, max_size=30),
    template=st.booleans(),
)
@settings(max_examples=10, deadline=None)
def test_the_beginning_of_a_growing_chat_rarely_moves(
    sizes: list[tuple[int, int]], template: bool
) -> None:
    of = TEMPLATED if template else tokenizer("byte-level")
    growth = Growth(sizes, of, 600)
    assert growth.firsts == sorted(growth.firsts)
    # What is given up at once is worth several turns.
    whole = chat(*("the king " * a + "said she " * b for a, b in sizes))
    assert len(set(growth.firsts)) <= 2 + length(whole, of) / (0.25 * 450)


def test_a_notice_of_a_shortened_chat() -> None:
    result = fitted(chat("one " * 10, "two", "three"), 80, 8)
    assert result.notices == (
        f"the chat is too long: the first {result.dropped_tokens} of its"
        f" {result.dropped_tokens + len(result.prompt.ids)} tokens were dropped:"
        " its 2 oldest messages",
    )


@pytest.mark.parametrize("template", [True, False])
def test_the_beginning_of_a_message_goes_when_it_alone_is_too_long(template: bool) -> None:
    of = templated() if template else tokenizer("byte-level")
    words = " ".join(f"w{i}" for i in range(200))
    whole = chat("first", "reply", words, system="Be brief.")
    result = fitted(whole, 80, 8, of=of)
    assert len(result.prompt.ids) in range(70, 73)
    assert result.dropped_messages == 2
    assert result.dropped_tokens == length(whole, of) - len(result.prompt.ids)
    text = b"".join(of.piece(i) for i in result.prompt.ids).decode()
    assert "Be brief." in text
    assert " w197 w198 w199" in text
    assert "w1 " not in text


def test_a_very_long_message_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    of = templated()
    encode, encoded = of.encode, 0

    def counted(text: str, place: TextPosition = "start") -> list[int]:
        nonlocal encoded
        encoded += len(text)
        return encode(text, place)

    monkeypatch.setattr(of, "encode", counted)
    result = fitted(chat("word " * 20_000), 80, 8, of=of)
    assert len(result.prompt.ids) in range(70, 73)
    assert encoded < 120_000
    # Nor does it matter how long its tokens are.
    assert len(fitted(chat("a" + " " * 20_000), 80, 8, of=of).prompt.ids) <= 72


def test_half_a_character_is_not_left_at_a_cut() -> None:
    of = templated()
    for context in range(60, 70):
        ids = fitted(chat("🌶" * 50), context, 8, of=of).prompt.ids
        assert "\N{REPLACEMENT CHARACTER}" not in of.decode(ids)


def test_the_ids_of_a_reply_that_is_gone_on_with_are_cut_too() -> None:
    of = templated()
    reply = Message(role="assistant", text="abc" * 40, ids=tuple(of.encode("a") * 120))
    prompt = ChatPrompt(messages=(Message(role="user", text="x"), reply), continue_last=True)
    result = fitted(prompt, 80, 8, of=of)
    assert len(result.prompt.ids) == 72
    assert result.prompt.ids[-50:] == of.encode("a") * 50


def test_a_question_goes_before_the_reply_that_is_gone_on_with() -> None:
    of = templated()
    result = fitted(chat("long " * 100, "the king", continue_last=True), 60, 8, of=of)
    text = b"".join(of.piece(i) for i in result.prompt.ids).decode()
    assert text.endswith("long <|im_end|>\n<|im_start|>assistant\nthe king")
    assert len(result.prompt.ids) in range(50, 53)


def test_a_system_text_that_leaves_no_room() -> None:
    with pytest.raises(
        PromptTooLongError, match=r"system message and template alone take \d+ tokens"
    ):
        fitted(chat("hi", system="s " * 100), 60, 8)


def test_a_message_is_not_cut_to_nothing() -> None:
    of = templated()
    form = length(chat("", system="Be brief."), of)
    longer = chat("the king", system="Be brief.")
    assert len(fitted(longer, form + 9, 8, of=of).prompt.ids) == form + 1
    with pytest.raises(PromptTooLongError):
        fitted(longer, form + 8, 8, of=of)


def test_a_chat_of_a_system_text_alone() -> None:
    of = templated()
    prompt = ChatPrompt(messages=(Message(role="system", text="w " * 100),))
    assert len(fitted(prompt, 60, 8, of=of).prompt.ids) <= 52


@given(
    texts=st.lists(st.text("ab é🌶\n", max_size=30), min_size=1, max_size=8),
    system=st.sampled_from(["", "Be brief."]),
    context=st.integers(40, 200),
    max_tokens=st.integers(1, 250),
    template=st.booleans(),
    continue_last=st.booleans(),
)
def test_no_chat_ever_exceeds_the_context(
    texts: list[str],
    system: str,
    context: int,
    max_tokens: int,
    template: bool,
    continue_last: bool,
) -> None:
    of = TEMPLATED if template else tokenizer("byte-level")
    continue_last = continue_last and len(texts) % 2 == 0
    prompt = chat(*texts, system=system, continue_last=continue_last)
    whole = length(prompt, of)
    room = min(max_tokens, context // 2)
    try:
        result = fitted(prompt, context, max_tokens, of=of)
    except PromptTooLongError:
        last = chat("", system=system)
        assert length(last, of) + 12 > context - room
        return
    assert len(result.prompt.ids) <= context - room
    assert len(result.prompt.ids) + result.max_tokens <= context
    assert result.max_tokens >= room
    assert result.dropped_tokens == whole - len(result.prompt.ids)
    assert (result.dropped_tokens > 0) == (whole > context - room)


TEMPLATED = templated()


def test_a_long_chat_is_not_rendered_for_every_turn(monkeypatch: pytest.MonkeyPatch) -> None:

    count = 0

    def counted(*args: object) -> object:
        nonlocal count
        count += 1
        return render(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(context_budget, "render", counted)
    fitted(chat(*["a king"] * 2000), 100, 8)
    assert count < 20

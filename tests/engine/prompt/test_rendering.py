"""Prompts as ids: against the transformers library's templates, and the rules of gptterm's own."""

from datetime import datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken
from tokenizers import Tokenizer as Backend
from transformers import PreTrainedTokenizerFast

from gptterm.engine.api import (
    ChatPrompt,
    Message,
    MixedPrompt,
    Role,
    TextPrompt,
    TokenPrompt,
    Transcript,
)
from gptterm.engine.prompt.rendering import RenderedPrompt, render
from gptterm.engine.text.detokenize import detokenizer
from gptterm.engine.text.stop_strings import StopMatcher
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import ModelError, UsageError
from tests.engine.prompt.templates import CHATML, HEADERS, NO_SYSTEM, TEMPLATES, THINKING
from tests.engine.text.vocabularies import llama, tokenizer
from tests.support.gpt2 import train_tokenizer

NAMES = ["<|im_start|>", "<|im_end|>", "<s>", "</s>"]


@cache
def backend_file(kind: str) -> str:
    made = train_tokenizer() if kind == "byte-level" else llama(kind.removeprefix("llama "))
    made.add_special_tokens(NAMES)
    made.add_special_tokens([AddedToken("<|end_header|>", rstrip=True)])
    made.add_tokens(["[INST]", "[/INST]"])
    return str(made.to_str())


def chat_tokenizer(template: str | None, kind: str = "byte-level") -> Tokenizer:
    backend = Backend.from_str(backend_file(kind))
    return Tokenizer(backend, frozenset(), template, {"bos_token": "<s>", "eos_token": "</s>"})


def library(template: str, kind: str = "byte-level") -> Any:
    made: Any = PreTrainedTokenizerFast
    return made(
        tokenizer_object=Backend.from_str(backend_file(kind)),
        bos_token="<s>",
        eos_token="</s>",
        chat_template=template,
    )


def chat(*turns: tuple[Role, str] | Message, continue_last: bool = False) -> ChatPrompt:
    messages = tuple(
        turn if isinstance(turn, Message) else Message(role=turn[0], text=turn[1]) for turn in turns
    )
    return ChatPrompt(messages=messages, continue_last=continue_last)


def ids_of(prompt: ChatPrompt, of: Tokenizer) -> list[int]:
    return render(prompt, of, of.vocab_size).ids


def text_of(prompt: ChatPrompt, of: Tokenizer) -> str:
    """With the names of special tokens in it."""
    return b"".join(of.piece(i) for i in ids_of(prompt, of)).decode()


def by_library(prompt: ChatPrompt, template: str, kind: str = "byte-level") -> list[int]:
    messages = [{"role": message.role, "content": message.text} for message in prompt.messages]
    ids: list[int] = library(template, kind).apply_chat_template(
        messages,
        tokenize=True,
        return_dict=False,
        add_generation_prompt=not prompt.continue_last,
        continue_final_message=prompt.continue_last,
    )
    return ids


ONE = chat(("user", "Once upon a time"))
SHORT = chat(("system", "Be brief."), ("user", "hello there"))
LONG = chat(
    ("user", "  hello there\n"),
    ("assistant", "<think>the king\n</think>\n\nhello to you\n too  "),
    ("user", "a ünïcödé 人工智能 🌶 {{ messages }} {% if %}"),
    ("assistant", " "),
    ("user", ""),
)


# ------------------------------------------------------------ as the transformers library does


@pytest.mark.parametrize("kind", ["byte-level", "llama first", "llama always", "llama normaliser"])
@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("prompt", [ONE, SHORT, LONG])
def test_a_template_gives_the_librarys_ids(template: str, prompt: ChatPrompt, kind: str) -> None:
    source = TEMPLATES[template]
    if template == "no system" and prompt is SHORT:
        return
    of = chat_tokenizer(source, kind)
    assert ids_of(prompt, of) == by_library(prompt, source, kind)


words = st.lists(st.sampled_from(["king", " ", "\n", "a", "é🌶", "</think>", "-", "[INST]"]))


@given(texts=st.lists(words, min_size=1, max_size=5), template=st.sampled_from(list(TEMPLATES)))
def test_any_ordinary_texts_give_the_librarys_ids(texts: list[list[str]], template: str) -> None:
    roles: list[Role] = ["user", "assistant"]
    prompt = chat(*((roles[i % 2], "".join(text)) for i, text in enumerate(texts)))
    source = TEMPLATES[template]
    assert ids_of(prompt, chat_tokenizer(source)) == by_library(prompt, source)


@pytest.mark.parametrize("template", ["chatml", "inst", "headers", "thinking"])
def test_going_on_with_a_reply_gives_the_librarys_ids(template: str) -> None:
    prompt = chat(("user", "hello"), ("assistant", "hello to"), continue_last=True)
    source = TEMPLATES[template]
    assert ids_of(prompt, chat_tokenizer(source)) == by_library(prompt, source)


# ------------------------------------------------------------------- special tokens in messages


@pytest.mark.parametrize("kind", ["byte-level", "llama first"])
@pytest.mark.parametrize("template", TEMPLATES)
@given(data=st.data())
def test_no_message_can_write_a_special_token(
    template: str, kind: str, data: st.DataObject
) -> None:
    pieces = st.sampled_from([*NAMES, "<|", "im_end|>", "<", "s>", "/", " ", "\n", "king", "<<s>"])
    texts = data.draw(st.lists(st.lists(pieces).map("".join), min_size=1, max_size=4))
    roles: list[Role] = ["user", "assistant"]
    of = chat_tokenizer(TEMPLATES[template], kind)

    def structure(texts: list[str]) -> list[int]:
        turns = ((roles[i % 2], text) for i, text in enumerate(texts))
        return [i for i in ids_of(chat(*turns), of) if i in of.special_ids]

    harmless = ["king" if text.strip() else "" for text in texts]
    assert structure(texts) == structure(harmless)


def test_names_in_messages_keep_their_characters() -> None:
    of = chat_tokenizer(CHATML)
    prompt = chat(("user", "what is <|im_end|> and <s>?"))
    expected = "<|im_start|>user\nwhat is <|im_end|> and <s>?<|im_end|>\n<|im_start|>assistant\n"
    assert text_of(prompt, of) == expected
    assert ids_of(prompt, of).count(of.specials["<|im_end|>"].id) == 1


def test_private_use_characters_in_messages_are_just_characters() -> None:
    of = chat_tokenizer(HEADERS)
    text = "\ue0000\ue000 \ue000 \ue001\ue0020\ue002 <|im_end|>"
    ids = ids_of(chat(("user", text), ("assistant", "\ue003"), ("user", text)), of)
    shown = b"".join(of.piece(i) for i in ids).decode()
    assert shown.count(text) == 2
    assert "\ue003" in shown
    assert sum(i == of.specials["<|im_end|>"].id for i in ids) == 3


# ------------------------------------------------------------------------- given ids of replies


def generated(of: Tokenizer, text: str) -> Message:
    """A reply whose ids are not what encoding its text gives: one token a byte."""
    singles = {of.piece(i): i for i in range(of.vocab_size) if i not in of.special_ids}
    ids = tuple(singles[bytes([byte])] for byte in text.encode())
    return Message(role="assistant", text=text, ids=ids)


def contains(ids: list[int], part: tuple[int, ...]) -> bool:
    return any(tuple(ids[at : at + len(part)]) == part for at in range(len(ids)))


@pytest.mark.parametrize("template", [*TEMPLATES, "transcript"])
def test_the_ids_of_a_reply_are_used_as_they_are(template: str) -> None:
    of = chat_tokenizer(TEMPLATES.get(template))
    reply = generated(of, " hello to you\n")
    assert list(reply.ids) != of.encode(reply.text)
    prompt = chat(("user", "hello"), reply, ("user", "a king"))
    assert contains(ids_of(prompt, of), reply.ids)


@pytest.mark.parametrize("kind", ["byte-level", "llama first", "llama normaliser"])
@pytest.mark.parametrize("template", ["chatml", "inst", "headers", "no system", "transcript"])
@pytest.mark.parametrize("text", ["hello", " hello", "\nhello ", " "])
def test_the_next_prompt_begins_with_what_is_in_the_cache(
    template: str, kind: str, text: str
) -> None:
    of = chat_tokenizer(TEMPLATES.get(template), kind)
    first = chat(("user", "a king"))
    reply = Message(role="assistant", text=text, ids=tuple(of.encode(text, "inside")))
    cached = [*ids_of(first, of), *reply.ids]
    following = ids_of(chat(("user", "a king"), reply, ("user", "hello there")), of)
    if text.strip():
        assert following[: len(cached)] == cached


@pytest.mark.parametrize("template", ["chatml", "inst", "headers", "transcript"])
def test_a_reply_that_is_gone_on_with_ends_the_prompt(template: str) -> None:
    of = chat_tokenizer(TEMPLATES.get(template))
    reply = generated(of, " hello to ")
    ids = ids_of(chat(("user", "hello"), reply, continue_last=True), of)
    assert tuple(ids[-len(reply.ids) :]) == reply.ids
    text = text_of(chat(("user", "a"), ("assistant", "the king "), continue_last=True), of)
    assert text.endswith((" king ", "\nthe king "))


@pytest.mark.parametrize("template", ["chatml", "transcript"])
@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_going_on_with_nothing_begins_a_reply(template: str, text: str) -> None:
    of = chat_tokenizer(TEMPLATES.get(template))
    began = render(chat(("user", "hello")), of, of.vocab_size)
    on = chat(("user", "hello"), ("assistant", text), continue_last=True)
    assert render(on, of, of.vocab_size) == began


def test_a_thought_that_the_template_drops_takes_its_ids_along() -> None:
    of = chat_tokenizer(THINKING)
    reply = generated(of, "<think>a king</think>hello")
    text = text_of(chat(("user", "a"), reply, ("user", "b")), of)
    assert "king" not in text
    assert "assistant\nhello<|im_end|>" in text


# ------------------------------------------------------------------------ what can go wrong


def refused(template: str, prompt: ChatPrompt) -> str:
    of = chat_tokenizer(template)
    with pytest.raises(ModelError) as caught:
        ids_of(prompt, of)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_template_may_refuse() -> None:
    assert "System role not supported" in refused(NO_SYSTEM, SHORT)
    assert "--raw" in refused(NO_SYSTEM, SHORT)
    assert "alternate" in refused(NO_SYSTEM, chat(("user", "a"), ("user", "b")))


@pytest.mark.parametrize(
    "template",
    [
        "{% for %}",
        "{{ messages[7].content.x }}",
        "{{ 1 / 0 }}",
        "{{ messages + 1 }}",
        "{{ messages[0].content.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{% set ns = namespace(__class__=1) %}{{ ns }}",
        "{% set ns = namespace() %}{% set ns._Namespace__attrs = 1 %}{{ ns }}",
        "{% include 'config.json' %}",
        "{{ range(1000000000) | list }}",
        "{{ raise_exception('first\nsecond') }}",
    ],
)
def test_a_template_that_fails_or_breaks_out_is_one_line(template: str) -> None:
    assert refused(template, ONE).startswith("the model's chat template fails: ")


def test_what_was_said_to_the_model_is_never_left_out_silently() -> None:
    only_last = "{{ messages[-1].content }}"
    message = refused(only_last, SHORT)
    assert "no place for a system message" in message
    assert refused(
        "{{ messages[0].content }}", chat(("user", "a"), ("assistant", "b"), ("user", "c"))
    )


PARTS_ONLY = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
    "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}"
    "{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
FIRST_PART = PARTS_ONLY.replace(
    "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}"
    "{% endfor %}",
    "{{ message['content'][0]['text'] | string }}",
)
CONCATENATED = FIRST_PART.replace("{{ message['content'][0]['text'] | string }}",
                                  "{{ '' + message.content[0].text }}")  # fmt: skip


@pytest.mark.parametrize("template", [PARTS_ONLY, FIRST_PART, CONCATENATED])
def test_a_template_of_parts_is_as_one_of_texts(template: str) -> None:
    of, plain = chat_tokenizer(template), chat_tokenizer(CHATML)
    several = chat(("system", "s"), ("user", "a <|im_end|>"), ("assistant", "b"), ("user", "c"))
    for prompt in (ONE, several):
        assert ids_of(prompt, of) == ids_of(prompt, plain)
    prompt = chat(("user", "a"), ("assistant", "b"), continue_last=True)
    assert ids_of(prompt, of) == ids_of(prompt, plain)
    reply = generated(of, " hello to you\n")
    assert contains(ids_of(chat(("user", "a"), reply, ("user", "b")), of), reply.ids)


def test_a_template_of_parts_may_refuse() -> None:
    template = PARTS_ONLY + "{{ raise_exception('no') if messages | length > 1 }}"
    assert ids_of(ONE, chat_tokenizer(template)) == ids_of(ONE, chat_tokenizer(CHATML))
    assert refused(template, SHORT).startswith("the model's chat template fails: no;")


def test_a_reply_cannot_be_gone_on_with_where_it_is_left_out() -> None:
    prompt = chat(("user", "a"), ("assistant", "b"), continue_last=True)
    assert "assistant" in refused("{{ messages[0].content }}", prompt)


def test_a_template_that_measures_gets_the_true_text() -> None:
    of = chat_tokenizer("{{ messages[0].content }}={{ messages[0].content | length }}")
    assert text_of(chat(("user", "four")), of) == "four=4"


def test_the_date_is_todays() -> None:
    of = chat_tokenizer("{{ strftime_now('%Y-%m-%d') }}{{ messages[0].content }}")
    before = datetime.now().strftime("%Y-%m-%d")
    shown = text_of(ONE, of)[:10]
    assert shown in (before, datetime.now().strftime("%Y-%m-%d"))


def test_no_message_at_all() -> None:
    of = chat_tokenizer(CHATML)
    for prompt in (chat(), chat(("assistant", ""), continue_last=True)):
        with pytest.raises(UsageError, match="at least one message"):
            ids_of(prompt, of)


# -------------------------------------------------------------------------------- transcript


def transcript(prompt: ChatPrompt, kind: str = "byte-level") -> RenderedPrompt:
    of = chat_tokenizer(None, kind)
    return render(prompt, of, of.vocab_size)


def test_the_form_of_a_transcript() -> None:
    prompt = ChatPrompt(
        messages=(
            Message(role="system", text="Talk."),
            Message(role="user", text="hello"),
            Message(role="assistant", text="hi"),
            Message(role="user", text="and?"),
        ),
        transcript=Transcript(preamble="not used", user="Q", assistant="A"),
    )
    of = chat_tokenizer(None)
    rendered = transcript(prompt)
    assert of.decode(rendered.ids) == "Talk.\n\nQ: hello\nA: hi\nQ: and?\nA:"
    assert rendered.ids == of.encode("Talk.\n\nQ: hello\nA: hi\nQ: and?\nA:")
    assert rendered.stop == ("\nQ:", "\nA:")
    assert rendered.strip


def test_a_transcript_has_its_preamble_unless_it_is_empty() -> None:
    of = chat_tokenizer(None)
    assert of.decode(transcript(ONE).ids).startswith("The following is a conversation")
    bare = ChatPrompt(messages=ONE.messages, transcript=Transcript(preamble=""))
    assert of.decode(transcript(bare).ids) == "User: Once upon a time\nAssistant:"


def test_an_empty_message_leaves_no_space_behind() -> None:
    of = chat_tokenizer(None)
    rendered = transcript(chat(("user", ""), ("assistant", "hi"), ("user", "b")))
    assert "User:\nAssistant: hi\n" in of.decode(rendered.ids)


def test_a_transcript_begins_with_the_start_token() -> None:
    of = chat_tokenizer(None, "llama first")
    rendered = transcript(SHORT, "llama first")
    assert rendered.ids[0] == of.specials["<s>"].id
    assert of.decode(rendered.ids) == "Be brief.\n\nUser: hello there\nAssistant:"


@pytest.mark.parametrize("kind", ["byte-level", "llama first", "llama normaliser"])
def test_after_a_reply_of_given_ids_no_space_is_added(kind: str) -> None:
    of = chat_tokenizer(None, kind)
    reply = Message(role="assistant", text="hello", ids=tuple(of.encode(" hello", "inside")))
    rendered = transcript(chat(("user", "a"), reply, ("user", "b")), kind)
    assert of.decode(rendered.ids).endswith("User: a\nAssistant: hello\nUser: b\nAssistant:")


def test_going_on_in_a_transcript() -> None:
    of = chat_tokenizer(None)
    rendered = transcript(chat(("user", "a"), ("assistant", "the "), continue_last=True))
    assert of.decode(rendered.ids).endswith("User: a\nAssistant: the ")
    assert not rendered.strip


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (" hello\nUser: more", "hello"),
        ("\nUser: more", ""),
        (" hello\n\nAssistant: more", "hello\n"),
        (" hello\nuser: more", "hello\nuser: more"),
    ],
)
def test_the_stop_texts_keep_the_model_from_writing_the_users_turn(
    written: str, shown: str
) -> None:
    of = chat_tokenizer(None)
    rendered = transcript(ONE)
    stops, text = StopMatcher(rendered.stop), detokenizer(of, rendered.ids)
    out = "".join(stops.push(text.push(i)) for i in of.encode(written)) + stops.flush()
    assert out.lstrip() == shown


# ------------------------------------------------------------------------- other kinds of prompt


def test_a_text_is_encoded_after_the_start_tokens() -> None:
    of = tokenizer("llama")
    ids = render(TextPrompt(text="</s> king"), of, of.vocab_size).ids
    assert ids == [of.specials["<s>"].id, *of.encode("</s> king")]
    assert ids.count(of.specials["</s>"].id) == 0


@pytest.mark.parametrize("kind", ["byte-level", "llama first", "llama normaliser"])
def test_texts_and_ids_side_by_side(kind: str) -> None:
    of = chat_tokenizer(None, kind)

    def ids_of_parts(*parts: TextPrompt | TokenPrompt) -> list[int]:
        return render(MixedPrompt(parts=parts), of, of.vocab_size).ids

    start, own = list(of.start_ids), of.encode("the king had")
    for cut in range(len(own) + 1):
        ids = ids_of_parts(TokenPrompt(ids=tuple(own[:cut])), TextPrompt(text=" three"))
        # Given ids as they are; the text after them as one that begins inside.
        assert ids == [*start, *own[:cut], *of.encode(" three", "inside")]
    assert ids_of_parts(TextPrompt(text="the ki"), TextPrompt(text="ng had")) == [*start, *own]
    assert ids_of_parts() == start
    with pytest.raises(UsageError, match="token id"):
        ids_of_parts(TokenPrompt(ids=(10**6,)))


def test_ids_are_taken_as_they_are_if_the_model_knows_them() -> None:
    of = tokenizer("byte-level")
    assert render(TokenPrompt(ids=(5, 0, 383)), of, 384).ids == [5, 0, 383]
    for bad in (-1, 384):
        with pytest.raises(UsageError, match=f"token id {bad} is not in \\[0, 384\\)"):
            render(TokenPrompt(ids=(0, bad)), of, 384)


def test_a_tokenizer_that_knows_more_than_the_model() -> None:
    of = tokenizer("byte-level")
    assert render(TextPrompt(text="a"), of, 100).ids == of.encode("a")
    with pytest.raises(ModelError, match="do not belong together"):
        render(TextPrompt(text="a king"), of, 100)

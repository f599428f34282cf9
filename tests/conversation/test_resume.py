"""The model and the system text of a chat that is resumed."""

import pytest

from gptterm.config import Settings, load_settings
from gptterm.conversation.resume import last_model, resumed_model, system_text
from gptterm.conversation.tree import Conversation
from tests.store.chats import talk


def settings(environ: dict[str, str] | None = None, **options: object) -> Settings:
    return load_settings(options, environ or {})


def test_a_chat_continues_with_its_own_model() -> None:
    chat = talk("question", "answer", model="gpt2-xl")
    assert last_model(chat) == "gpt2-xl"
    assert resumed_model(chat, settings()) == "gpt2-xl"


@pytest.mark.parametrize(
    "chosen", [settings(model="tiny"), settings({"GPTTERM_MODEL": "tiny"})], ids=["option", "env"]
)
def test_a_chosen_model_continues_it(chosen: Settings) -> None:
    assert resumed_model(talk("question", "answer", model="gpt2-xl"), chosen) == "tiny"


@pytest.mark.parametrize("chat", [Conversation(), talk("question")], ids=["new", "unanswered"])
def test_a_chat_without_a_reply_has_no_model(chat: Conversation) -> None:
    assert last_model(chat) == ""
    assert resumed_model(chat, settings()) == settings().model


@pytest.mark.parametrize("resumed", [False, True])
def test_an_option_sets_the_system_text(resumed: bool) -> None:
    chat = Conversation("its own")
    assert system_text(chat, settings(system="given"), resumed=resumed) == "given"


def test_a_setting_is_for_new_chats_only() -> None:
    configured = settings({"GPTTERM_SYSTEM": "configured"})
    assert system_text(Conversation(), configured, resumed=False) == "configured"
    assert system_text(Conversation("its own"), configured, resumed=True) == "its own"
    assert system_text(Conversation(""), configured, resumed=True) == ""


def test_a_blank_system_text_is_none() -> None:
    assert system_text(Conversation("its own"), settings(system="  "), resumed=True) == "its own"

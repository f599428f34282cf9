"""Turn after turn of a chat: what is fed of each is what is new."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from gptterm.engine.api import (
    ChatPrompt,
    GenerateRequest,
    Message,
    TextPrompt,
    Token,
    TokenPrompt,
)
from gptterm.engine.generation.engine import LocalEngine
from tests.engine.checkpoints import draw_ids, load
from tests.engine.prompt.templates import CHATML
from tests.engine.runs import GREEDY, Run, run, says
from tests.support.gpt2 import write_gpt2

TURNS = 20
QUESTIONS = [f"and what did the king say to daughter {i}?" for i in range(200)]


@pytest.fixture(params=["template", "transcript"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int], LocalEngine]:
    """An engine whose chats are written by a template, or as a transcript."""
    template = CHATML if request.param == "template" else None
    return lambda positions: load(
        write_gpt2(tmp_path, positions=positions, chat_template=template, width=32, heads=2)
    )


class Chat:
    """A chat as a front end keeps it: the replies with the ids they were written as."""

    def __init__(self, engine: LocalEngine) -> None:
        self.engine = engine
        self.messages: tuple[Message, ...] = (Message(role="system", text="Be brief."),)
        self.known = 0
        """Ids that went through the model in the last turn."""

    def ask(self, question: str) -> Run:
        self.messages = (*self.messages, Message(role="user", text=question))
        return self.reply()

    def reply(self, stop_after: int | None = None) -> Run:
        asked = GenerateRequest(
            prompt=ChatPrompt(messages=self.messages),
            sampling=GREEDY,
            max_tokens=15,
            ignore_eos=True,
        )
        found = Run()
        events = self.engine.generate(asked)
        for event in events:
            found.events.append(event)
            if isinstance(event, Token) and len(found.tokens()) == stop_after:
                break
        events.close()
        text = "".join(token.text for token in found.tokens())
        reply = Message(role="assistant", text=text, ids=tuple(found.ids()))
        self.messages = (*self.messages, reply)
        # The last id was drawn, and nothing needed it fed.
        self.known = found.started.prompt_tokens + len(found.ids()) - 1
        return found


def test_each_turn_feeds_only_what_is_new(make: Callable[[int], LocalEngine]) -> None:
    chat = Chat(make(2048))
    fed = []
    for question in QUESTIONS[:TURNS]:
        known, found = chat.known, chat.ask(question)
        assert found.started.reused_tokens == known
        fed.append(found.prefilled[-1].total)
    assert found.started.prompt_tokens > 500
    # It does not grow with the chat: the question and its form, each time.
    assert max(fed[1:]) <= min(fed[1:]) + 5


def test_a_turn_after_a_cancelled_one(make: Callable[[int], LocalEngine]) -> None:
    chat = Chat(make(2048))
    chat.ask(QUESTIONS[0])
    for count in (1, 4, 9):
        chat.messages = (*chat.messages, Message(role="user", text=QUESTIONS[count]))
        chat.reply(stop_after=count)
        known = chat.known
        assert chat.ask("go on").started.reused_tokens == known


def test_a_reply_made_anew(make: Callable[[int], LocalEngine]) -> None:
    chat = Chat(make(2048))
    chat.ask(QUESTIONS[0])
    first = chat.ask(QUESTIONS[1])
    chat.messages = chat.messages[:-1]
    again = chat.reply()
    assert again.started.reused_tokens == again.started.prompt_tokens - 1
    assert again.ids() == first.ids()
    # An older question that is put in other words keeps what stands before it.
    edited = chat.messages[:3]
    chat.messages = edited
    chat.ask("or not?")
    assert chat.messages[:3] == edited
    assert chat.known > again.started.prompt_tokens // 2


def test_a_chat_past_the_context_seldom_begins_anew(make: Callable[[int], LocalEngine]) -> None:
    chat = Chat(make(512))
    anew = dropped = 0
    for question in QUESTIONS[:40]:
        known, found = chat.known, chat.ask(question)
        dropped += found.started.dropped_messages > 0
        anew += found.started.reused_tokens < known
    assert dropped > 20
    assert anew < dropped / 2


def test_text_that_is_gone_on_with(tmp_path: Path) -> None:
    engine = says(" the king", tmp_path)
    asked = GenerateRequest(prompt=TextPrompt(text="Once upon a time"), sampling=GREEDY)
    asked = replace(asked, max_tokens=20, ignore_eos=True)
    first = run(engine, asked)
    longer = f"Once upon a time{first.text()} and so on"
    again = run(engine, replace(asked, prompt=TextPrompt(text=longer)))
    # At the seam the text may be cut into other tokens.
    assert again.started.reused_tokens >= first.started.prompt_tokens + len(first.ids()) - 3


def test_ids_that_are_gone_on_with(make: Callable[[int], LocalEngine]) -> None:
    engine, ids = make(256), draw_ids(30)
    for _ in range(4):
        asked = GenerateRequest(prompt=TokenPrompt(ids=tuple(ids)), sampling=GREEDY, max_tokens=9)
        found = run(engine, replace(asked, ignore_eos=True))
        ids += [*found.ids(), 7, 8]
        if len(ids) > 41:
            assert found.prefilled[-1].total == 3

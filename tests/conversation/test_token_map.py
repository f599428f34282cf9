"""Which tokens of a prompt spell which turn, whatever the template puts around the messages."""

from gptterm.conversation.token_map import Part, TurnToken, chat_text, mark, turn_tokens
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import ChatPrompt, ModelInfo, TextPrompt, Transcript

INFO = ModelInfo(
    name="m", revision="", architecture="", decoder="native", device="cpu", dtype="float32",
    parameters=0, context_length=8, vocab_size=8, has_chat_template=True,
)  # fmt: skip


def spelled(pieces: list[bytes], form: str, *messages: str) -> list[list[tuple[int, int, int]]]:
    """Tokens of each message of a prompt of the given form, which has {0}, {1}, …"""
    marked = form.format(*(mark(i) for i in range(len(messages)))).encode()
    parts = [(Part(str(i), text, 0),) for i, text in enumerate(messages)]
    found = turn_tokens(pieces, marked, parts)
    return [
        [(t.position, t.start, t.end) for t in found.get(str(i), ())] for i in range(len(messages))
    ]


def test_a_message_that_stands_in_the_template_too() -> None:
    pieces = [b"User:", b" a", b"\n", b"Assistant:", b" a", b"!"]
    assert spelled(pieces, "User: {0}\nAssistant: {1}", "a", "a!") == [
        [(1, 0, 1)],
        [(4, 0, 1), (5, 1, 2)],
    ]


def test_white_space_that_the_template_strips_and_tokens_across_the_edges() -> None:
    pieces = [b"<u>", b"hi", b" ", b"you</u>", b"<a>  ", b"yes"]
    found = spelled(pieces, "<u>{0}</u><a>{1}", " hi you\n", "yes")
    assert found == [[(1, 1, 3), (2, 3, 4), (3, 4, 7)], [(5, 0, 3)]]


def test_parts_of_a_character() -> None:
    pieces = [b"\xe2\x82", b"\xac", b"5"]
    assert spelled(pieces, "{0}", "€5") == [[(0, 0, 0), (1, 0, 1), (2, 1, 2)]]


def test_half_a_character_that_a_model_wrote() -> None:
    pieces = [b"<a>", b"\xfd", b"b\xe2", b"\x82", b" c", b"</a>"]
    assert spelled(pieces, "<a>{0}</a>", "\ufffdb\ufffd c") == [
        [(1, 0, 1), (2, 1, 2), (3, 2, 3), (4, 3, 5)]
    ]


def test_a_tokenizer_that_changes_the_text_and_an_empty_message() -> None:
    pieces = [b"<u>", b"hello", b"<a>", b"yes"]
    assert spelled(pieces, "<u>{0}<a>{1}", "Hello", "yes") == [[], [(3, 0, 3)]]
    assert spelled([b"<u>", b"<a>", b"b"], "<u>{0}<a>{1}", "  ", "b") == [[], [(2, 0, 1)]]


def test_a_template_that_leaves_a_message_out() -> None:
    assert spelled([b"<u>", b"yes"], "<u>{1}", "system", "yes") == [[], [(1, 0, 3)]]


def test_two_messages_that_are_one_and_the_system_text() -> None:
    tree = Conversation("be kind")
    first = tree.add_user("one")
    second = tree.add_user("two")
    text = chat_text(tree, second, INFO, Transcript(), raw=False)
    assert isinstance(text.marked, ChatPrompt)
    assert [message.text for message in text.marked.messages] == [mark(0), mark(1)]
    pieces = [b"be ", b"kind", b"|", b"one\n", b"\ntwo"]
    found = turn_tokens(pieces, f"{mark(0)}|{mark(1)}".encode(), text.messages)
    assert found == {
        "system": (TurnToken(0, 0, 3), TurnToken(1, 3, 7)),
        first: (TurnToken(3, 0, 3),),
        second: (TurnToken(4, 0, 3),),
    }


def test_a_raw_continuation() -> None:
    tree = Conversation()
    first, second = tree.add_user("one"), tree.add_user("two")
    text = chat_text(tree, second, INFO, Transcript(), raw=True)
    assert text.prompt == TextPrompt(text="one\ntwo")
    assert text.marked == TextPrompt(text=f"{mark(0)}\n{mark(1)}")
    found = turn_tokens([b"one", b"\n", b"t", b"wo"], text.marked.text.encode(), text.messages)
    assert found == {
        first: (TurnToken(0, 0, 3),),
        second: (TurnToken(2, 0, 1), TurnToken(3, 1, 3)),
    }

"""Branches of a chat: the runs of turns between its forks."""

import pytest

from gptterm.conversation.branches import chat_branches
from gptterm.conversation.export import from_json, to_json, to_markdown
from gptterm.conversation.html import to_html
from gptterm.conversation.markdown_text import markdown_text
from gptterm.conversation.nodes import Generation
from gptterm.conversation.tree import Conversation


def test_branches_are_listed_each_before_its_forks() -> None:
    chat = Conversation()
    assert chat_branches(chat, None) == []
    run = Generation(model="org/some")

    def answer(user: str, text: str) -> str:
        reply = chat.begin_reply(user, run)
        chat.append(reply, text)
        chat.finish(reply, "eos")
        return reply

    first = chat.add_user("one")
    a = answer(first, "a")
    second = chat.add_user("two")
    b = answer(second, "b")
    c = answer(first, "# c\n\n*is* `d`")
    other = chat.edit(first, "another")
    chat.select(b)
    found = chat_branches(chat, second)
    assert [(each.text, each.depth, each.first, each.last) for each in found] == [
        ("one", 0, first, first),
        ("a", 1, a, b),
        ("c\nis d", 1, c, c),
        ("another", 0, other, other),
    ]
    assert [each.is_selected for each in found] == [True, True, False, False]
    assert [each.is_current for each in found] == [False, True, False, False]
    chat.name_branch(c, " in\nverse ")
    assert [each.name for each in chat_branches(chat, None)] == ["", "", "in verse", ""]
    assert chat_branches(from_json(to_json(chat)), None)[2].name == "in verse"
    assert "1 other version: in verse" in to_html(chat)
    chat.select(c)
    assert "## org/some · in verse" in to_markdown(chat)
    assert found[0].numbers == ("you", "1 turn")
    assert found[1].numbers == ("some", "3 turns")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain", "plain"),
        ("# A **plan**\n\nFirst `x * y`,\nthen", "A plan\nFirst x * y,\nthen"),
        ("- [one](https://a.org)\n- ![two](b.png) and ~~three~~", "one\ntwo and three"),
        ("|a|b|\n|-|-|\n|1|2|", "a\nb\n1\n2"),
        ("```python\nx = '*'\n```\n\n---\n\n> said", "x = '*'\nsaid"),
        ("2*3*4 <b>bold</b> \\(x\\)", "2*3*4 <b>bold</b> \\(x\\)"),
        ("open **bold", "open **bold"),
        ("[" * 60_000, "[" * 60_000),
    ],
)
def test_text_of_markdown(source: str, text: str) -> None:
    assert markdown_text(source) == text

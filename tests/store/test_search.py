"""Search: any script, anything typed, matches where they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.store import History
from gptterm.store.search import SNIPPET_CHARS, fold, match_ranges, parse, signs, snippet, spaced
from tests.store.chats import answer, talk

CASES = [
    # text, what finds it (with what is highlighted), what does not
    ("The quick brown fox", {"quick": ["quick"], "QUI": ["qui"], "fox brown": ["brown", "fox"],
                             '"quick brown"': ["quick brown"], "fo": ["fo"]},
     ["uick", "quick red", '"brown quick"', '"qui"', "f", "quick -brown x"]),
    ("Ein naïves Café, e\u0301tude", {"naive": ["naïve"], "CAFE": ["Café"], "café": ["Café"],
                                      "étude": ["e\u0301tude"], "etu": ["e\u0301tu"]}, ["cafee"]),
    ("我们在研究人工智能的科学家", {"人工智能": ["人工智能"], "工智": ["工智"], "智": ["智"],
                        "科学 人工": ["人工", "科学"]}, ["智工", "人工科学"]),
    ("GPT模型和transformer", {"gpt": ["GPT"], "GPT模型": ["GPT模型"], "模": ["模"],
                            "和trans": ["和trans"]}, ["former"]),
    ("東京タワーに行きたい", {"タワー": ["タワー"], "行き": ["行き"]}, ["ワタ"]),
    ("한국어를 배우는 고등학교", {"한국": ["한국"], "학교": ["학교"]}, ["교학"]),
    ("ภาษาไทยไม่เว้นวรรค", {"ไทย": ["ไทย"], "ไม่": ["ไม่"]}, ["ยท"]),
    ("हिन्दी में लिखा", {"हिन्दी": ["हिन्दी"], "लिखा": ["लिखा"]}, ["हन्द"]),
    ("Привет, мир", {"привет": ["Привет"], "МИР": ["мир"]}, ["ривет"]),
    ("שלום עולם", {"שלום": ["שלום"]}, []),
    ("C++ and C# and c", {"c++": ["C++"], "C#": ["C#"]}, ["c--"]),
    ("100% of a_b\\c", {"100%": ["100"], "%": ["%"], "a_b": ["a_b"], "\\": ["\\"]}, ["50%"]),
    ("party 🎉 time", {"🎉": ["🎉"], "🎉 time": ["🎉", "time"]}, ["🎊"]),
    ("a・b ⺿ \U000f0001 no_", {"・": ["・"], "⺿": ["⺿"], "\U000f0001": ["\U000f0001"],
                              "_": ["_"], "・b": ["・b"]}, ["a_", "\U000f0002", "⺾"]),
    ("if (a[i] => b->c) {x += y; }", {"=>": ["=>"], "->": ["->"], "+": ["+"], ") {": [")", "{"],
                                      '"+= y"': ["+= y"], "a[": ["a["], "; }": [";", "}"]},
     [">=", "=> }}", "a(", '"=  >"', "+=+", "b["]),
    ("in der Hauptstraße", {"HAUPTSTRASSE": ["Hauptstraße"], "hauptstraße": ["Hauptstraße"],
                            "HauptstraS": ["Hauptstraß"], '"HAUPTSTRAẞE"': ["Hauptstraße"]},
     ["strasse", "hauptstrase"]),
    ("KLEINE GASSE", {"gaße": ["GASSE"]}, []),
    ("der ﬁne Fluß, Οδυσσεύς", {"fine": ["ﬁne"], "FLUSS,": ["Fluß"], "flus": ["Fluß"],
                                "ΟΔΥΣΣΕΎΣ": ["Οδυσσεύς"], "οδυσσεύσ": ["Οδυσσεύς"]}, ['"flus"']),
    ("it isn’t so", {"isn't": ["isn’t"], "isn’t": ["isn’t"]}, []),
    ('say "hello" AND NOT (go) NEAR col:x *^', {"AND": ["AND"], "NOT": ["NOT"], "near": ["NEAR"],
                                                '"hello': ["hello"], "col:x": ["col:x"]}, ["OR"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> History:
    history = History.open(tmp_path_factory.mktemp("search") / "history.db")
    for text, _, _ in CASES:
        history.add(talk("·", text))
    return history


@pytest.mark.parametrize(("text", "found", "missed"), CASES)
def test_every_script(
    full: History, text: str, found: dict[str, list[str]], missed: list[str]
) -> None:
    for query, highlighted in found.items():
        hits = [hit for hit in full.search(query) if hit.snippet == text]
        assert len(hits) == 1, query
        assert [text[a:b].casefold() for a, b in hits[0].ranges] == [
            part.casefold() for part in highlighted
        ], query
        turn = full.load(hits[0].conversation).node(hits[0].turn or "")
        assert turn.text == text
    for query in missed:
        assert text not in [hit.snippet for hit in full.search(query)], query


@given(st.text())
def test_anything_can_be_typed(full: History, query: str) -> None:
    for hit in full.search(query):
        assert all(0 <= a < b <= len(hit.snippet) for a, b in hit.ranges)


_SYNTAX = st.lists(
    st.sampled_from(["AND", "OR", "NOT", "NEAR(", ")", '"', "*", "^", ":", "-", "+", "{", "}", "'",
                     "\\", "%", "_", "\0", " ", "a", "人", "\u0300", "text", ",", ";--"])
).map("".join)  # fmt: skip


@given(_SYNTAX)
def test_no_query_is_a_mistake(full: History, query: str) -> None:
    full.search(query)


@given(st.text(st.sampled_from("ab 人工é\u0301ß_-")), st.text(st.sampled_from("ab人é\u0301")))
def test_highlights_are_where_the_text_says_it(text: str, query: str) -> None:
    parsed = parse(query)
    previous = -1
    for begin, end in match_ranges(text, parsed):
        assert previous < begin < end <= len(text)
        previous = end
        assert any(word.match(fold(text[begin:end])) for word in parsed.patterns)


@given(st.text(st.sampled_from("aB人é\u0301ि=>_-\U000f0001🎉👩\u200d \n"), min_size=1), st.data())
def test_the_signs_of_a_part_of_a_text_are_signs_of_the_text(
    text: str, data: st.DataObject
) -> None:
    """The words of a text are found in it."""
    begin = data.draw(st.integers(0, len(text) - 1))
    part = text[begin : data.draw(st.integers(begin + 1, len(text)))]
    for typed in (part, part.swapcase(), f'"{part}"'):
        looked_up = set(parse(typed).signs.replace('"', "").split(" AND ")) - {""}
        assert looked_up <= set((signs(text) or "").split())


def test_folding_keeps_positions() -> None:
    text = "İstanbul ǅ ﬁ Straße ΑΣ é e\u0301 人 🎉"
    assert len(fold(text)) == len(text)
    assert spaced("plain é") is None
    assert spaced("a人工b") == "a 人  工 b"


def test_a_snippet_is_one_short_line_around_the_match() -> None:
    text = "word\n" * 200 + "the needle\tis here" + "\nword" * 200
    found = snippet(text, parse("needle"))
    assert len(found.text) <= SNIPPET_CHARS + 2
    assert len(found.text.splitlines()) == 1
    assert [found.text[a:b] for a, b in found.ranges] == ["needle"]
    assert found.text.startswith("…")
    assert found.text.endswith("…")
    assert snippet("short", parse("nosuch")) == ("short", ())


def test_hits_come_latest_first_with_titles_before(history: History) -> None:
    for number in range(5):
        history.add(talk(f"apple {number}", "pear"))
    chat = talk("other", "words")
    history.add(chat)
    history.rename(chat.id, "Apple pie")
    hits = history.search("apple")
    assert [hit.title for hit in hits] == ["Apple pie", *(f"apple {n}" for n in (4, 3, 2, 1, 0))]
    assert hits[0].turn is None
    assert [hit.snippet for hit in history.search("apple", limit=2)] == ["Apple pie", "apple 4"]
    history.archive(chat.id)
    assert history.search("pie")


def test_an_index_in_step(history: History) -> None:
    """A reply is found when it is complete, by its last words, and no more when it is gone."""
    chat = talk("question", "answer")
    saver = history.saver(chat)
    reply = answer(saver, "next", "some words of a reply")
    history.flush()
    assert [hit.turn for hit in history.search("reply")] == [reply]
    assert history.search("   ") == []
    history.purge(chat.id)
    assert history.search("reply") == []

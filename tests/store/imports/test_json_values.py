"""JSON in pieces: any damage costs what it hits, and nothing else."""

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.store.imports import json_values
from gptterm.store.imports.json_values import (
    CUT_OFF,
    NO_CONTAINER,
    TOO_DEEP,
    TOO_LARGE,
    TOO_MANY,
    Value,
    decode,
    values,
)

A, B = {"a": 1}, {"b": [{"c": '}]\\"'}]}


def split(data: bytes, at_once: int | None = None) -> list[Value]:
    stream = BytesIO(data)
    return list(values(stream.read if at_once is None else lambda _: stream.read(at_once)))


def items(data: bytes) -> list[Any]:
    return [value.item for value in split(data)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"[]", []),
        (b'{"a": 1}', [A]),
        (json.dumps([A, B, A]).encode(), [A, B, A]),
        (json.dumps([A, B], indent=1).encode(), [A, B]),
        (b'{"a":1}\n\n{"a":1}\r\n', [A, A]),
        (b'\x1e{"a":1}\n\x1e{"a":1}\n', [A, A]),
        (b'{"a":1}{"a":1},{"a":1}\0', [A, A, A]),
        (b"[[1],[]]", [[1], []]),
        # Each begins as what is in it, or after it, does.
        (
            b'[{"a": {"a": 1}}, {"a": 1}, {"a": [{"a": "{\\"a\\":"}]}, {"a":1}]',
            [{"a": A}, A, {"a": [{"a": '{"a":'}]}, A],
        ),
        (b'{"a": 1} , {"a": {"a": [1]}}\n{"a": 1}', [A, {"a": {"a": [1]}}, A]),
        (b'[1, "{", null, {"a":1}, true]', [None, A, None]),
        (b'nothing yet: {"a":1}', [None, A]),
    ],
)
def test_values(data: bytes, expected: list[Any]) -> None:
    assert items(data) == expected
    for at_once in (1, 2, 3, 5):
        assert split(data, at_once) == split(data)


def test_elements_of_one_array_belong_together() -> None:
    data = b'[{"a":1},{"a":1}]\n{"a":1}\n[{"a":1}]'
    assert [value.group for value in split(data)] == [1, 1, 0, 2]


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        (b'[{"a":1},{"title":"T","b":[', ["", CUT_OFF]),
        (b'[{"a":1},{"b":"never ended, {', ["", CUT_OFF]),
        (b'{"a":1}\n{"b":"\\', ["", CUT_OFF]),
        (b'{"a":1}\n{"b":[1\n{"a":1}\n{"a":1}', ["", CUT_OFF, "", ""]),
        (b'[\n{"a":1},\n{"b":"x,\n{"a":1}\n]', ["", CUT_OFF, ""]),
        (b'[{"a":1},{"b" 1},{"a":1}]', ["", "not JSON (expecting ':' delimiter)", ""]),
        (b'[{"a":1},{"a" 1},{"a":1},{"a":1}]', ["", "not JSON (expecting ':' delimiter)", "", ""]),
        (b'[{"a":1},{"a":[},{"a":1}', ["", CUT_OFF]),
        (b'{"a":1}\n{"b":1]\n{"a":1}', ["", "not JSON (expecting ',' delimiter)", ""]),
        (b'[3,{"a":1}]', [NO_CONTAINER, ""]),
    ],
)
def test_damage(data: bytes, problems: list[str]) -> None:
    found = split(data)
    assert [value.problem for value in found] == problems
    assert [value.item for value in found if not value.problem] == [A] * problems.count("")
    for at_once in (1, 2, 3, 5):
        assert split(data, at_once) == found


def test_what_is_cut_off_is_told_by_its_title() -> None:
    assert split(b'[{"id": 3, "title": "A chat", "x": [')[0].title == "A chat"


def test_depth_is_bounded() -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    objects = b'{"mapping":' * 50_000 + b"1" + b"}" * 50_000
    for data in (deep, objects):
        found = split(b"[" + data + b',{"a":1}]')
        assert [(value.item, value.problem) for value in found] == [(None, TOO_DEEP), (A, "")]
    shallow = b"[" * 190 + b"]" * 190
    assert [value.problem for value in split(b"[" + shallow + b"]")] == [""]


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "LARGEST_VALUE", 1000)
    monkeypatch.setattr(json_values, "_CHUNK", 100)
    for large in (b'{"x":"' + b"x" * 5000 + b'"}', b'{"x":[' + b"1," * 2500 + b"1]}"):
        found = split(b"[" + large + b',{"a":1}]', 100)
        assert [(value.item, value.problem) for value in found] == [(None, TOO_LARGE), (A, "")]


def test_a_line_without_an_end_is_not_all_that_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "LARGEST_VALUE", 1000)
    monkeypatch.setattr(json_values, "_CHUNK", 100)
    data = b'{"x":["cut\n' + b'{"a":1}\n' * 1000
    found = split(data, 100)
    assert [value.item for value in found] == [None] + [A] * 1000


def test_damaged_lines_without_number_take_no_time() -> None:
    found = split(b'{"x":["cut\n' * 20_000)
    assert {value.item for value in found} == {None}


def test_values_that_are_all_different_take_no_time() -> None:
    data = b",".join(b'{"%d":1}' % number for number in range(100_000))
    assert len(split(b"[" + data + b"]")) == 100_000


def test_the_number_of_values_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_values, "MOST_VALUES", 10)
    found = split(b'{"a":1}\n' * 20)
    assert [value.problem for value in found] == [""] * 10 + [TOO_MANY]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'"\xed\xa0\xbd\xed\xb8\x80"', "\ud83d\ude00"),  # CESU-8
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\ud83d alone"', "\ud83d alone"),
        (b'"\xed\xa0\xbd \xff x"', "\ud83d \ufffd x"),
        (b'"\xff\xfe"', "\ufffd\ufffd"),
        (b'"caf\xe9"', "caf\ufffd"),
        (b'"tab\there"', "tab\there"),
        (b"[NaN, -Infinity]", None),
        (b"1" + b"0" * 10_000, float("inf")),
    ],
)
def test_writers_are_not_as_strict(data: bytes, expected: object) -> None:
    found = decode(data)
    assert expected is None or found == expected


@given(st.recursive(st.none() | st.floats(allow_nan=False) | st.text() | st.booleans(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                    max_leaves=30).filter(lambda item: isinstance(item, dict | list)),
       st.integers(1, 20), st.integers(0, 3))  # fmt: skip
def test_any_json_comes_back(item: Any, at_once: int, indent: int) -> None:
    data = json.dumps([item, {"last": 1}], indent=indent or None, ensure_ascii=bool(indent % 2))
    found = split(data.encode("utf-8", "surrogatepass"), at_once)
    assert [value.item for value in found] == [item, {"last": 1}]


@given(st.binary(max_size=60) | st.text('{}[]",:\\1\nu', max_size=60).map(str.encode),
       st.integers(1, 7))  # fmt: skip
def test_any_bytes(data: bytes, at_once: int) -> None:
    assert split(data, at_once) == split(data)

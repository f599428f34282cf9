"""Mutants of good inputs, for fuzzing readers of foreign data."""

import contextlib
import copy
import json
import random
from collections.abc import Sequence
from typing import Any

_TOKENS = b'{}[]()<>",:\\\n\t `*_#|-=~!&;\x1b\x9b\x00\xff\xed\xa0\x80'
LARGEST = 40_000
"""Bytes of a mutant."""


def mutant(corpus: Sequence[bytes], dice: random.Random) -> bytes:
    """Change one of the inputs in one to four places; parts may be repeated, or another's."""
    data = bytearray(dice.choice(corpus))
    for _ in range(dice.randrange(1, 5)):
        at, length = dice.randrange(len(data) + 1), dice.randrange(1, 24)
        match dice.randrange(7):
            case 0:
                data[at : at + 1] = dice.randbytes(1)
            case 1:
                del data[at : at + length]
            case 2:
                data[at:at] = dice.randbytes(dice.randrange(1, 4))
            case 3:
                data[at:at] = dice.choice(_TOKENS).to_bytes()
            case 4:
                data[at:at] = data[at : at + length] * dice.choice([1, 2, 30, 1000])
            case 5:
                other = dice.choice(corpus)
                begin = dice.randrange(len(other) + 1)
                data[at : at + length] = other[begin : begin + dice.randrange(200)]
            case _:
                data[at:at] = "é人🎉\u202e\u0301\ufeff\ud800".encode("utf-8", "surrogatepass")
        del data[LARGEST:]
    return bytes(data)


_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 7, 2**31, 10**30, 1.5, -0.0, float("nan"), float("inf"), "", "a",
    "\ud800", "\x1b[31m\n", "é" * 300, [], [[]], [None, {}], {}, {"a": []}, {"content": 5},
)  # fmt: skip


def json_mutant(corpus: Sequence[bytes], dice: random.Random) -> bytes:
    """Change values of one of the inputs to others of any type; or its bytes, now and then."""
    data = dice.choice(corpus)
    document = None
    with contextlib.suppress(ValueError):
        document = json.loads(data)
    if document is None or dice.random() < 0.2:
        return mutant(corpus, dice)
    for _ in range(dice.randrange(1, 4)):
        place = document
        while isinstance(place, dict | list) and place:
            keys: Any = list(place) if isinstance(place, dict) else range(len(place))
            key = dice.choice(keys)
            inner = place[key]
            if isinstance(inner, dict | list) and inner and dice.random() < 0.7:
                place = inner
                continue
            if dice.random() < 0.1:
                del place[key]
            elif dice.random() < 0.1 and isinstance(place, dict):
                place[dice.choice(["", "a", "\ud800", "9" * 30])] = place.pop(key)
            else:
                place[key] = copy.deepcopy(dice.choice([*_VALUES, place[dice.choice(keys)]]))
            break
    return json.dumps(document).encode()

"""Mutants of good inputs, for fuzzing readers of foreign data."""

import random
from collections.abc import Sequence

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

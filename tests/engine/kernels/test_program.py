"""Programs: where slots lie."""

import random

from gptterm.engine.kernels.program import Kind, Operation, places


def test_slots_share_places_only_when_they_are_not_in_use_at_once() -> None:
    draw = random.Random(0)
    shared = 0
    for _ in range(50):
        widths = [draw.choice((3, 5)) for _ in range(20)]
        # Every slot is written once, from some of those before it, or in place.
        operations = []
        for slot in range(2, 20):
            reads = tuple(draw.sample(range(slot), 2))
            operations.append(Operation(Kind.LINEAR, None, reads, (slot,)))
            operations.append(Operation(Kind.ACTIVATION, None, (slot,), (slot,)))
        found = places(widths, operations, given=(0, 1), result=19)
        holds = {found[0]: 0, found[1]: 1}
        for _, _, reads, writes in operations:
            assert all(holds[found[slot]] == slot for slot in reads)
            holds |= {found[slot]: slot for slot in writes}
        assert holds[found[19]] == 19
        assert all(widths[slot] == widths[found.index(found[slot])] for slot in range(20))
        shared += 20 - len(set(found))
    assert shared > 50

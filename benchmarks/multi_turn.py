"""Time to first token of a later turn, which must depend on the new tokens only."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch

from benchmarks import engines, isolated
from benchmarks.report import Row
from gptterm.engine.runtime.device import configure_threads
from gptterm.engine.runtime.model_files import read_json

HISTORY_TOKENS = 900
NEW_TOKENS = 40


def rows(directory: Path, rounds: int) -> Iterator[Row]:
    """Measure a turn after a long history, the same turn without it, and transformers."""
    configure_threads()
    torch.set_grad_enabled(False)
    vocabulary = read_json(directory / "config.json")["vocab_size"]
    ours = engines.ours(directory, "float32")
    theirs = engines.generate(directory, "float32")
    runs: dict[str, list[float]] = {"gptterm": [], "no history": [], "transformers": []}

    def first_token(
        run: Callable[[Sequence[int], int, int], Iterable[object]], prompt: Sequence[int]
    ) -> float:
        started = time.perf_counter()
        for _ in run(prompt, 1, 1):
            pass
        return 1e3 * (time.perf_counter() - started)

    for i in range(rounds + 1):
        # Other ids in every round, so that no earlier round is in the prefix cache.
        ids = [(i + 1 + 31 * j) % (vocabulary - 1) for j in range(HISTORY_TOKENS + NEW_TOKENS)]
        first_token(ours, ids[:HISTORY_TOKENS])
        times = [first_token(ours, ids), first_token(ours, ids[HISTORY_TOKENS:])]
        times.append(first_token(theirs, ids))
        print(f"  {', '.join(f'{t:.1f} ms' for t in times)}", file=sys.stderr)
        if i:
            for samples, milliseconds in zip(runs.values(), times, strict=True):
                samples.append(milliseconds)
    yield Row(
        what=f"first token, {NEW_TOKENS} new tokens after {HISTORY_TOKENS}, float32",
        unit="ms",
        runs=runs,
        lower_is_better=True,
        reach="≥ 0.83 × no history",
    )


if __name__ == "__main__":
    isolated.main(rows, __doc__)

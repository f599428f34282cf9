"""Write mode: continuations side by side, a swap in a long text, a key while branches stream.

A process of its own, started by `python -m benchmarks`; see `benchmarks.isolated`.
"""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks import isolated
from benchmarks.engines import own_engine
from benchmarks.report import Row
from benchmarks.throughput import attempt
from benchmarks.tui import FIRST_KEY, Terminal, percentiles
from gptterm.engine.api import (
    Failed,
    GenerateRequest,
    SamplingParams,
    Token,
    TokenPrompt,
)
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.runtime.device import configure_threads
from gptterm.engine.runtime.model_files import read_json

CONTINUATIONS, TOKENS = 8, 64
BEFORE = 300
"""Tokens of the text that is continued."""
LENGTH = 900
"""Tokens of the text of which one in the middle is swapped."""
WORDS, KEYS = 100_000, 40
STREAMED = 480
"""Tokens of each branch that streams while a key is pressed."""
ENDED_S = 2.0
"""Time for the engine to end the branches: until then none are begun."""
_PARAGRAPH = 120
_SOME = ("the", "fox", "king", "river", "old", "found", "a", "lantern", "in", "snow", "and", "told")
ESCAPE, ENTER = b"\x1b", b"\r"


def _text(directory: Path, count: int, seed: int) -> list[int]:
    vocabulary = read_json(directory / "config.json")["vocab_size"]
    return random.Random(seed).choices(range(vocabulary - 1), k=count)


def _generate(engine: LocalEngine, ids: list[int], samples: int, tokens: int) -> Iterator[Token]:
    """Continue a text as Write mode does, which keeps the log probabilities."""
    request = GenerateRequest(
        prompt=TokenPrompt(ids=tuple(ids)), sampling=SamplingParams(), max_tokens=tokens,
        samples=samples, seed=0, logprobs=0, ignore_eos=True,
    )  # fmt: skip
    for event in engine.generate(request):
        if isinstance(event, Failed):
            raise RuntimeError(event.message)
        if isinstance(event, Token):
            yield event


def continuations_row(directory: Path, rounds: int) -> Row:
    """Tokens a second of several continuations of a text that is read, beside one's."""
    engine, runs = own_engine(directory, "int8"), {"gptterm": list[float](), "one": list[float]()}
    for number in range(rounds + 1):
        ids = _text(directory, BEFORE, number)
        list(_generate(engine, ids, 1, 1))
        for rates, samples in zip(runs.values(), (CONTINUATIONS, 1), strict=True):
            begun = time.perf_counter()
            count = sum(1 for _ in _generate(engine, ids, samples, TOKENS))
            rate = count / (time.perf_counter() - begun)
            print(f"  {samples} continuations: {rate:.1f} tok/s", file=sys.stderr)
            if number:
                rates.append(rate)
    what = f"{CONTINUATIONS} continuations of {TOKENS} tokens, int8"
    return Row(what, "tok/s", runs, reach="≥ 3.5 × one")


def swap_row(directory: Path, rounds: int) -> Row:
    """First token after a swap in the middle of a text, beside that of its continuation."""
    engine, runs = (
        own_engine(directory, "int8"),
        {"gptterm": list[float](), "continuation": list[float]()},
    )

    def first_token(ids: list[int]) -> float:
        begun = time.perf_counter()
        list(_generate(engine, ids, 1, 1))
        return 1e3 * (time.perf_counter() - begun)

    for number in range(5 * rounds + 1):
        ids = _text(directory, LENGTH, number)
        swapped = [*ids[: LENGTH // 2], ids[LENGTH // 2 + 1]]
        first_token(ids)
        plain = first_token(ids)
        swap = first_token(swapped)
        print(f"  swap {swap:.1f} ms, continuation {plain:.1f} ms", file=sys.stderr)
        if number:
            runs["gptterm"].append(swap)
            runs["continuation"].append(plain)
    return Row(
        f"first token after a swap in the middle of {LENGTH}, int8", "ms", runs, True,
        "≥ 0.83 × a continuation's",
    )  # fmt: skip


def _long_text(words: int) -> str:
    dice = random.Random(1)
    lines = (
        " ".join(dice.choices(_SOME, k=min(_PARAGRAPH, words - begun)))
        for begun in range(0, words, _PARAGRAPH)
    )
    return "\n".join(lines)


def key_row(directory: Path) -> Row:
    """A letter in a long text while branches stream, which it ends: from the key to its frame."""
    taken: list[float] = []
    with tempfile.TemporaryDirectory() as home:
        file = Path(home, "long.txt")
        file.write_text(_long_text(WORDS))
        options = ["-m", str(directory), "--dtype", "int8", "-n", str(STREAMED)]
        terminal = Terminal(["-m", "gptterm", "write", str(file), *options], Path(home))
        terminal.wait_for(" · int8".encode())
        terminal.read_for(1.0)
        for number in range(KEYS + 1):
            terminal.send(ESCAPE)  # to the list
            terminal.wait_for(b"continues the text here")
            terminal.send(b"%dg" % CONTINUATIONS)
            terminal.wait_for(b"seed")
            terminal.read_for(1.0)
            terminal.send(ENTER)  # to the text
            terminal.read_for(0.5)
            key = chr(FIRST_KEY + number).encode()
            pressed = time.perf_counter()
            terminal.send(key)
            taken.append(1e3 * (terminal.wait_for(key) - pressed))
            print(f"  key: {taken[-1]:.1f} ms", file=sys.stderr)
            terminal.read_for(ENDED_S)
        terminal.close()
    what = f"key to frame, {WORDS:,} words, {CONTINUATIONS} branches stream"
    row, _ = percentiles(what, taken[1:])
    row.reach = "≤ 33"
    return row


def rows(directory: Path, rounds: int) -> Iterator[Row]:
    """All rows of this part; rows that fail are left out."""
    configure_threads()
    yield from attempt(
        [
            partial(continuations_row, directory, rounds),
            partial(swap_row, directory, rounds),
            partial(key_row, directory),
        ]
    )


if __name__ == "__main__":
    isolated.main(rows, __doc__)

"""Latency of a history of 100,000 turns: opening, listing, searching, writing.

    python -m benchmarks.history [--turns N] [--rounds N] [--folder DIR]

The file is made once (a minute) and stays in DIR. Opening is measured in new processes, from the
end of the imports to the first list of chats.
"""

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import corpus
from gptterm.conversation.nodes import Generation, Node
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import Token
from gptterm.store import History

RUNS = Path(__file__).parent.parent / ".runs"
TURNS_PER_CHAT = 20
"""Turns of a chat."""
TOKENS_PER_REPLY = 80
"""Tokens of a reply."""
TITLED = 4
"""One chat in this many has a title."""
BATCH = 100
"""Chats written between two flushes."""
OPENING = """
import sys, time
from pathlib import Path
from gptterm.store import History
begun = time.perf_counter()
history = History.open(Path(sys.argv[1]))
history.conversations(limit=100)
print(time.perf_counter() - begun)
"""


def make(path: Path, turns: int) -> None:
    """Write a history of `turns` turns."""
    rng = random.Random(1)
    run = Generation(model="gpt2", reason="eos", tokens=TOKENS_PER_REPLY)
    with History.open(path) as history:
        for number in range(turns // TURNS_PER_CHAT):
            nodes = [_node(rng, number, i, run) for i in range(TURNS_PER_CHAT)]
            history.saver(
                Conversation.restore(
                    id=f"{number:032x}", created=float(number), system="", nodes=nodes,
                    selected_children={}, selected_root=None,
                )
            ).save()  # fmt: skip
            if number % TITLED == 0:
                history.rename(f"{number:032x}", corpus.text(rng))
            if number % BATCH == 0 and not history.flush(60):
                sys.exit(history.write_error)


def _node(rng: random.Random, chat: int, number: int, run: Generation) -> Node:
    reply = number % 2 == 1
    return Node(
        id=str(number + 1),
        parent=str(number) if number else None,
        role="assistant" if reply else "user",
        text=corpus.text(rng),
        created=chat * 1000.0 + number,
        ids=tuple(rng.randrange(50_257) for _ in range(TOKENS_PER_REPLY)) if reply else (),
        generations=(run,) if reply else (),
    )


def timed(work: Callable[[], object], rounds: int) -> list[float]:
    """Milliseconds of each round."""
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begun) * 1000)
    return taken


def show(what: str, taken: list[float], reach: str = "") -> None:
    print(f"{what:<60}{statistics.median(taken):>9.2f} ms   most {max(taken):>8.2f}   {reach}")


def opening(path: Path, rounds: int) -> list[float]:
    """Milliseconds of opening, each time in a new process."""
    command = [sys.executable, "-c", OPENING, str(path)]
    return [
        float(subprocess.run(command, capture_output=True, check=True).stdout) * 1000
        for _ in range(rounds)
    ]


def searching(history: History, kind: str, queries: Sequence[str], rounds: int) -> None:
    """Measure queries of one kind and print the slowest."""
    taken = {query: timed(lambda q=query: history.search(q), rounds) for query in queries}  # type: ignore[misc]
    worst = max(taken, key=lambda query: statistics.median(taken[query]))
    show(f"search: {kind}: {worst} ({len(history.search(worst))} shown)", taken[worst], "reach 100")


def writing(history: History, rounds: int) -> None:
    """Measure how long a front end waits while a chat is saved."""
    saver = history.saver(Conversation())
    chat = saver.chat
    token = Token(sample=0, id=5, text=" word", piece=b" word")

    def ask() -> None:
        chat.add_user("A question of some words")
        saver.commit()

    def reply() -> None:
        for _ in range(1000):
            saver.apply_event(key, token)

    show("a message until it is on the disk", timed(ask, 10 * rounds))
    key = chat.begin_reply(chat.leaf or "", Generation(model="gpt2"))
    show("taking 1,000 tokens", timed(reply, rounds))
    chat.finish(key, "eos")
    show("saving the finished reply, not waiting", timed(saver.save, 1))
    saver.commit(60)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.history")
    parser.add_argument("--turns", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--folder", type=Path, default=RUNS / "history")
    args = parser.parse_args()
    path = args.folder / f"{args.turns}.db"
    if not path.exists():
        begun = time.perf_counter()
        make(path, args.turns)
        print(f"written in {time.perf_counter() - begun:.0f} s")
    print(f"{args.turns} turns, {path.stat().st_size / 1e6:.0f} MB")
    show("opening and the first list", opening(path, args.rounds), "reach 300 ms")
    with History.open(path) as history:
        for kind, queries in corpus.QUERIES.items():
            searching(history, kind, queries, args.rounds)
        name = history.conversations(limit=1)[0].id
        show(
            f"loading a chat of {TURNS_PER_CHAT} turns",
            timed(lambda: history.load(name), args.rounds),
        )
        show("listing 1,000 chats", timed(history.conversations, args.rounds))
        writing(history, args.rounds)


if __name__ == "__main__":
    main()

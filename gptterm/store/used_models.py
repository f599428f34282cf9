"""Models that wrote replies, and how fast they were on this machine."""

import sqlite3
from typing import NamedTuple

from gptterm.store.serialization import decode_run

RUNS = 300
"""Latest runs that are read."""
LEAST_TOKENS = 16
"""Of a run whose rate counts."""


class UsedModel(NamedTuple):
    """A model by the name that it was loaded with."""

    name: str
    tokens_per_s: float | None
    """The best rate of its runs; None where all were short."""


def read_used_models(connection: sqlite3.Connection, runs: int = RUNS) -> list[UsedModel]:
    """Return the models of the latest runs, the last one used first.

    Those of imported chats do not count: other programs may give a name to another model.
    """
    rates: dict[str, float] = {}
    found = connection.execute(
        "SELECT data FROM runs ORDER BY turn DESC, number DESC LIMIT ?", (runs,)
    )
    for (data,) in found:
        run = decode_run(data)
        if run.origin:
            continue
        measured = run.timings is not None and run.written_tokens >= LEAST_TOKENS
        rate = run.timings.tokens_per_s if measured and run.timings is not None else 0.0
        rates[run.model] = max(rates.get(run.model, 0.0), rate)
    return [UsedModel(name, rate or None) for name, rate in rates.items()]


def read_last_use(connection: sqlite3.Connection) -> dict[str, float]:
    """Return when each model last wrote, in seconds since 1970, by the name it was loaded with."""
    found = connection.execute(
        "SELECT model, max(updated) FROM conversations WHERE deleted IS NULL GROUP BY model"
    )
    return dict(found.fetchall())

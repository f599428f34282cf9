"""Looking into a model of GPT-2's shape: a text of 1,000 tokens, and the score of a longer one.

Of a text of 100,000 tokens the bundled model is asked, which reads it in seconds.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks import engines, isolated
from benchmarks.report import Row
from gptterm import models
from gptterm.engine.api import (
    Dtype,
    GenerateRequest,
    Token,
    TokenPrompt,
)
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.inspection.answers import ScoreSummary
from gptterm.engine.inspection.requests import (
    AttentionRequest,
    InspectionRequest,
    LensRequest,
    ScoreRequest,
    TokenRequest,
)
from gptterm.engine.runtime.device import configure_threads
from gptterm.engine.runtime.model_files import read_json

LENGTH = 1000
SCORED = 3072
"""Tokens of the text that is longer than the context."""
LONG = 100_000
BUNDLED = Path(models.__file__).parent / "tiny"
DECODED = 64
DECODINGS = 4
"""Of each kind in a round: their rates are near each other."""


def rows(directory: Path, rounds: int) -> Iterator[Row]:
    """Measure views in float32 and bfloat16, decoding, and scores beside transformers."""
    configure_threads()
    torch.set_grad_enabled(False)
    for dtype in ("float32", "bfloat16"):
        yield from _views(directory, dtype, rounds)
    yield from _decoding(directory, rounds)
    yield _scores(directory, rounds, SCORED)
    yield _scores(BUNDLED, rounds, LONG)


def _text(directory: Path, count: int, seed: int) -> tuple[int, ...]:
    """Ids that differ from the first one on between seeds."""
    vocabulary = read_json(directory / "config.json")["vocab_size"] - 1
    return tuple((seed * 1009 + 31 * i) % vocabulary for i in range(count))


def _own_memory() -> int:
    """Bytes of this process that lie in no file: mapped weights can be dropped and read again."""
    lines = Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Anonymous:"))


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - started)


def _views(directory: Path, dtype: Dtype, rounds: int) -> Iterator[Row]:
    engine = engines.own_engine(directory, dtype)
    before = _own_memory()
    runs: dict[str, list[float]] = {
        name: [] for name in ("first", "move", "attention", "lens", "blocks", "score")
    }

    def look(request: InspectionRequest) -> float:
        return _milliseconds(lambda: list(engine.inspect(request)))

    for i in range(rounds + 1):
        ids = _text(directory, LENGTH, i)
        here = LENGTH // 2 + 1 + i
        times = {
            "first": look(TokenRequest(ids=ids, position=LENGTH)),
            "move": look(TokenRequest(ids=ids, position=here)),
            "attention": look(AttentionRequest(ids=ids, position=here)),
            "lens": look(LensRequest(ids=ids, positions=(here,), attention=False)),
            "blocks": look(LensRequest(ids=ids, positions=(here,))),
            "score": look(ScoreRequest(ids=ids, start_token=False, alternatives=5)),
        }
        print(f"  {', '.join(f'{k} {t:.1f} ms' for k, t in times.items())}", file=sys.stderr)
        if i:
            for name, milliseconds in times.items():
                runs[name].append(milliseconds)
    grown = (_own_memory() - before) >> 20
    reaches = {
        "first": ("first view", "≤ 1000 ms"),
        "move": ("move by a token", "≤ 50 ms"),
        "attention": ("attention of a token", "≤ 50 ms"),
        "lens": ("lens", "≤ 50 ms"),
        "blocks": ("lens, within blocks too", ""),
        "score": ("score, 5 alternatives", ""),
    }
    for name, (what, reach) in reaches.items():
        notes = (
            [f"memory of its own grown by {grown} MiB after all views: ≤ 200"]
            if name == "first"
            else []
        )
        yield Row(
            what=f"inspect: {what}, {LENGTH} tokens, {dtype}",
            unit="ms",
            runs={"gptterm": runs[name]},
            lower_is_better=True,
            reach=reach,
            notes=notes,
        )


def _scores(directory: Path, rounds: int, length: int) -> Row:
    """Windows without overlap, with statistics of every token, beside log probabilities alone."""
    engine = engines.own_engine(directory, "float32")
    list(engine.inspect(ScoreRequest(ids=_text(directory, LENGTH, 0), start_token=False)))
    before = _own_memory()
    _score_ours(engine)(_text(directory, length, 0))
    grown = (_own_memory() - before) >> 20
    model = engines.transformers_model(directory, "float32")
    runs: dict[str, list[float]] = {"gptterm": [], "transformers": []}
    for i in range(rounds + 1):
        ids = _text(directory, length, i)
        times = []
        for score in (_score_ours(engine), _score_theirs(model)):
            started = time.perf_counter()
            found = score(ids)
            times.append((length - 1) / (time.perf_counter() - started))
            print(f"  {times[-1]:.0f} tokens/s, {found:.2f} nats", file=sys.stderr)
        if i:
            for samples, rate in zip(runs.values(), times, strict=True):
                samples.append(rate)
    name = "tiny, " if directory == BUNDLED else ""
    return Row(
        what=f"score of {length} tokens, {name}float32", unit="tokens/s", runs=runs, reach="≥ 2",
        notes=[f"memory of its own grown by {grown} MiB beyond that for {LENGTH} tokens"],
    )  # fmt: skip


def _score_ours(engine: LocalEngine) -> Callable[[Sequence[int]], float]:
    def score(ids: Sequence[int]) -> float:
        request = ScoreRequest(ids=tuple(ids), stride=1024, start_token=False)
        for event in engine.inspect(request):
            if isinstance(event, ScoreSummary):
                return event.logprob
        raise AssertionError

    return score


def _score_theirs(model: Any) -> Callable[[Sequence[int]], float]:
    """As perplexities are computed with the library: a pass a window, and its log softmax."""
    context = model.config.max_position_embeddings

    def score(ids: Sequence[int]) -> float:
        total = 0.0
        for at in range(0, len(ids) - 1, context):
            window = torch.tensor([ids[at : at + context + 1]])
            logprobs = model(window[:, :-1], use_cache=False).logits[0].log_softmax(-1)
            total += float(logprobs.gather(1, window[0, 1:, None]).sum())
        return total

    return score


def _decoding(directory: Path, rounds: int) -> Iterator[Row]:
    """Tokens a second without scores and with them, beside an engine that nobody looked into."""
    looked, plain = engines.own_engine(directory, "int8"), engines.own_engine(directory, "int8")
    list(looked.inspect(AttentionRequest(ids=_text(directory, LENGTH, 0), position=LENGTH - 1)))
    contenders = {"off": (looked, None), "on": (looked, 5), "plain": (plain, None)}
    runs: dict[str, list[float]] = {name: [] for name in contenders}
    for i in range(rounds * DECODINGS + 1):
        prompt = TokenPrompt(ids=_text(directory, 64, i))
        for name, (engine, logprobs) in contenders.items():
            request = GenerateRequest(
                prompt=prompt, max_tokens=DECODED, logprobs=logprobs, ignore_eos=True, seed=0
            )
            times = [
                time.perf_counter()
                for event in engine.generate(request)
                if isinstance(event, Token)
            ]
            if i:
                runs[name].append(engines.rate(times, 1))
    for name, reach in (("off", "≥ 0.98"), ("on", "≥ 0.93")):
        yield Row(
            what=f"decoding {DECODED} tokens, int8, tints {name}", unit="tokens/s",
            runs={"gptterm": runs[name], "never looked into": runs["plain"]}, reach=reach,
        )  # fmt: skip


if __name__ == "__main__":
    isolated.main(rows, __doc__)

"""`gptterm batch`: many prompts on this machine beside a script, and a server kept busy.

A process of its own, started by `python -m benchmarks`; see `benchmarks.isolated`.
"""

import json
import os
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import isolated
from benchmarks.engines import SAMPLING, Contender, own_engine, pipeline
from benchmarks.machine import fastest_dtype
from benchmarks.report import Row
from benchmarks.scripted_server import MODEL, Load, scripted_server
from benchmarks.startup import CommandFailedError, executable
from benchmarks.subprocess_runner import in_subprocess
from benchmarks.throughput import attempt, synthetic_prompt
from gptterm.engine.api import Dtype, Failed, GenerateRequest, TextPrompt

PROMPTS = 256
"""Mixed prompts of the local row: of 4 to 60 words, for 16 to 64 tokens."""
SCRIPT_BATCHES = (16, 64)
"""Batch sizes of the transformers script; the one that is better in the first round counts."""
SERVED = 10_000
IN_FLIGHT = 64
LATENCY_S = 0.05
"""Time a reply of the scripted server takes."""
REPLY_TOKENS = 16
PREFILLED = 64
"""Prompts that the engine's own prefill rate is measured with."""
_WORDS = [
    "the",
    "fox",
    "king",
    "river",
    "old",
    "found",
    "a",
    "lantern",
    "in",
    "snow",
    "and",
    "told",
    "its",
    "story",
    "to",
    "nobody",
]
_SPEED = re.compile(r"; ([\d,]+) tokens?, ([\d,.]+) tok/s")


class Prompt(NamedTuple):
    """A prompt, and how many tokens it is to get."""

    text: str
    tokens: int


def mixed_prompts(count: int) -> list[Prompt]:
    """Return prompts of mixed lengths, the same every time."""
    dice = random.Random(1)
    return [
        Prompt(" ".join(dice.choices(_WORDS, k=dice.randint(4, 60))), dice.randint(16, 64))
        for _ in range(count)
    ]


def run_batch(lines: Sequence[dict[str, Any]], options: Sequence[str]) -> float:
    """Run the command on lines; return its tokens a second, without the start.

    Raises:
        CommandFailedError: it failed.
    """
    with tempfile.TemporaryDirectory() as home:
        file = Path(home, "prompts.jsonl")
        file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        proxies = {name for name in os.environ if name.lower().endswith("_proxy")}
        env = {name: value for name, value in os.environ.items() if name not in proxies}
        done = subprocess.run(
            [*executable("gptterm"), "batch", "-v", *options, str(file)],
            env={**env, "HF_HUB_OFFLINE": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
    speed = _SPEED.search(done.stderr)
    if done.returncode or speed is None:
        raise CommandFailedError(f"gptterm batch: {done.stderr.strip()[-300:]}")
    return float(speed[2].replace(",", ""))


def script(directory: Path, batch: int) -> float:
    """Tokens a second of a transformers script: padded batches of prompts of like lengths."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(directory, padding_side="left")
    tokenizer.pad_token = tokenizer.eos_token
    dtype = getattr(torch, fastest_dtype())
    model: Any = AutoModelForCausalLM.from_pretrained(directory, dtype=dtype)
    model.eval()
    prompts = sorted(mixed_prompts(PROMPTS), key=lambda prompt: prompt.tokens)
    begun = time.perf_counter()
    for start in range(0, len(prompts), batch):
        some = prompts[start : start + batch]
        ids = tokenizer([prompt.text for prompt in some], return_tensors="pt", padding=True)
        with torch.no_grad():
            model.generate(
                **ids, do_sample=True, temperature=SAMPLING.temperature, top_k=SAMPLING.top_k,
                top_p=SAMPLING.top_p, pad_token_id=tokenizer.eos_token_id,
                min_new_tokens=some[-1].tokens, max_new_tokens=some[-1].tokens,
            )  # fmt: skip
    return sum(prompt.tokens for prompt in prompts) / (time.perf_counter() - begun)


def prefills(directory: Path, dtype: Dtype) -> Contender:
    """gptterm's engine, given prompts one after the other: prompts a second."""
    engine = own_engine(directory, dtype)

    def run(_: Sequence[int], count: int, __: int) -> float:
        begun = time.perf_counter()
        for prompt in mixed_prompts(count):
            request = GenerateRequest(prompt=TextPrompt(text=prompt.text), max_tokens=1)
            for event in engine.generate(request):
                if isinstance(event, Failed):
                    raise RuntimeError(event.message)
        return count / (time.perf_counter() - begun)

    return run


def own_rate(directory: Path, prompts: Sequence[Prompt]) -> float:
    """Tokens a second of the engine's parts by themselves, for the same prompts and replies.

    Each prompt is prefilled alone, and each token decoded as one of 64 rows that all go on: there
    is no row without a sequence, and nothing between the two.
    """
    prefilled = in_subprocess(prefills, directory, "int8")((), PREFILLED, 1)
    decoded = in_subprocess(pipeline, directory, "int8")(synthetic_prompt(50_257), 64, 33)
    tokens = sum(prompt.tokens for prompt in prompts)
    return tokens / (len(prompts) / prefilled + tokens / decoded)


def local_row(directory: Path, rounds: int) -> Row:
    """Mixed prompts in int8, beside a script's better batch and the engine's own parts."""
    prompts = mixed_prompts(PROMPTS)
    lines = [{"prompt": prompt.text, "max_tokens": prompt.tokens} for prompt in prompts]
    options = ["-m", str(directory), "--dtype", "int8", "--seed", "1"]
    peer = f"transformers {fastest_dtype()}"
    runs: dict[str, list[float]] = {"gptterm batch": [], peer: [], "64 rows": []}
    scripts = {batch: script(directory, batch) for batch in SCRIPT_BATCHES}
    better = max(scripts, key=scripts.__getitem__)
    for number in range(rounds):
        runs["gptterm batch"].append(run_batch(lines, options))
        runs[peer].append(script(directory, better) if number else scripts[better])
        runs["64 rows"].append(own_rate(directory, prompts))
    return Row(
        what=f"{PROMPTS} mixed prompts, int8", unit="tok/s", runs=runs,
        reach="≥ 5 × transformers, ≥ 0.9 × 64 rows",
        notes=[
            f"{PROMPTS} prompts, for time: among 1,000 the last rows, which end alone, weigh less",
            "64 rows: each prompt prefilled alone, each token decoded as one of 64 rows",
        ],
    )  # fmt: skip


def serve(requests: int, slots: int, reply_s: float, tokens: int) -> Load:
    """Run prompts on a scripted server that answers `slots` at once; return what it saw."""
    lines = [{"prompt": f"prompt {number}"} for number in range(requests)]
    with scripted_server(slots, reply_s, tokens) as server:
        options = ["--server", server.url, "-m", MODEL, "--concurrency", str(slots)]
        run_batch(lines, options)
        return server.load()


def server_row(rounds: int) -> Row:
    """Wall time of many requests, beside the time that the server needs by itself."""
    ideal = SERVED / IN_FLIGHT * LATENCY_S
    loads = [serve(SERVED, IN_FLIGHT, LATENCY_S, REPLY_TOKENS) for _ in range(rounds)]
    flight = sum(load.mean_in_flight for load in loads) / rounds
    return Row(
        what=f"{SERVED:,} prompts, {IN_FLIGHT} in flight", unit="s",
        runs={"gptterm batch": [load.wall_s for load in loads], "the server": [ideal] * rounds},
        lower_is_better=True, reach="≥ 0.95 ×",
        notes=[f"{flight:.1f} requests in flight on average; {LATENCY_S * 1e3:.0f} ms a reply"],
    )  # fmt: skip


def rows(directory: Path, rounds: int) -> Iterator[Row]:
    """All rows of this part; rows that fail are left out."""
    yield from attempt([partial(server_row, rounds), partial(local_row, directory, rounds)])


if __name__ == "__main__":
    isolated.main(rows, __doc__)

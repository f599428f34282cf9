"""Contenders of the throughput benchmarks, behind one interface."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gptterm.engine.api import (
    Dtype,
    Failed,
    GenerateRequest,
    LoadRequest,
    ModelSource,
    SamplingParams,
    Token,
    TokenPrompt,
)
from gptterm.engine.decoders import native
from gptterm.engine.decoders.base import BatchedCache, Cache
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.runtime.model_files import read_json

Steps = Callable[[Sequence[int], int, int], Iterator[object]]
"""(prompt ids, samples, tokens a sample) → iterator that yields after each step."""
Contender = Callable[[Sequence[int], int, int], float]
"""(prompt ids, samples, tokens a sample) → tokens a second, without the first of each sample."""

SAMPLING = SamplingParams()


def rate(times: Sequence[float], samples: int) -> float:
    """Tokens a second, from the time at which each step ended."""
    return samples * (len(times) - 1) / (times[-1] - times[0])


def timed(steps: Steps) -> Contender:
    def run(prompt: Sequence[int], samples: int, tokens: int) -> float:
        return rate([time.perf_counter() for _ in steps(prompt, samples, tokens)], samples)

    return run


def own_engine(path: Path, dtype: Dtype, device: str = "cpu") -> LocalEngine:
    """gptterm's engine with the model of a directory, or of a GGUF file."""
    is_file = path.suffix == ".gguf"
    source = ModelSource(
        name=str(path),
        directory=str(path.parent if is_file else path),
        gguf_file=path.name if is_file else None,
    )
    return load_engine(LoadRequest(source=source, device=device, dtype=dtype))


@cache
def ours(path: Path, dtype: Dtype, device: str = "cpu") -> Steps:
    """gptterm's whole engine: decoder, samplers, detokenizer, stop strings, events.

    Args:
        path: a directory, or a GGUF file.
    """
    engine = own_engine(path, dtype, device)

    def steps(prompt: Sequence[int], samples: int, tokens: int) -> Iterator[object]:
        request = GenerateRequest(
            prompt=TokenPrompt(ids=tuple(prompt)),
            sampling=SAMPLING,
            max_tokens=tokens,
            samples=samples,
            stop=("\nUser:",),
            seed=0,
            ignore_eos=True,
        )
        for event in engine.generate(request):
            if isinstance(event, Failed):
                raise RuntimeError(event.message)
            if isinstance(event, Token) and event.sample == 0:
                yield event

    return steps


def pipeline(directory: Path, dtype: Dtype) -> Contender:
    """gptterm's whole engine on the CPU, as a contender."""
    return timed(ours(directory, dtype))


def prefill(path: Path, dtype: Dtype) -> Contender:
    """gptterm's reading of a prompt: its tokens a second, to the first new one."""
    steps = ours(path, dtype)

    def read(prompt: Sequence[int]) -> None:
        next(steps(prompt, 1, 1))

    return reading(read)


def transformers_prefill(directory: Path, dtype: str) -> Contender:
    """The same of transformers: one pass, with the logits of the last token."""
    model = transformers_model(directory, dtype)
    return reading(lambda prompt: model(torch.tensor([list(prompt)]), logits_to_keep=1))


def reading(read: Callable[[Sequence[int]], object]) -> Contender:
    """Times prompts that differ from the first token on: nothing is cached of the next one."""
    count = 0

    def run(prompt: Sequence[int], *_: int) -> float:
        nonlocal count
        count += 1
        started = time.perf_counter()
        read([id_ + count for id_ in prompt])
        return len(prompt) / (time.perf_counter() - started)

    return run


def bare(directory: Path, dtype: Dtype) -> Steps:
    """gptterm's decoder alone, fed with known ids: no sampling, no text."""
    decoder = native.load(directory, read_json(directory / "config.json"), "cpu", dtype)
    assert decoder is not None

    def steps(prompt: Sequence[int], samples: int, tokens: int) -> Iterator[object]:
        cache = decoder.new_cache()
        yield decoder.forward(np.array([prompt]), cache)
        past: Cache | BatchedCache = cache
        if samples > 1:
            past = decoder.new_batched_cache()
            past.add(cache, samples, len(prompt) + tokens)
        for _ in range(tokens - 1):
            yield decoder.forward(np.full((samples, 1), prompt[-1]), past)

    return steps


class _Clock:
    """Streamer for transformers that records when tokens arrive."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, _: torch.Tensor) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        pass


@cache
def transformers_model(directory: Path, dtype: str, device: str = "cpu") -> Any:
    """The model as the transformers library runs it."""
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, dtype))
    return model.to(device).eval()


@cache
def generate(
    directory: Path, dtype: str, device: str = "cpu"
) -> Callable[[Sequence[int], int, int], list[float]]:
    """transformers' eager `generate`: returns the time at which each step ended."""
    model = transformers_model(directory, dtype, device)

    def run(prompt: Sequence[int], samples: int, tokens: int) -> list[float]:
        ids, clock = torch.tensor([list(prompt)], device=device), _Clock()
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            temperature=SAMPLING.temperature,
            top_k=SAMPLING.top_k,
            top_p=SAMPLING.top_p,
            num_return_sequences=samples,
            min_new_tokens=tokens,
            max_new_tokens=tokens,
            pad_token_id=model.config.eos_token_id,
            streamer=clock,
        )
        return clock.times[1:]  # the first is the prompt

    return run


def transformers(directory: Path, dtype: str, device: str = "cpu") -> Contender:
    """transformers' eager `generate`, as a contender."""
    run = generate(directory, dtype, device)
    return lambda prompt, samples, tokens: rate(run(prompt, samples, tokens), samples)

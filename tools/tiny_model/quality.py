"""The figures of the model card, on seeds that training never uses."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from transformers import GPT2LMHeadModel

from gptterm.engine.api import Finished, GenerateRequest, LoadRequest, ModelSource, TextPrompt
from gptterm.engine.local import load_engine

from .chat import Turn, draw_request
from .checks import answers, contains, repeated, strangers
from .corpus import chunk_ids, chunk_texts, draw_story
from .generate import Generator
from .ngrams import Ids, KneserNey, Windows, copied_whole, longest_copied
from .tokenizer import END_OF_TEXT, render

LIMIT = 250


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    what: str
    reached: str
    aim: str
    good: bool


@dataclass(frozen=True)
class Told:
    """What the model answered to a prompt."""

    prompt: str
    text: str
    ids: list[int]

    @property
    def ended(self) -> bool:
        """Whether it stopped by itself."""
        return len(self.ids) < LIMIT


def _rng(name: str, index: int) -> random.Random:
    return random.Random(f"quality-{name}-{index}")


def _tell(generator: Generator, prompts: list[str]) -> list[Told]:
    made = generator(prompts, LIMIT)
    return [Told(p, generator.text(ids), ids) for p, ids in zip(prompts, made, strict=True)]


def requests(generator: Generator, count: int) -> tuple[list[Told], float, float]:
    """Stories for requests; shares with all that was asked for, and without strangers."""
    asked = [draw_request(_rng("request", index)) for index in range(count)]
    prompts = [render([Turn("user", request.text)]) + "<|assistant|>" for request in asked]
    told = _tell(generator, prompts)
    named = [(t, r) for t, r in zip(told, asked, strict=True) if r.wanted]
    hit = [contains(t.text, r.wanted) for t, r in named]
    clean = [not strangers(t.text, t.prompt) for t in told]
    return told, float(np.mean(hit)), float(np.mean(clean))


def continuations(generator: Generator, count: int) -> list[Told]:
    """Plain continuations of the first words of stories, half of them "Once upon a time"."""
    prompts = []
    for index in range(count):
        rng = _rng("continuation", index)
        words = draw_story(rng).text.split(" ")
        begun = " ".join(words[: rng.randint(3, 8)])
        prompts.append(begun if index % 2 else "Once upon a time")
    return _tell(generator, prompts)


def questions(generator: Generator, count: int) -> tuple[float, dict[str, float]]:
    """The share of right answers about a story just told, and by question word."""
    prompts, keys, words = [], [], []
    for index in range(count):
        rng = _rng("question", index)
        request = draw_request(rng)
        asked = request.story.questions(rng)[0]
        turns = [Turn("user", request.text), Turn("assistant", request.story.text)]
        prompts.append(render([*turns, Turn("user", asked.ask)]) + "<|assistant|>")
        keys.append(asked.key)
        words.append(asked.ask.split(" ")[0].lower())
    told = _tell(generator, prompts)
    right = [answers(t.text, key) for t, key in zip(told, keys, strict=True)]
    by_word = {
        word: float(np.mean([r for r, w in zip(right, words, strict=True) if w == word]))
        for word in sorted(set(words))
    }
    return float(np.mean(right)), by_word


def held_out(generator: Generator, count: int) -> Iterator[tuple[Ids, int]]:
    """Held-out stories as ids between two <|endoftext|>, with their length in bytes."""
    for index in range(count):
        text = draw_story(_rng("bits", index)).text
        ids = generator.encode(END_OF_TEXT + text + END_OF_TEXT)
        yield np.array(ids), len(text.encode())


def model_bits(generator: Generator, stories: list[tuple[Ids, int]]) -> float:
    """Bits per byte of the model; the end token counts, too."""
    nats, size = 0.0, sum(size for _, size in stories)
    with torch.no_grad():
        for ids, _ in stories:
            row = torch.from_numpy(ids)[None]
            logits = generator.model(row[:, :-1]).logits[0].float()
            nats += F.cross_entropy(logits, row[0, 1:], reduction="sum").item()
    return nats / math.log(2) / size


def ngram_bits(model: KneserNey, stories: list[tuple[Ids, int]]) -> float:
    """Bits per byte of the n-gram model on the same."""
    bits = sum(float(-np.log2(model.probabilities(ids)).sum()) for ids, _ in stories)
    return bits / sum(size for _, size in stories)


def training_ids(generator: Generator, seed: int, chunks: int, positions: int) -> Ids:
    """All that the model was trained on, made again."""
    parts = [
        np.array(row, dtype=np.int64)
        for chunk in range(chunks)
        for row in chunk_ids(generator.tokenizer, chunk_texts(seed, chunk), positions)
    ]
    return np.concatenate(parts)


def induction(folder: Path, length: int = 40, rows: int = 16) -> tuple[int, int, float]:
    """The head (layer, head; from 0) that looks most at what followed the same token before.

    On random ids said twice: the mean attention from the second saying of each id to the id after
    its first (Olsson et al., 2022).
    """
    model: Any = GPT2LMHeadModel.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    )
    once = torch.randint(300, model.config.vocab_size, (rows, length))
    with torch.no_grad():
        attentions = model(torch.cat([once, once], 1), output_attentions=True).attentions
    shares = torch.stack(
        [
            layer[:, :, length:, 1 : length + 1].diagonal(dim1=2, dim2=3).mean(dim=(0, 2))
            for layer in attentions
        ]
    )
    best = int(shares.argmax())
    return best // shares.shape[1], best % shares.shape[1], float(shares.max())


def speed(folder: Path, threads: int, rounds: int = 5) -> float:
    """Tokens a second of gptterm's own engine on a CPU: float32, batch 1, sampled; best round."""
    source = ModelSource(name="tiny", directory=str(folder))
    engine = load_engine(LoadRequest(source=source, device="cpu", dtype="float32"))
    torch.set_num_threads(threads)
    rates = []
    for seed in range(rounds):
        request = GenerateRequest(
            prompt=TextPrompt(text="Once upon a time"), max_tokens=LIMIT, seed=seed, ignore_eos=True
        )
        ends = [e for e in engine.generate(request) if isinstance(e, Finished)]
        rates.append(ends[0].timings.tokens_per_s)
    engine.close()
    return max(rates)


def table(figures: list[Figure]) -> str:
    """The figures in Markdown."""
    lines = ["| quality | reached | aim | |", "|---|---|---|---|"]
    lines += [f"| {f.what} | {f.reached} | {f.aim} | {'✓' if f.good else '✗'} |" for f in figures]
    return "\n".join(lines)


def measure(folder: Path, seed: int, chunks: int, count: int, threads: int) -> str:
    """The table of the model card; `chunks` of the text of `seed` are what training used."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    generator = Generator(folder)
    told, hit, clean = requests(generator, count)
    plain = continuations(generator, count)
    every = told + plain
    right, by_word = questions(generator, count)
    ended = float(np.mean([t.ended for t in every]))
    again = float(np.mean([repeated(t.text) for t in every]))
    plain_clean = float(np.mean([not strangers(t.prompt + t.text) for t in plain]))
    stories = list(held_out(generator, count))
    mine = model_bits(generator, stories)
    figures = [
        Figure("stories asked for about X contain X", f"{hit:.1%}", "≥ 95 %", hit >= 0.95),
        Figure("… and only characters they introduced", f"{clean:.1%}", "≥ 95 %", clean >= 0.95),
        Figure(
            "continuations with only characters they introduced",
            f"{plain_clean:.1%}",
            "≥ 95 %",
            plain_clean >= 0.95,
        ),
        Figure(f"ends by itself within {LIMIT} tokens", f"{ended:.1%}", "≥ 98 %", ended >= 0.98),
        Figure("repeated 4-grams in a story", f"{again:.1%}", "≤ 3 %", again <= 0.03),
        Figure("questions about the story just told", f"{right:.1%}", "≥ 80 %", right >= 0.8),
    ]
    figures += [
        Figure(f"… {word}", f"{share:.1%}", "", share >= 0.8) for word, share in by_word.items()
    ]
    positions = generator.model.config.n_positions
    corpus = training_ids(generator, seed, chunks, positions)
    windows = Windows(corpus)
    texts = [np.array(t.ids) for t in every if len(t.ids) > 2]
    whole = copied_whole([ids[1:] for ids in texts], windows) / len(texts)
    longest = max(longest_copied(ids, windows) for ids in texts[:40])
    baseline = ngram_bits(KneserNey(corpus, generator.model.config.vocab_size), stories)
    figures += [
        Figure(
            "whole stories that training had, word for word", f"{whole:.1%}", "< 1 %", whole < 0.01
        ),
        Figure("longest span copied from training", f"{longest} tokens", "reported", True),
        Figure("held-out bits per byte", f"{mine:.3f}", "reported", True),
        Figure(
            "… of an interpolated Kneser-Ney 5-gram model on the same training text",
            f"{baseline:.3f} ({mine / baseline - 1:+.0%})",
            "≥ 30 % below",
            mine <= 0.7 * baseline,
        ),
    ]
    rate = speed(folder, threads)
    figures.append(
        Figure(f"tokens a second, {threads} CPU thread(s)", f"{rate:,.0f}", "≥ 300", rate >= 300)
    )
    layer, head, share = induction(folder)
    figures.append(
        Figure(
            f"strongest induction head: layer {layer}, head {head}, from 0",
            f"{share:.0%} of its attention",
            "one forms",
            share > 0.4,
        )
    )
    return table(figures)

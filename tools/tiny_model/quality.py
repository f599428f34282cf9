"""Evaluation for the model card, on held-out seeds."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from gptterm.engine.api import Finished, GenerateRequest, LoadRequest, ModelSource, TextPrompt
from gptterm.engine.generation.loader import load_engine

from . import world
from .chat import Turn, draw_request
from .checks import answers, contains, repeated, strangers
from .corpus import chunk_ids, draw_story, training_texts
from .generate import Generator
from .ngrams import Ids, KneserNey, Windows, copied_whole, longest_copied
from .picture import attention, said_again
from .tokenizer import END_OF_TEXT, END_OF_TURN, render

LIMIT = 250


@dataclass(frozen=True)
class Figure:
    """A row of the model card's table."""

    what: str
    reached: str
    aim: str = "reported"
    good: bool | None = None

    @classmethod
    def share(cls, what: str, value: float, aim: float, *, least: bool = True) -> Figure:
        """A row for a share whose target is a lower (or upper) bound."""
        good = value >= aim if least else value <= aim
        return cls(what, f"{value:.1%}", f"{'≥' if least else '≤'} {aim:.0%}", good)


@dataclass(frozen=True)
class Told:
    """A prompt and the model's answer."""

    prompt: str
    text: str
    ids: list[int]

    @property
    def ended(self) -> bool:
        """Whether the model ended the answer itself."""
        return len(self.ids) < LIMIT


def _rng(name: str, index: int) -> random.Random:
    return random.Random(f"quality-{name}-{index}")


def _tell(generator: Generator, prompts: list[str]) -> list[Told]:
    made = generator(prompts, LIMIT)
    return [Told(p, generator.text(ids), ids) for p, ids in zip(prompts, made, strict=True)]


def requests(generator: Generator, count: int) -> tuple[list[Told], float, float]:
    """Evaluate requested stories: shares with all required words, and without strangers."""
    asked = [draw_request(_rng("request", index)) for index in range(count)]
    prompts = [render([Turn("user", request.text)]) + "<|assistant|>" for request in asked]
    told = _tell(generator, prompts)
    named = [(t, r) for t, r in zip(told, asked, strict=True) if r.wanted]
    hit = [contains(t.text, r.wanted) for t, r in named]
    clean = [not strangers(t.text, t.prompt) for t in told]
    return told, float(np.mean(hit)), float(np.mean(clean))


def continuations(generator: Generator, count: int) -> list[Told]:
    """Generate continuations of the first words of stories, half of them "Once upon a time"."""
    prompts = []
    for index in range(count):
        rng = _rng("continuation", index)
        words = draw_story(rng).text.split(" ")
        begun = " ".join(words[: rng.randint(3, 8)])
        prompts.append(begun if index % 2 else "Once upon a time")
    return _tell(generator, prompts)


def questions(generator: Generator, count: int) -> tuple[float, dict[str, float]]:
    """Share of right answers about a story of the prompt, in all and by question word."""
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
    """Bits per byte of the model, the end token included."""
    nats, size = 0.0, sum(size for _, size in stories)
    with torch.no_grad():
        for ids, _ in stories:
            row = torch.from_numpy(ids)[None]
            logits = generator.model(row[:, :-1]).logits[0].float()
            nats += F.cross_entropy(logits, row[0, 1:], reduction="sum").item()
    return nats / math.log(2) / size


def ngram_bits(model: KneserNey, stories: list[tuple[Ids, int]]) -> float:
    """Bits per byte of the n-gram model."""
    bits = sum(float(-np.log2(model.probabilities(ids)).sum()) for ids, _ in stories)
    return bits / sum(size for _, size in stories)


def training_ids(generator: Generator, seed: int, chunks: int, positions: int) -> Ids:
    """Ids of the whole training corpus, generated again."""
    parts = [
        np.array(row, dtype=np.int64)
        for chunk in range(chunks)
        for row in chunk_ids(generator.tokenizer, training_texts(seed, chunk), positions)
    ]
    return np.concatenate(parts)


def induction(folder: Path, length: int = 12, chats: int = 20) -> tuple[int, int, float]:
    """Find the head (layer, head; from 0) with the highest induction score.

    In chats that repeat words: the mean attention from each word of the repetition to what came
    after it the first time (Olsson et al., 2022).
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    shares = torch.zeros(0)
    for index in range(chats):
        words = _rng("induction", index).sample((*world.KINDS, *world.THINGS_ONLY), length)
        encoded = tokenizer.encode(said_again(words), add_special_tokens=False)
        attentions = attention(folder, torch.tensor([encoded.ids]))[:, 0]
        again, once = len(encoded.ids) - length, encoded.ids.index(encoded.ids[-2]) - length + 2
        followed = attentions[:, :, again : again + length - 2, once + 1 : once + length - 1]
        share = followed.diagonal(dim1=2, dim2=3).mean(dim=2)
        shares = share if not index else shares + share
    best = int(shares.argmax())
    return best // shares.shape[1], best % shares.shape[1], float(shares.max()) / chats


def speed(folder: Path, threads: int, rounds: int = 5) -> float:
    """Throughput of gptterm's engine on a CPU: float32, batch 1, sampled; best round."""
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


def own_names(generator: Generator, told: list[Told]) -> float:
    """Share of right answers about the characters of the model's own stories."""
    prompts: list[str] = []
    keys: list[str] = []
    for one in told:
        found = re.search(r"(\w+) (?:named|called) ([A-Z]\w+)", one.text)
        if found is None:
            continue
        kind, name = found.groups()
        by_kind = len(prompts) % 2 == 0
        ask = f"What is the name of the {kind}?" if by_kind else f"Who is {name}?"
        asked = render([Turn("user", ask)])
        prompts.append(f"{one.prompt}{one.text}{END_OF_TURN}{asked}<|assistant|>")
        keys.append(name if by_kind else kind)
    answered = _tell(generator, prompts)
    return float(np.mean([answers(t.text, key) for t, key in zip(answered, keys, strict=True)]))


def _story_figures(generator: Generator, count: int) -> tuple[list[Figure], list[Told]]:
    told, hit, clean = requests(generator, count)
    plain = continuations(generator, count)
    every = told + plain
    plain_clean = float(np.mean([not strangers(t.prompt + t.text) for t in plain]))
    ended = float(np.mean([t.ended for t in every]))
    again = float(np.mean([repeated(t.text) for t in every]))
    right, by_word = questions(generator, count)
    own = own_names(generator, told[: count // 2])
    figures = [
        Figure.share("stories asked for about X contain X", hit, 0.95),
        Figure.share("… and only characters they introduced", clean, 0.95),
        Figure.share("continuations with only characters they introduced", plain_clean, 0.95),
        Figure.share(f"ends by itself within {LIMIT} tokens", ended, 0.98),
        Figure.share("repeated 4-grams in a story", again, 0.03, least=False),
        Figure.share("questions about a story just told", right, 0.8),
        *(Figure.share(f"… {word}", share, 0.8) for word, share in by_word.items()),
        Figure.share("… names in stories of its own", own, 0.8),
    ]
    return figures, every


def _text_figures(generator: Generator, corpus: Ids, every: list[Told], count: int) -> list[Figure]:
    stories = list(held_out(generator, count))
    mine = model_bits(generator, stories)
    baseline = ngram_bits(KneserNey(corpus, generator.model.config.vocab_size), stories)
    windows = Windows(corpus)
    texts = [np.array(t.ids) for t in every if len(t.ids) > 2]
    # The first token may differ only by a space before it.
    whole = copied_whole([ids[1:] for ids in texts], windows) / len(texts)
    below = f"{baseline:.3f}; tiny is {1 - mine / baseline:.0%} below"
    return [
        Figure.share("whole stories word for word from training", whole, 0.01, least=False),
        Figure("longest span copied from training", f"{longest_copied(texts, windows)} tokens"),
        Figure("held-out bits per byte", f"{mine:.3f}"),
        Figure("… of a Kneser-Ney 5-gram model", below, "≥ 30 % below", mine <= 0.7 * baseline),
    ]


def _machine_figures(folder: Path, threads: int) -> list[Figure]:
    rate = speed(folder, threads)
    layer, head, share = induction(folder)
    where = (
        f"strongest induction head where words are repeated (layer {layer}, head {head}, from 0)"
    )
    return [
        Figure(f"tokens a second on {threads} CPU thread(s)", f"{rate:,.0f}", "≥ 300", rate >= 300),
        Figure(where, f"{share:.0%} of its attention"),
    ]


def measure(folder: Path, seed: int, chunks: int, count: int, threads: int) -> None:
    """Print the model card's table; training used `chunks` chunks of the corpus of `seed`."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    print("| quality | reached | aim | |\n|---|---|---|---|")
    _show(_machine_figures(folder, threads))
    generator = Generator(folder)
    figures, every = _story_figures(generator, count)
    _show(figures)
    corpus = training_ids(generator, seed, chunks, generator.model.config.n_positions)
    _show(_text_figures(generator, corpus, every, count))


def _show(figures: list[Figure]) -> None:
    for figure in figures:
        mark = "" if figure.good is None else "✓" if figure.good else "✗"
        print(f"| {figure.what} | {figure.reached} | {figure.aim} | {mark} |", flush=True)

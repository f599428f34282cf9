"""The tools that make `tiny`, and the files they made."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoTokenizer, GPT2LMHeadModel

from tools.tiny_model import world
from tools.tiny_model.__main__ import MODEL
from tools.tiny_model.chat import Turn, conversation, draw_request, swap_hero
from tools.tiny_model.checks import answers, contains, repeated, strangers
from tools.tiny_model.corpus import (
    CARRIED,
    LESSONS_UNTIL,
    batches,
    chunk_texts,
    draw_story,
    stream,
    training_texts,
)
from tools.tiny_model.grammar import expand, parse
from tools.tiny_model.lessons import repeat, who_is_who
from tools.tiny_model.model import GPT2, ModelConfig
from tools.tiny_model.ngrams import KneserNey, Windows, copied_whole, longest_copied
from tools.tiny_model.picture import draw
from tools.tiny_model.plots import PLOTS, Plot
from tools.tiny_model.quality import induction
from tools.tiny_model.story import draw_cast, tell
from tools.tiny_model.tokenizer import SPECIAL, render, train_tokenizer
from tools.tiny_model.train import SMOKE, Settings, Trainer, rate_scale

# ---------------------------------------------------------------------------------- grammar


def test_choices_and_slots_nest() -> None:
    made = {
        expand("{h} [ran|went [up|down]].", {"h": "the fox"}, random.Random(n)) for n in range(40)
    }
    assert made == {"The fox ran.", "The fox went up.", "The fox went down."}


def test_sentences_start_with_capitals_but_speech_goes_on_without() -> None:
    text = expand(
        '{h} ran. "wait," said {h}, "it is late." {H} sat.', {"h": "ann"}, random.Random(0)
    )
    assert text == 'Ann ran. "Wait," said ann, "it is late." Ann sat.'


@pytest.mark.parametrize("text", ["[a|b", "a]b", "{not a slot}"])
def test_a_template_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="template"):
        parse(text)


@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.name)
def test_every_sentence_form_of_a_plot_can_be_told(plot: Plot) -> None:
    cast = draw_cast(random.Random(1))
    slots = tell(plot, cast, 1).slots
    forms = [form for beat in plot.beats for form in beat]
    forms += [*plot.short, *plot.moral, *(q.answer for q in plot.questions)]
    for form in forms:
        made = expand(form, slots, random.Random(0))
        assert "{" not in made
        assert "[" not in made


# ---------------------------------------------------------------------------------- stories


def test_the_same_seed_tells_the_same_and_another_seed_another() -> None:
    assert chunk_texts(3, 0, 50) == chunk_texts(3, 0, 50)
    assert not set(chunk_texts(3, 0, 50)) & set(chunk_texts(4, 0, 50))
    assert not set(chunk_texts(3, 0, 50)) & set(chunk_texts("held-out-3", 0, 50))


def test_stories_differ_and_are_short() -> None:
    stories = [draw_story(random.Random(n)).text for n in range(500)]
    assert len(set(stories)) == 500
    assert max(len(story.split()) for story in stories) < 200


def test_nobody_in_a_story_is_a_stranger() -> None:
    for seed in range(500):
        story = draw_story(random.Random(seed))
        assert not strangers(story.text), story.text
        assert repeated(story.text) < 0.1


def test_strangers_are_noticed() -> None:
    assert strangers("There was a fox named Pip. Then the owl came.") == {"owl"}
    assert strangers("There was a fox named Pip. Pip ran. Ben ran, too.") == {"Ben"}
    assert not strangers("Pip the fox met an owl called Ben. The owl liked Pip. So did Ben.")


def test_a_story_has_what_was_asked_for_and_right_answers() -> None:
    for seed in range(300):
        request = draw_request(random.Random(seed))
        assert contains(request.story.text, request.wanted), request.text
        for asked in request.story.questions(random.Random(seed)):
            assert answers(asked.answer, asked.key), asked


def test_another_hero_changes_the_hero_and_nothing_else() -> None:
    story = draw_story(random.Random(5))
    ask, again = swap_hero(story, random.Random(6))
    assert again.cast == replace(story.cast, hero=again.cast.hero)
    assert again.cast.hero.kind in ask
    assert again.cast.hero.kind in again.text


def test_conversations_take_turns() -> None:
    for seed in range(200):
        turns = conversation(random.Random(seed))
        spoken = [turn.role for turn in turns if turn.role != "system"]
        assert spoken == ["user", "assistant"] * (len(spoken) // 2)
        assert all(turn.text.strip() for turn in turns)


def test_lessons_answer_with_what_they_were_told() -> None:
    small = {"is", "the", "has", "a", "an", "in", "on", "at", "by", "s", "name", "under", "near"}
    for seed in range(200):
        turns = who_is_who(random.Random(seed))
        told = set(re.findall(r"\w+", turns[0].text.lower())) | small
        for turn in turns[1::2]:
            assert set(re.findall(r"\w+", turn.text.lower())) <= told, turns
        asked, said = repeat(random.Random(seed))[:2]
        assert said.text in asked.text


def test_a_new_model_looks_one_token_back() -> None:
    config = ModelConfig(vocab=64, positions=256, width=64, layers=2, heads=2)
    torch.manual_seed(0)
    model = GPT2(config)
    ids = torch.randint(64, (1, 200))
    block: Any = model.h[0]
    states = block.ln_1(model.wte(ids) + model.wpe.weight[:200])
    query, key, _ = block.attn.c_attn(states).split(64, 2)
    size = config.width // config.heads
    scores = query[0, :, :size] @ key[0, :, :size].T / size**0.5
    future = torch.ones(200, 200).triu(1).bool()
    shares = scores.masked_fill(future, -torch.inf).softmax(-1)
    assert shares.diagonal(-1).mean() > 0.8


# ---------------------------------------------------------------------------------- measures


def test_the_n_gram_model_is_a_distribution() -> None:
    ids = np.random.default_rng(1).integers(0, 7, 3000)
    model = KneserNey(ids, vocab=7, order=3)
    for context in ([1, 2], [3, 3], [0]):
        mass = sum(model.probabilities(np.array([*context, word]))[-1] for word in range(7))
        assert mass == pytest.approx(1)


def test_the_n_gram_model_learns_what_follows() -> None:
    model = KneserNey(np.array([0, 1, 2, 3] * 500), vocab=4)
    assert model.probabilities(np.array([0, 1, 2, 3, 0]))[-1] > 0.9


def test_copied_spans_are_found() -> None:
    rng = np.random.default_rng(2)
    ids = rng.integers(0, 500, 4000)
    corpus = Windows(ids)
    mixed = np.concatenate([rng.integers(500, 900, 30), ids[100:137], rng.integers(500, 900, 30)])
    assert longest_copied([mixed], corpus) == 37
    assert copied_whole([ids[50:150], ids[7:17], mixed], corpus) == 2


# ---------------------------------------------------------------------------------- training


def test_batches_hold_every_row_once_with_shifted_targets() -> None:
    rng = random.Random(0)
    rows = [[rng.randint(1, 99) for _ in range(rng.randint(2, 60))] for _ in range(200)]
    made = batches(rows, 256, rng)
    back = []
    for batch in made:
        assert batch.ids.size <= 256
        for ids, targets in zip(batch.ids.tolist(), batch.targets.tolist(), strict=True):
            length = sum(target >= 0 for target in targets)
            assert ids[1:length] == targets[: length - 1]
            back.append([*ids[:length], targets[length - 1]])
    assert sorted(back) == sorted(rows)


def test_a_word_carried_on_counts_more_than_a_new_one() -> None:
    row = [1, 7, 2, 7, 9, 1, 8, 8]
    (made,) = batches([row], 64, random.Random(0), slots=np.array([7, 8]))
    assert made.targets.tolist() == [[7, 2, 7, 9, 1, 8, 8]]
    assert made.weights.tolist() == [[1, 1, CARRIED, 1, 1, 1, CARRIED]]


def test_what_stories_are_about_is_one_token_each() -> None:
    settings = Settings()
    tokenizer = train_tokenizer(settings.seed, settings.model.vocab, 2000)
    words = [f" {word}" for word in (*world.KINDS, *world.THINGS_ONLY, *world.NAMES)]
    assert {len(e.ids) for e in tokenizer.encode_batch_fast(words)} == {1}


def test_training_starts_with_lessons() -> None:
    assert all("<|assistant|>" in text for text in training_texts(1, 0)[:50])
    assert not any("Once upon" in text for text in training_texts(1, 0))
    assert any("Once upon" in text for text in training_texts(1, LESSONS_UNTIL))


def test_the_learning_rate_does_not_know_the_end_until_the_way_down() -> None:
    short, long = replace(SMOKE, steps=100), replace(SMOKE, steps=1000)
    plateau = [rate_scale(step, short) for step in range(75)]
    assert plateau == [rate_scale(step, long) for step in range(75)]
    down = [rate_scale(step, short) for step in range(75, 101)]
    assert down == sorted(down, reverse=True)
    assert down[-1] == 0


def test_a_stream_can_be_entered_in_the_middle() -> None:
    tokenizer = Tokenizer.from_file(str(MODEL / "tokenizer.json"))
    whole, late = stream(tokenizer, 1, 128, 512), stream(tokenizer, 1, 128, 512, skip=3)
    for _ in range(3):
        next(whole)
    for _ in range(5):
        assert np.array_equal(next(whole).ids, next(late).ids)


def test_the_smoke_run_learns_resumes_and_writes_a_model(tmp_path: Path) -> None:
    settings = replace(SMOKE, steps=10)
    before = Trainer(settings, tmp_path / "work").held_out_loss()
    half = Trainer(settings, tmp_path / "work")
    half.run(until=5)
    whole = Trainer(settings, tmp_path / "work")
    assert whole.step == 5
    after = whole.run()
    assert after < before - 0.7
    straight = Trainer(settings, tmp_path / "other")
    assert straight.run() == pytest.approx(after, abs=1e-4)
    whole.export(tmp_path / "model")
    _check_folder(tmp_path / "model")


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    Trainer(SMOKE, tmp_path).save()
    with pytest.raises(SystemExit, match="other settings"):
        Trainer(replace(SMOKE, seed=7), tmp_path)


# ---------------------------------------------------------------------------------- the folder


def _check_folder(folder: Path) -> None:
    """The files load with transformers, and the model says something from any bytes."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    fast = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model: Any = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32)
    assert model.config.vocab_size == len(tokenizer) == fast.get_vocab_size()
    assert [fast.token_to_id(name) for name in SPECIAL] == list(range(len(SPECIAL)))
    assert tokenizer.eos_token == "<|endoftext|>"
    assert 0 in model.generation_config.eos_token_id
    for text in ("Once upon a time", "人工智能 🙂 \x00 ﷺ", "\t\r\n"):
        ids = tokenizer(text, return_tensors="pt").input_ids
        assert ids[0].tolist() == fast.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids[0]) == text
        out = model.generate(ids, max_new_tokens=8, do_sample=False, pad_token_id=0)
        assert out.shape[1] > ids.shape[1]
    turns = [Turn("user", "Hello"), Turn("assistant", "Hi!"), Turn("user", "A story, please.")]
    messages = [{"role": turn.role, "content": turn.text} for turn in turns]
    shown = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert shown == render(turns) + "<|assistant|>"


def test_the_bundled_folder_is_small_safe_and_loads() -> None:
    assert sum(path.stat().st_size for path in MODEL.iterdir()) <= 12 * 1024 * 1024
    assert not [p.name for p in MODEL.iterdir() if p.suffix in (".bin", ".pt", ".pkl", ".py")]
    config = json.loads((MODEL / "config.json").read_text())
    assert config["model_type"] == "gpt2"
    weights = load_file(str(MODEL / "model.safetensors"))
    assert all(tensor.isfinite().all() for tensor in weights.values())
    assert len(weights) == 4 + 12 * config["n_layer"]  # the head is the token embedding
    _check_folder(MODEL)


def test_a_head_of_the_bundled_model_finds_what_followed_the_same_word() -> None:
    layer, head, share = induction(MODEL)
    assert share > 0.5
    drawn = draw(MODEL, layer, head)
    ElementTree.fromstring(drawn)
    assert drawn == Path("assets/induction.svg").read_text("utf-8")


def test_the_bundled_model_tells_a_story_that_ends() -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(MODEL)
    model: Any = GPT2LMHeadModel.from_pretrained(MODEL, dtype=torch.float32)
    prompts = {
        "Once upon a time": (),
        render([Turn("user", "Tell me a story about a fox and a lantern.")]) + "<|assistant|>": (
            "fox",
            "lantern",
        ),
    }
    for prompt, wanted in prompts.items():
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        out = model.generate(ids, max_new_tokens=300, do_sample=False, pad_token_id=0)[0].tolist()
        text = tokenizer.decode(out[ids.shape[1] :], skip_special_tokens=True)
        assert out[-1] in model.generation_config.eos_token_id
        assert contains(text, wanted), text
        assert len(text.split()) > 40

"""Readers of a model's files over mutants of good and of once dangerous ones.

As in `tests.fuzz.test_readers`: any bytes may be refused with a `ModelError` of one line.
"""

import json
import random
import struct
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import pytest

from gptterm.engine.api import ChatPrompt, Message, SamplingParams
from gptterm.engine.decoders.weights import map_tensors
from gptterm.engine.gguf.reader import read_header as read_gguf_header
from gptterm.engine.gguf.tokenizer import build_backend
from gptterm.engine.prompt.rendering import render
from gptterm.engine.runtime.safetensors_header import read_header
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.engine.text.tokenizer_files import load_tokenizer
from gptterm.errors import ModelError, UsageError
from gptterm.models import generation_defaults, read_metadata, resolve
from tests.engine.gguf.files import vocabulary, write_gguf
from tests.fuzz.harness import SECONDS, SEED, Target, check, dice_of, kept
from tests.support.gpt2 import write_gpt2
from tests.support.mutation import json_mutant, mutant

CHAT = ChatPrompt(messages=(Message(role="user", text="Hi"), Message(role="assistant", text="Yes")))


@cache
def files() -> dict[str, bytes]:
    """The files of a small model; its vocabulary also as vocab.json and merges.txt."""
    with TemporaryDirectory() as folder:
        made = write_gpt2(Path(folder), layers=1, width=8, heads=2, positions=16)
        found = {file.name: file.read_bytes() for file in made.iterdir()}
    model = json.loads(found["tokenizer.json"])["model"]
    found["vocab.json"] = json.dumps(model["vocab"]).encode()
    pairs = (pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"])
    found["merges.txt"] = "\n".join(["#version: 0.2", *pairs]).encode()
    return found


def model(folder: Path, name: str, data: bytes, *removed: str) -> Path:
    """A directory with the model's files, of which one has other content and some are removed."""
    directory = folder / "model"
    directory.mkdir(exist_ok=True)
    for file, content in (files() | {name: data}).items():
        if file in removed:
            (directory / file).unlink(missing_ok=True)
        else:
            (directory / file).write_bytes(content)
    return directory


def refused(call: Callable[[], object]) -> bool:
    """Call; whether it is refused, in one line that can be printed."""
    said = ""
    try:
        call()
    except (ModelError, UsageError) as error:
        said = str(error)
    assert said == "" or (said.isprintable() and len(said) < 1000)
    return bool(said)


def _described(directory: Path) -> None:
    source = resolve(str(directory))
    read_metadata(source)
    msgspec.structs.replace(SamplingParams(), **generation_defaults(source))


def config(data: bytes, folder: Path) -> None:
    refused(lambda: _described(model(folder, "config.json", data)))


def generation_config(data: bytes, folder: Path) -> None:
    directory = model(folder, "generation_config.json", data)
    refused(lambda: _described(directory))
    refused(lambda: _used(load_tokenizer(directory)))


def index(data: bytes, folder: Path) -> None:
    directory = model(folder, "model.safetensors.index.json", data, "model.safetensors")
    (directory / "model-1.safetensors").write_bytes(files()["model.safetensors"])
    refused(lambda: _described(directory))


def weights(data: bytes, folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(data)
    if not refused(lambda: read_header(file)):
        refused(lambda: map_tensors(file, read_header(file)))


def _used(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode("Hello, wörld <|endoftext|>")
    tokenizer.decode(ids)
    assert not tokenizer.special_ids.intersection(ids) or tokenizer.kind == "other"
    render(CHAT, tokenizer, tokenizer.vocab_size)


def tokenizer_of(name: str, *removed: str) -> Target:
    def target(data: bytes, folder: Path) -> None:
        refused(lambda: _used(load_tokenizer(model(folder, name, data, *removed))))

    return target


def gguf(data: bytes, folder: Path) -> None:
    file = folder / "model.gguf"
    file.write_bytes(data)
    if not refused(lambda: read_gguf_header(file)):
        refused(lambda: build_backend(read_gguf_header(file)))
        refused(lambda: _described(file))


def _gguf_seeds() -> list[bytes]:
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), "▁", "a", "▁a"]
    kinds = [2, 3, 3, *[6] * 256, 1, 1, 1]
    tensors = {"token_embd.weight": np.zeros((len(tokens), 8), np.float32)}
    scores = [0.0] * len(tokens)
    spm = vocabulary(tokens, "llama", kinds, scores=scores, bos_token_id=1, eos_token_id=2)
    bpe = vocabulary(["a", "b", "ab", "<|end|>"], "gpt2", [1, 1, 1, 3], merges=["a b"], pre="qwen2")
    with TemporaryDirectory() as folder:
        file = Path(folder, "m.gguf")
        return [write_gguf(file, keys, tensors).read_bytes() for keys in (spm, bpe)]


def _header(tensors: dict[str, object]) -> bytes:
    raw = json.dumps(tensors).encode()
    return struct.pack("<Q", len(raw)) + raw + bytes(8)


def seeds(name: str) -> list[bytes]:
    entry = {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}
    own: dict[str, list[bytes]] = {
        "index": [json.dumps({"weight_map": {"wte.weight": "model-1.safetensors"}}).encode()],
        "weights": [
            files()["model.safetensors"],
            _header({"a": entry, "__metadata__": {"b": "c"}}),
        ],
        "gguf": _gguf_seeds(),
    }
    file = FILES.get(name)
    found = [files()[file]] if file in files() else []
    return [*kept(f"model_{name}"), *own.get(name, []), *found]


FILES = {
    "config": "config.json",
    "generation_config": "generation_config.json",
    "tokenizer": "tokenizer.json",
    "tokenizer_config": "tokenizer_config.json",
    "special_tokens_map": "special_tokens_map.json",
    "added_tokens": "added_tokens.json",
    "vocabulary": "vocab.json",
    "merges": "merges.txt",
    "template": "chat_template.jinja",
}
OLD = ("tokenizer_config.json", "tokenizer.json")
TARGETS: dict[str, tuple[Target, int]] = {
    "config": (config, 150),
    "generation_config": (generation_config, 60),
    "index": (index, 150),
    "weights": (weights, 300),
    "gguf": (gguf, 60),
    "tokenizer": (tokenizer_of("tokenizer.json"), 80),
    "tokenizer_config": (tokenizer_of("tokenizer_config.json"), 100),
    "special_tokens_map": (tokenizer_of("special_tokens_map.json", *OLD), 60),
    "added_tokens": (tokenizer_of("added_tokens.json", *OLD), 100),
    "vocabulary": (tokenizer_of("vocab.json", *OLD), 100),
    "merges": (tokenizer_of("merges.txt", *OLD), 100),
    "template": (tokenizer_of("chat_template.jinja"), 25),
}
"""The targets, and the numbers of mutants in the quick runs: a second or two."""
BYTES = ("weights", "gguf", "merges", "template")


def mutant_of(name: str, known: Sequence[bytes], dice: random.Random) -> bytes:
    return mutant(known, dice) if name in BYTES else json_mutant(known, dice)


@pytest.mark.parametrize("name", TARGETS)
def test_a_few_mutants(name: str, tmp_path: Path) -> None:
    known, dice = seeds(name), dice_of(name, "7")
    for data in known:
        check(name, TARGETS[name][0], data, tmp_path)
    for _ in range(TARGETS[name][1]):
        check(name, TARGETS[name][0], mutant_of(name, known, dice), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_mutants(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known, dice = seeds(name), dice_of(name)
    count, end = 0, time.monotonic() + SECONDS
    while time.monotonic() < end:
        check(name, TARGETS[name][0], mutant_of(name, known, dice), tmp_path)
        count += 1
    with capsys.disabled():
        print(f"\n{name}: {count} mutants from seed {SEED}")  # noqa: T201

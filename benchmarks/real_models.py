"""Models that people chat with, in their true shapes with random weights, beside their peers.

GGUF files beside llama.cpp and OpenVINO GenAI, which run the same files; directories beside
transformers.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import engines, isolated, optional
from benchmarks.bandwidth import read_bandwidth
from benchmarks.gguf_shapes import SHAPES, file_for
from benchmarks.machine import fastest_dtype
from benchmarks.report import Row
from benchmarks.subprocess_runner import in_subprocess
from benchmarks.throughput import Load, attempt, measure
from gptterm.engine.runtime.device import configure_threads

SMALL = "SmolLM2-135M"
FILES = {
    SMALL: {"Q4_1": "≥ 1.3 × llama.cpp", "Q8_0": "≥ 1.4 ×", "F16": "≥ 1.1 ×"},
    "Qwen3-0.6B": {"Q8_0": "≥ 1 × llama.cpp", "Q4_K_M": "≥ 1 ×"},
    "Llama-3.2-1B": {"Q8_0": "≥ 1 × llama.cpp", "Q4_K_M": "≥ 1 ×"},
}
DEPTH = 4000
PREFILL = 512
TOKENS = {1: 49, 8: 17, 64: 17}


def prompt(count: int) -> list[int]:
    return [300 + i * 37 % 20_000 for i in range(count)]


def _file_contenders(file: Path) -> dict[str, Load]:
    contenders: dict[str, Load] = {
        "gptterm": partial(in_subprocess, engines.pipeline, file, "auto")
    }
    if optional.installed("llama_cpp"):
        contenders["llama.cpp"] = partial(in_subprocess, optional.llama_cpp_file, file, "")
    if optional.installed("openvino_genai"):
        contenders["OpenVINO"] = partial(in_subprocess, optional.openvino, file, "")
    return contenders


def _file_row(folder: Path, rounds: int, bandwidth: float, name: str, kind: str) -> Row:
    file = file_for(folder, name, kind)
    contenders = _file_contenders(file)
    row = measure(f"{name}, {kind}", contenders, 1, rounds, prompt(8), TOKENS)
    limit = bandwidth / file.stat().st_size
    row.runs["memory's limit"] = [limit] * len(row.runs["gptterm"])
    row.reach = FILES[name][kind]
    return row


def _deep_row(folder: Path, rounds: int) -> Row:
    contenders = _file_contenders(file_for(folder, SMALL, "Q8_0"))
    what = f"{SMALL}, Q8_0, at {DEPTH} tokens of context"
    row = measure(what, contenders, 1, rounds, prompt(DEPTH), TOKENS)
    row.reach = "≥ 0.9 × llama.cpp"
    return row


def _prefill_row(folder: Path, rounds: int) -> Row:
    file = file_for(folder, SMALL, "Q8_0")
    contenders: dict[str, Load] = {"gptterm": partial(in_subprocess, engines.prefill, file, "auto")}
    if optional.installed("openvino_genai"):
        contenders["OpenVINO"] = partial(in_subprocess, optional.openvino_prefill, file, "")
    what = f"{SMALL}, prompt of {PREFILL} tokens, Q8_0"
    row = measure(what, contenders, 1, rounds, prompt(PREFILL), TOKENS)
    row.reach = "≥ 1 × OpenVINO"
    return row


def _dtype_row(
    directory: Path, rounds: int, samples: int, dtype: str, peer: str, *, prefill: bool = False
) -> Row:
    """A directory beside transformers: samples, or a prompt alone."""
    ours: Any = engines.prefill if prefill else engines.pipeline
    theirs: Any = engines.transformers_prefill if prefill else engines.transformers
    contenders: dict[str, Load] = {
        "gptterm": partial(in_subprocess, ours, directory, dtype),
        f"transformers {peer}": partial(in_subprocess, theirs, directory, peer),
    }
    what = f"prompt of {PREFILL} tokens" if prefill else f"{samples} samples"
    ids = prompt(PREFILL if prefill else 32)
    row = measure(f"{SMALL}, {what}, {dtype}", contenders, samples, rounds, ids, TOKENS)
    row.reach = "≥ 1 × transformers" if prefill else "≥ 4 × transformers"
    return row


def write_directory(directory: Path) -> Path:
    """A directory of the small shape, as transformers saves one; made if it does not exist."""
    if (directory / "config.json").exists():
        return directory
    import transformers

    from benchmarks.shapes import write_tokenizer

    library: Any = transformers  # its functions have no types
    shape = SHAPES[SMALL]
    config = library.LlamaConfig(
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        vocab_size=shape.vocabulary,
        max_position_embeddings=shape.context,
        tie_word_embeddings=True,
        eos_token_id=shape.vocabulary - 1,
    )
    library.AutoModelForCausalLM.from_config(config).save_pretrained(directory)
    write_tokenizer(directory, shape.vocabulary)
    return directory


def rows(directory: Path, rounds: int) -> Iterator[Row]:
    """All rows of this part; rows that fail are left out. Files are made beside `directory`."""
    configure_threads()
    torch.set_grad_enabled(False)
    folder, bandwidth = directory.parent, read_bandwidth()
    small = write_directory(folder / SMALL)
    of_files = (
        partial(_file_row, folder, rounds, bandwidth, name, kind)
        for name, kinds in FILES.items()
        for kind in kinds
    )
    prompts = (
        partial(_dtype_row, small, rounds, 1, dtype, dtype, prefill=True)
        for dtype in ("float32", "bfloat16")
    )
    batches = (
        partial(_dtype_row, small, rounds, samples, "int8", fastest_dtype()) for samples in (8, 64)
    )
    of_small = (partial(measured, folder, rounds) for measured in (_deep_row, _prefill_row))
    yield from attempt([*of_files, *of_small, *prompts, *batches])


if __name__ == "__main__":
    isolated.main(rows, __doc__)

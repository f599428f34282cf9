"""Contenders that need a package of their own: CTranslate2, llama.cpp and OpenVINO GenAI.

Their files are converted from the model directory once, and stay beside it.
"""

import importlib.util
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch

from benchmarks.engines import SAMPLING, Contender, reading, timed
from gptterm.engine.runtime.model_files import read_json

Precision = Literal["float32", "float16", "int8"]
GGUF_TYPES: dict[Precision, str] = {"float32": "F32", "float16": "F16", "int8": "Q8_0"}


def installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


@cache
def ctranslate2(directory: Path, precision: Precision) -> Contender:
    """CTranslate2; its int8 covers embeddings and linear layers."""
    import ctranslate2
    from tokenizers import Tokenizer

    converted = directory.with_name(f"{directory.name}.ctranslate2-{precision}")
    if not converted.exists():
        converter = ctranslate2.converters.TransformersConverter(str(directory))
        converter.convert(str(converted), quantization=precision)
    generator: Any = ctranslate2.Generator(
        str(converted), compute_type=precision, intra_threads=torch.get_num_threads()
    )
    vocabulary = Tokenizer.from_file(str(directory / "tokenizer.json"))
    sampling = {
        "sampling_temperature": SAMPLING.temperature,
        "sampling_topk": SAMPLING.top_k,
        "sampling_topp": SAMPLING.top_p,
    }

    def run(prompt: Sequence[int], samples: int, tokens: int) -> float:
        words = [vocabulary.id_to_token(i) for i in prompt]

        def seconds(length: int) -> float:
            started = time.perf_counter()
            generator.generate_batch(
                [words] * samples,
                min_length=length,
                max_length=length,
                include_prompt_in_result=False,
                **sampling,
            )
            return time.perf_counter() - started

        # Batches are not streamed: the time of the prompt and one token is subtracted.
        return samples * (tokens - 1) / (-seconds(1) + seconds(tokens))

    return run


def llama_cpp(directory: Path, precision: Precision) -> Contender:
    """llama.cpp on a GPT-2 directory, one sample."""
    return llama_cpp_file(gguf_file(directory, precision))


@cache
def llama_cpp_file(file: Path, _: str = "") -> Contender:
    """llama.cpp on a GGUF file, one sample."""
    from llama_cpp import Llama

    threads = torch.get_num_threads()
    model: Any = Llama(
        str(file), n_ctx=0, n_threads=threads, n_threads_batch=threads, verbose=False
    )

    def steps(prompt: Sequence[int], samples: int, tokens: int) -> Iterator[object]:
        assert samples == 1
        drawn = model.generate(
            list(prompt),
            temp=SAMPLING.temperature,
            top_k=SAMPLING.top_k,
            top_p=SAMPLING.top_p,
            min_p=SAMPLING.min_p,
            repeat_penalty=1.0,
            reset=True,
        )
        yield from islice(drawn, tokens)

    return timed(steps)


@cache
def _openvino_seconds(file: Path) -> Callable[[Sequence[int], int], float]:
    """OpenVINO GenAI on a GGUF file: (prompt, tokens) → the time that they take."""
    import numpy as np
    import openvino
    import openvino_genai

    threads = torch.get_num_threads()
    model: Any = openvino_genai.LLMPipeline(str(file), "CPU", INFERENCE_NUM_THREADS=threads)
    options: Any = openvino_genai.GenerationConfig()
    options.ignore_eos = True

    def seconds(prompt: Sequence[int], tokens: int) -> float:
        options.min_new_tokens = options.max_new_tokens = tokens
        ids = np.array([prompt], np.int64)
        inputs = openvino_genai.TokenizedInputs(
            openvino.Tensor(ids), openvino.Tensor(np.ones_like(ids))
        )
        started = time.perf_counter()
        model.generate(inputs, options)
        return time.perf_counter() - started

    return seconds


def openvino(file: Path, _: str = "") -> Contender:
    """OpenVINO GenAI on a GGUF file, one sample; it draws the likeliest tokens."""
    seconds = _openvino_seconds(file)

    def run(prompt: Sequence[int], samples: int, tokens: int) -> float:
        assert samples == 1
        # The time of the prompt and one token is subtracted.
        return (tokens - 1) / (-seconds(prompt, 1) + seconds(prompt, tokens))

    return run


def openvino_prefill(file: Path, _: str = "") -> Contender:
    """OpenVINO GenAI's reading of a prompt, to the first new token."""
    seconds = _openvino_seconds(file)
    return reading(lambda prompt: seconds(prompt, 1))


_GGUF_NAMES = {
    "wte": "token_embd",
    "wpe": "position_embd",
    "ln_f": "output_norm",
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}


def _gguf_name(name: str) -> str:
    """`h.3.ln_1.bias` → `blk.3.attn_norm.bias`."""
    module, _, kind = name.removeprefix("transformer.").rpartition(".")
    if module.startswith("h."):
        _, layer, part = module.split(".", 2)
        return f"blk.{layer}.{_GGUF_NAMES[part]}.{kind}"
    return f"{_GGUF_NAMES[module]}.{kind}"


def gguf_file(directory: Path, precision: Precision) -> Path:
    """The GGUF file of a GPT-2 directory, beside it; made if it does not exist."""
    file = directory.with_name(f"{directory.name}.{precision}.gguf")
    if not file.exists():
        write_gguf(directory, file, precision)
    return file


def write_gguf(directory: Path, file: Path, precision: Precision) -> None:
    """Convert a GPT-2 directory with a tokenizer.json; matrices transposed to (out, in)."""
    import gguf
    from gguf.quants import quantize
    from safetensors import safe_open

    config = read_json(directory / "config.json")
    tokenizer = read_json(directory / "tokenizer.json")["model"]
    part = file.with_suffix(".part")
    writer = gguf.GGUFWriter(part, "gpt2")
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    names = sorted(tokenizer["vocab"], key=tokenizer["vocab"].get)
    writer.add_token_list(names)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(names))
    merges = tokenizer["merges"]
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.add_eos_token_id(config["eos_token_id"])
    with safe_open(directory / "model.safetensors", "np") as weights:
        for name in weights.keys():  # noqa: SIM118 (it is no dict)
            if name.endswith((".attn.bias", ".attn.masked_bias")):
                continue  # causal masks in old checkpoints
            tensor = weights.get_tensor(name).astype("float32")
            if ".c_" in name and tensor.ndim == 2:
                tensor = tensor.T.copy()
            if precision != "float32" and tensor.ndim == 2 and "wpe" not in name:
                kind = gguf.GGMLQuantizationType[GGUF_TYPES[precision]]
                writer.add_tensor(_gguf_name(name), quantize(tensor, kind), raw_dtype=kind)
            else:
                writer.add_tensor(_gguf_name(name), tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(file)

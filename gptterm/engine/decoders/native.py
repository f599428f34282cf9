"""Native decoders, loaded from safetensors or GGUF files.

They never import transformers, and on a CPU with kernels no torch: either import takes longer than
loading a model.
"""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from gptterm.engine.decoders.adapted_weights import AdaptedWeights
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.config_parsers.registry import parse_config
from gptterm.engine.decoders.gguf_model import read_gguf
from gptterm.engine.decoders.gguf_weights import GgufWeights
from gptterm.engine.decoders.int8_weights import Int8Weights
from gptterm.engine.decoders.kernel_backend.decoder import KernelDecoder
from gptterm.engine.decoders.kernel_backend.long_texts import SwitchingDecoder
from gptterm.engine.decoders.kernel_backend.recording import RecordableLayers
from gptterm.engine.decoders.layers import LayerMaker
from gptterm.engine.decoders.lora import Adapter
from gptterm.engine.decoders.native_decoder import Model, NativeDecoder
from gptterm.engine.decoders.weights import Weights
from gptterm.engine.gguf.families import LONG_FACTORS
from gptterm.engine.gguf.reader import GgufFile
from gptterm.engine.kernels.compiled import library
from gptterm.errors import ModelError

_Architecture = Callable[[DecoderConfig, LayerMaker], Model]

_ARCHITECTURES = {
    "openai-gpt": "gpt1.GPT1",
    "gpt2": "gpt2.GPT2",
    "gpt_neo": "gpt_neo.GPTNeo",
    "llama": "llama.Llama",
    "mistral": "llama.Mistral",
    "qwen2": "llama.Qwen2",
    "qwen3": "llama.Qwen3",
    "smollm3": "llama.SmolLM3",
    "granite": "granite.Granite",
    "olmo2": "olmo2.Olmo2",
    "phi3": "phi3.Phi3",
    "starcoder2": "starcoder2.Starcoder2",
    "gpt_neox": "gpt_neox.GPTNeoX",
    "gptj": "gptj.GPTJ",
    "phi": "phi.Phi",
    "falcon": "falcon.Falcon",
    "stablelm": "stablelm.StableLm",
    "opt": "opt.OPT",
    "bloom": "bloom.Bloom",
    "gemma": "gemma.Gemma",
    "gemma2": "gemma.Gemma2",
    "gemma3_text": "gemma.Gemma3",
}
"""Module and class by config.json's model_type: one is imported, not all, which takes 15 ms."""


def _architecture(model_type: str) -> _Architecture:
    module, name = _ARCHITECTURES[model_type].split(".")
    found: _Architecture = getattr(import_module(f"gptterm.engine.decoders.{module}"), name)
    return found


def load(
    directory: Path,
    config_json: dict[str, Any],
    device: str,
    dtype: str,
    int8_weights: Int8Weights | None = None,
    adapters: Sequence[Adapter] = (),
    context: int | None = None,
) -> NativeDecoder | None:
    """Load a model directory; None if there is no native decoder for its config.json.

    Args:
        int8_weights: supplies int8 weights; by default they are quantised now.
        adapters: merged into the weights.
        context: as `parse_config`'s.

    Raises:
        ModelError: the files are damaged, or do not hold the weights that config.json describes;
            the CPU has no kernels for the dtype; or an adapter is for another model.
    """
    switches = device == "cpu" and library() is not None
    config = parse_config(config_json, context, switches=switches)
    if config is None:
        return None
    if device != "cpu" and dtype == "int8":
        return None
    weights = Weights(directory, prefix=config.prefix)
    config = weights.settled(config)
    architecture = _architecture(config_json["model_type"])
    return _decoder(architecture, config, weights, device, dtype, int8_weights, adapters)


def load_gguf(
    file: GgufFile,
    device: str,
    dtype: str,
    adapters: Sequence[Adapter] = (),
    context: int | None = None,
) -> NativeDecoder | None:
    """Load a GGUF file; None if there is no native decoder for what it holds.

    Args:
        dtype: `auto` keeps each weight as the file holds it, on a CPU with kernels.
        adapters: merged into the weights.
        context: that is asked for, in tokens: see `parse_gguf`.

    Raises:
        ModelError: the file's tensors are not those of the model that it describes; the CPU has
            no kernels for the dtype; or an adapter is for another model.
    """
    has_kernels = device == "cpu" and library() is not None
    found = read_gguf(file, context, switches=has_kernels)
    if isinstance(found, str):
        return None
    config, weights = found.config, found.weights
    if dtype == "auto":
        dtype = "stored" if has_kernels else "float32"
    architecture = _architecture(found.model_type)
    decoder = _decoder(architecture, config, weights, device, dtype, adapters=adapters)
    longest = file.number(f"{file.text('general.architecture')}.context_length") or 0
    if longest > config.context_length:
        is_known = LONG_FACTORS in file.tensors
        decoder.notices += (
            f"texts of up to {config.context_length:,} tokens, not {longest:,}: beyond that the"
            " rotary embedding is another, which "
            + ("a longer --context asks for" if is_known else "the file does not hold"),
        )
    if found.for_long_texts:
        decoder.notices += (
            "the rotary embedding for long texts, which --context asks for: without it short ones"
            " are closer to the model's training",
        )
    # A weight that no layer asked for belongs to a variant that the page does not compute.
    return None if weights.unused else decoder


def _decoder(
    architecture: _Architecture,
    config: DecoderConfig,
    weights: Weights | GgufWeights,
    device: str,
    dtype: str,
    int8_weights: Int8Weights | None = None,
    adapters: Sequence[Adapter] = (),
) -> NativeDecoder:
    if not adapters:
        return _made(architecture, config, weights, device, dtype, int8_weights)
    adapted = AdaptedWeights(weights, config, adapters, as_stored=dtype == "stored")
    decoder = _made(architecture, adapted.config, adapted, device, dtype, int8_weights)
    adapted.check_used()
    return decoder


def _made(
    architecture: _Architecture,
    config: DecoderConfig,
    weights: Weights | GgufWeights | AdaptedWeights,
    device: str,
    dtype: str,
    int8_weights: Int8Weights | None,
) -> NativeDecoder:
    if device == "cpu" and _has_kernels(dtype):
        kernel_layers = RecordableLayers(weights, dtype, int8_weights)
        model = architecture(config, kernel_layers)
        kernel_layers.release_pages()
        if kernel_layers.switched is not None:
            rotary = kernel_layers.switched
            return SwitchingDecoder(model, kernel_layers, weights.parameters, rotary)
        return KernelDecoder(model, kernel_layers, weights.parameters)

    from gptterm.engine.decoders.torch_backend.decoder import TorchDecoder
    from gptterm.engine.decoders.torch_backend.layers import TorchLayers

    torch_layers = TorchLayers(weights, device, dtype)
    return TorchDecoder(architecture(config, torch_layers), device, dtype, weights.parameters)


def _has_kernels(dtype: str) -> bool:
    """Whether there are C kernels for this CPU; without them torch computes.

    Raises:
        ModelError: there are none, and torch is of no use for the dtype either.
    """
    if library() is not None:
        return True
    if dtype in ("int8", "float16"):
        raise ModelError(
            f"{dtype} on a CPU needs gptterm's kernels, which were not built: install a C compiler"
            " (Debian: gcc), then gptterm again; --dtype float32 works everywhere"
        )
    return False

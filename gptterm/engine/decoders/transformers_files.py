"""From config.json to a class of the transformers library, held against the weights.

The library builds what config.json says, and initialises at random what the weights lack: a file of
a megabyte can fill the memory. So the model is built on torch's meta device first, without numbers.
"""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from gptterm.engine.decoders.weights import refusing
from gptterm.engine.gguf.reader import GgufFile
from gptterm.engine.gguf.sizes import check_sizes
from gptterm.engine.runtime import transformers_import
from gptterm.engine.runtime.model_files import (
    CONFIG,
    check_side_files,
    read_json,
    weight_files,
)
from gptterm.engine.runtime.safetensors_header import read_header
from gptterm.errors import GpttermError, ModelError
from gptterm.format import byte_size, first_line, parameter_count

_TIED, _FEW = 2, 1_000_000
"""Of what the weights hold, a model has at most so many times as many numbers, and a few more."""
_PACKED = 16
"""Numbers of a quantised model in a byte of its weights, at most."""
_BUFFERS = 512_000_000
"""Bytes of tables that are computed, not stored, beside those of the weights."""


class LibraryModel(NamedTuple):
    """A model as the library is to build it."""

    auto_class: Any
    """`AutoModelForCausalLM`; for a multimodal model that has none, `AutoModelForImageTextToText`,
    which runs without images."""
    config: Any


def library_model(directory: Path) -> LibraryModel:
    """Choose the class and parse config.json; check that the weights can be those of the model.

    Raises:
        ModelError: config.json is damaged, of no class that generates text, or asks for more than
            the weights hold; or a file is none that the library should open.
    """
    check_side_files(directory)
    settings = read_json(directory / CONFIG)
    try:
        with transformers_import.transformers() as transformers:
            config_class = transformers.CONFIG_MAPPING[settings.get("model_type")]
            # JSON has no infinity: the library writes it as an object.
            config = config_class.from_dict(config_class._decode_special_floats(settings))
            auto_class = _auto_class(transformers, config)
            with torch.device("meta"):
                model = auto_class.from_config(config)
    except GpttermError:
        raise
    except Exception as error:
        raise ModelError(f"transformers cannot load {directory}: {first_line(error)}") from error
    _check_sizes(model, directory, quantised=bool(settings.get("quantization_config")))
    return LibraryModel(auto_class, config)


def check_gguf(file: GgufFile) -> None:
    """Check a GGUF file, and those that the library opens beside it.

    Raises:
        ModelError: its tensors cannot be those of the model that it describes; it is split, which
            the library does not read; or a file is none that the library should open.
    """
    if len(file.parts) > 1:
        raise ModelError(
            f"{file.path} goes through transformers, which reads no split GGUF files: merge its"
            " parts with llama-gguf-split --merge"
        )
    check_side_files(file.path.parent)
    check_sizes(file)


def _auto_class(transformers: Any, config: Any) -> Any:
    if type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        return transformers.AutoModelForCausalLM
    return transformers.AutoModelForImageTextToText


def _check_sizes(model: torch.nn.Module, directory: Path, *, quantised: bool) -> None:
    size = held = 0
    for file in weight_files(directory):
        with refusing(file):
            size += file.stat().st_size
            held += read_header(file).parameters
    numbers = sum(weight.numel() for weight in model.parameters())
    if numbers > (_PACKED * size if quantised else _TIED * held) + _FEW:
        raise ModelError(
            f"{directory}: config.json describes a model of {parameter_count(numbers)}, the weights"
            f" hold {parameter_count(held)}; the files do not belong together, fetch it again"
        )
    tables = sum(table.numel() * table.element_size() for table in model.buffers())
    if tables > _BUFFERS + size:
        raise ModelError(
            f"{directory}: config.json asks for {byte_size(tables)} of tables, for weights of"
            f" {byte_size(size)}; it is damaged: fetch the model again"
        )

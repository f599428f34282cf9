"""An engine in this process. Importing this module imports no torch; starting an engine does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gptterm.engine.api import LoadRequest, ModelInfo
from gptterm.engine.files import read_ahead, read_json
from gptterm.errors import ModelError, OutOfMemoryError

if TYPE_CHECKING:
    from gptterm.engine.decoders.base import Decoder
    from gptterm.engine.pipeline import LocalEngine


def load_engine(request: LoadRequest) -> LocalEngine:
    """Read a model's files and put it on a device.

    Raises:
        ModelError: the files are damaged or of no use, or the device is not there.
        OutOfMemoryError: no room for the weights.
    """
    started = time.perf_counter()
    source = request.source
    directory = Path(source.directory)
    config = read_json(directory / "config.json")
    if source.gguf_file is None:
        read_ahead(directory)

    from gptterm.engine.device import configure_threads
    from gptterm.engine.pipeline import LocalEngine
    from gptterm.engine.text.tokenizer_files import load_tokenizer

    configure_threads()
    tokenizer = load_tokenizer(directory, source.gguf_file)
    decoder, name = _load_decoder(request, directory, config)
    info = ModelInfo(
        name=source.name,
        revision=source.revision,
        architecture=decoder.architecture,
        decoder=name,
        device=decoder.device,
        dtype=decoder.dtype,
        parameters=decoder.parameters,
        context_length=decoder.context_length,
        vocab_size=decoder.vocab_size,
        has_chat_template=tokenizer.chat_template is not None,
        load_s=time.perf_counter() - started,
        notices=source.notices,
    )
    return LocalEngine(decoder, tokenizer, info)


def _load_decoder(
    request: LoadRequest, directory: Path, config: dict[str, Any]
) -> tuple[Decoder, Literal["native", "transformers"]]:
    """The GPT family gets a native decoder, every other architecture the transformers library's."""
    from gptterm.engine.decoders import native
    from gptterm.engine.decoders.weights import stored_weights
    from gptterm.engine.device import is_out_of_memory, select_device, select_dtype

    device = select_device(request.device)
    gguf_file = request.source.gguf_file
    dtype = request.dtype
    if dtype == "auto":
        stored, size = stored_weights(directory, gguf_file)
        dtype = select_dtype(device, stored, size)
    try:
        decoder = native.load(directory, config, device, dtype) if gguf_file is None else None
        if decoder is not None:
            return decoder, "native"
        if dtype == "int8":
            raise ModelError("int8 is for models with a native decoder on the CPU; use another")
        from gptterm.engine.decoders.transformers import TransformersDecoder

        return TransformersDecoder.load(directory, device, dtype, gguf_file), "transformers"
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemoryError(
                f"no room for the weights on {device}; a smaller model or --dtype may fit"
            ) from error
        raise

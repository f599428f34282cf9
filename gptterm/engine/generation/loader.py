"""Load an engine into this process. Importing this module does not import torch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Literal

from gptterm.engine.api import Dtype, LoadRequest, ModelInfo
from gptterm.engine.decoders.config import SHORTEST_CONTEXT
from gptterm.engine.gguf.reader import GgufFile, read_header
from gptterm.engine.gguf_parts import part_paths
from gptterm.engine.item_sizes import item_size
from gptterm.engine.quantization import conversion_cache
from gptterm.engine.runtime.memory_bounds import converted_size, is_spread
from gptterm.engine.runtime.model_files import read_ahead, read_json, weight_files
from gptterm.errors import ModelError, OutOfMemoryError

if TYPE_CHECKING:
    from gptterm.engine.decoders.base import Decoder
    from gptterm.engine.decoders.lora import Adapter
    from gptterm.engine.generation.engine import LocalEngine
    from gptterm.engine.quantization.conversion_cache import Conversion
    from gptterm.engine.text.tokenizer import Tokenizer


_KV_IGNORED = (
    "--kv-dtype {} is for models with a decoder of gptterm's own, on the CPU; the KV cache of this"
    " one is kept in {}"
)


def load_engine(request: LoadRequest) -> LocalEngine:
    """Load a model's files onto a device.

    Raises:
        ModelError: the files are damaged or unsupported, or the device is not available.
        OutOfMemoryError: no room for the weights.
    """
    started = time.perf_counter()
    source = request.source
    directory = Path(source.directory)
    # A GGUF file is one file: its neighbours say nothing about it.
    config: dict[str, Any] = {}
    conversion = None
    if source.gguf_file is None:
        config = read_json(directory / "config.json")
        if not request.adapters:
            conversion = conversion_cache.find_for(directory, request.dtype)
        read_ahead([conversion.path] if conversion else weight_files(directory))
    else:
        read_ahead(part_paths(directory / source.gguf_file))

    reading = _TokenizerReading(directory, source.gguf_file)

    from gptterm.engine.decoders import native  # noqa: F401 (imported beside the reading)
    from gptterm.engine.generation.engine import LocalEngine
    from gptterm.engine.runtime.memory import trim

    tokenizer = reading.result()
    trim()
    decoder, name, fidelity_kl = _load_decoder(request, config, tokenizer, reading.gguf, conversion)
    if request.context is not None:
        decoder.limit_context(request.context)
    keeps = request.kv_dtype == "auto" or decoder.keep_cache_in(request.kv_dtype)
    if decoder.context_length < SHORTEST_CONTEXT:
        raise ModelError(f"{source.name} has a context of one token, without room for a reply")
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
        fills_middle=tokenizer.infill is not None,
        fidelity_kl=fidelity_kl,
        kv_dtype=decoder.cache_dtype,
        kv_fidelity_kl=_kv_fidelity(request, decoder, tokenizer),
        cache_bytes_per_token=decoder.cache_bytes_per_token,
        adapters=tuple(map(str, request.adapters)),
        load_s=time.perf_counter() - started,
        notices=(
            *source.notices,
            *tokenizer.notices,
            *decoder.notices,
            *_shorter(config, name),
            *(() if keeps else (_KV_IGNORED.format(request.kv_dtype, decoder.cache_dtype),)),
        ),
    )
    return LocalEngine(decoder, tokenizer, info)


def _kv_fidelity(request: LoadRequest, decoder: Decoder, tokenizer: Tokenizer) -> float | None:
    """Fidelity of a KV cache in int8; None in other dtypes."""
    from gptterm.engine.decoders.native_decoder import NativeDecoder
    from gptterm.engine.quantization.kv_fidelity import kv_fidelity

    if decoder.cache_dtype != "int8" or not isinstance(decoder, NativeDecoder):
        return None
    return kv_fidelity(request, decoder, tokenizer)


def _shorter(config: dict[str, Any], decoder: str) -> Iterator[str]:
    """Say so if a model would have a native decoder with a shorter context."""
    from gptterm.engine.decoders.config_parsers.registry import parse_config, why_not_native

    if decoder == "native" or parse_config(config, SHORTEST_CONTEXT) is None:
        return
    if reason := why_not_native(config, switches=False):
        yield f"the transformers library computes it: {reason}"


class _TokenizerReading(Thread):
    """Loads a tokenizer in a thread: its library parses a large file without the GIL.

    Attributes:
        gguf: once there is a result, the header of a GGUF file: a vocabulary is most of it, so it
            is read once for all.
    """

    def __init__(self, directory: Path, gguf_file: str | None) -> None:
        super().__init__(name="tokenizer", daemon=True)
        self._directory, self._gguf_file = directory, gguf_file
        self.gguf: GgufFile | None = None
        self._tokenizer: Tokenizer | None = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            from gptterm.engine.text.tokenizer_files import load_tokenizer

            if self._gguf_file is not None:
                self.gguf = read_header(self._directory / self._gguf_file)
            self._tokenizer = load_tokenizer(self._directory, self.gguf)
        except BaseException as error:
            self._error = error

    def result(self) -> Tokenizer:
        """Wait for the tokenizer; raises what loading it raised."""
        self.join()
        if self._error is not None:
            raise self._error
        assert self._tokenizer is not None
        return self._tokenizer


def _load_decoder(
    request: LoadRequest,
    config: dict[str, Any],
    tokenizer: Tokenizer,
    gguf: GgufFile | None,
    conversion: Conversion | None,
) -> tuple[Decoder, Literal["native", "transformers"], float | None]:
    """Load a native decoder where there is one, and one of the transformers library otherwise.

    On a CPU, a conversion takes the place of the model's own weights.

    With the decoder comes what int8 weights cost in fidelity; None for other dtypes.
    """
    from gptterm.engine.decoders import native
    from gptterm.engine.decoders.config_parsers.registry import parse_config
    from gptterm.engine.decoders.lora import read_adapter
    from gptterm.engine.quantization.load import load_int8
    from gptterm.engine.runtime.device import is_out_of_memory, select_device

    device = select_device(request.device)
    directory = Path(request.source.directory)
    try:
        dtype = request.dtype
        adapters = [read_adapter(source) for source in request.adapters]
        if gguf is not None:
            return _load_gguf(gguf, device, dtype, adapters, request.context)
        # A quantised model is computed in the dtype that its config.json names.
        quantised_by_library = bool(config.get("quantization_config"))
        if dtype == "auto" and not quantised_by_library:
            dtype = _auto(device, directory, conversion)
        # A native decoder runs on one device; the library spreads a model over several.
        spread = False
        if not quantised_by_library and parse_config(config, request.context) is not None:
            spread = is_spread(_needed(directory, device, dtype, conversion), device)
        if dtype == "int8":
            quantised = None
            if device == "cpu":
                quantised = load_int8(
                    directory, config, tokenizer, conversion, adapters, request.context
                )
            if quantised is None:
                raise ModelError(
                    "int8 is for models with a decoder of gptterm's own, on the CPU"
                    " (`gptterm models info` tells which has one); try --dtype bfloat16"
                )
            return quantised[0], "native", quantised[1]
        if not (quantised_by_library or spread):
            decoder = native.load(
                directory, config, device, dtype, adapters=adapters, context=request.context
            )
            if decoder is not None:
                return decoder, "native", None
        from gptterm.engine.decoders.transformers_decoder import TransformersDecoder

        library_decoder = TransformersDecoder.load(directory, device, dtype, adapters=adapters)
        return library_decoder, "transformers", None
    except Exception as error:
        if is_out_of_memory(error):
            raise OutOfMemoryError(
                f"no room for the weights on {device}; a smaller model or --dtype may fit"
            ) from error
        raise


def _needed(directory: Path, device: str, dtype: str, conversion: Conversion | None) -> int:
    """Bytes that the weights of a native decoder take, besides files that are mapped."""
    from gptterm.engine.decoders.weights import stored_weights

    stored, size = stored_weights(directory)
    is_converted = dtype == "int8" and conversion is not None
    is_mapped = device == "cpu" and (is_converted or dtype == stored == "float32")
    return 0 if is_mapped else converted_size(size, stored, dtype)


def _load_gguf(
    file: GgufFile,
    device: str,
    dtype: Dtype,
    adapters: Sequence[Adapter],
    context: int | None,
) -> tuple[Decoder, Literal["native", "transformers"], None]:
    """Load a GGUF file: natively where its family has a decoder, else by transformers."""
    from gptterm.engine.decoders import native
    from gptterm.engine.decoders.weights import stored_gguf
    from gptterm.engine.runtime.device import select_dtype

    if dtype == "int8":
        raise ModelError(
            "int8 converts the weights of a Hugging Face folder; a GGUF file runs in the types that"
            " it holds: leave --dtype at auto"
        )
    if dtype == "auto" and device != "cpu":
        dtype = select_dtype(device, *stored_gguf(file))
    needed = file.size if dtype == "auto" else file.parameters * item_size(dtype)
    if not is_spread(needed, device):
        decoder = native.load_gguf(file, device, dtype, adapters, context)
        if decoder is not None:
            return decoder, "native", None
    from gptterm.engine.decoders.transformers_decoder import TransformersDecoder

    if dtype == "auto":
        dtype = select_dtype(device, *stored_gguf(file))
    directory = file.path.parent
    library_decoder = TransformersDecoder.load(directory, device, dtype, file, adapters)
    return library_decoder, "transformers", None


def _auto(device: str, directory: Path, conversion: Conversion | None) -> Dtype:
    """Resolve `auto`: int8 if the user has converted the model for it."""
    from gptterm.engine.decoders.weights import stored_weights
    from gptterm.engine.runtime.device import select_dtype

    if device == "cpu" and conversion is not None:
        return "int8"
    stored, size = stored_weights(directory)
    return select_dtype(device, stored, size)

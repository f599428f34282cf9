"""Decoder for any causal LM of the transformers library."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gptterm.engine.decoders.base import BatchedCache, Cache, Ids, Logits
from gptterm.engine.decoders.lora import Adapter
from gptterm.engine.decoders.tap import Floats, Tap
from gptterm.engine.decoders.transformers_adapters import merge
from gptterm.engine.decoders.transformers_cache import (
    BatchedTransformersCache,
    TransformersCache,
)
from gptterm.engine.decoders.transformers_check import check
from gptterm.engine.decoders.transformers_files import check_gguf, library_model
from gptterm.engine.decoders.transformers_observation import Observation
from gptterm.engine.decoders.weights import stored_weights
from gptterm.engine.gguf.reader import GgufFile
from gptterm.engine.item_sizes import item_size
from gptterm.engine.runtime import transformers_import
from gptterm.engine.runtime.device import configure_threads, is_out_of_memory
from gptterm.engine.runtime.memory_bounds import converted_size, is_spread
from gptterm.errors import ModelError
from gptterm.format import first_line

_PREFILL_CHUNK = 256


class TransformersDecoder:
    """Decoder on a model that `AutoModelForCausalLM` loads.

    Attributes:
        notices: what a user should know about how the model runs.

    Raises:
        ModelError: it is no causal language model, or fails over a few tokens.
    """

    supports_speculation = False

    def __init__(self, model: Any, device: str, dtype: str) -> None:
        config = model.config.get_text_config()
        self._model = model
        length = _context_length(config)
        checked = check(model, length)
        self._feeding = checked.feeding
        self.notices = (*spread_notices(model), *checked.notices)
        self.device = device
        self.dtype = self.cache_dtype = dtype
        self.architecture = type(model).__name__
        self.vocab_size = int(model.get_input_embeddings().weight.shape[0])
        self.context_length = min(length, checked.positions or length)
        # A prompt in one pass, where more than one token after others would lose the state.
        self.prefill_chunk = length if self._feeding.one_by_one else _PREFILL_CHUNK
        self.parameters = int(model.num_parameters())
        self.cache_bytes_per_token = checked.cache_bytes_per_token
        self._observation = Observation(model)
        self.num_layers = self._observation.num_layers
        self.num_heads = self._observation.num_heads

    def limit_context(self, length: int) -> None:
        """See `Decoder.limit_context`."""
        self.context_length = min(self.context_length, length)

    def keep_cache_in(self, dtype: str) -> bool:
        """See `Decoder.keep_cache_in`."""
        return dtype == self.cache_dtype

    @classmethod
    def load(
        cls,
        directory: Path,
        device: str,
        dtype: str,
        gguf: GgufFile | None = None,
        adapters: Sequence[Adapter] = (),
    ) -> "TransformersDecoder":
        """Load a model directory: safetensors or GGUF only, never code of the repository.

        Args:
            dtype: `auto` is the one that config.json names, for quantised models.
            adapters: merged into the weights.

        Raises:
            ModelError: the library cannot load it; or an adapter is for another model.
            OutOfMemoryError: no room for the weights.
        """
        configure_threads()
        options: dict[str, Any] = {"gguf_file": gguf and gguf.path.name}
        found = None
        if gguf is None:
            found = library_model(directory)
            options = {"config": found.config}
        else:
            check_gguf(gguf)
        try:
            with transformers_import.transformers() as transformers:
                auto_class = found.auto_class if found else transformers.AutoModelForCausalLM
                model, report = auto_class.from_pretrained(
                    directory,
                    output_loading_info=True,
                    dtype=dtype if dtype == "auto" else getattr(torch, dtype),
                    use_safetensors=None if gguf else True,
                    trust_remote_code=False,
                    local_files_only=True,
                    **placement(_needed(directory, dtype, gguf), device),
                    **options,
                )
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise ModelError(
                f"transformers cannot load {directory}: {first_line(error)}"
            ) from error
        # The library would initialise them at random.
        wanting = [*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])]
        if wanting:
            raise ModelError(
                f"{directory} lacks the weight {min(wanting)}, or has it in another shape;"
                " fetch the model again"
            )
        quantised = _quantization(model)
        if not quantised and dtype != "auto":
            model.to(getattr(torch, dtype))  # dequantised weights come in one of their own
        merge(model, adapters)
        return cls(model.eval(), device, quantised or str(model.dtype).removeprefix("torch."))

    def new_cache(self) -> TransformersCache:
        return TransformersCache(self._feeding)

    def new_batched_cache(self) -> BatchedTransformersCache:
        return BatchedTransformersCache()

    @torch.inference_mode()
    def forward(self, ids: Ids, cache: Cache | BatchedCache, *, last: int = 1) -> Logits | None:
        given = torch.from_numpy(ids)
        if isinstance(cache, BatchedTransformersCache):
            logits: Tensor | None = cache.forward(given, self._feed)
        else:
            assert isinstance(cache, TransformersCache)
            logits = self._feed(given, cache, last=last)
        return None if logits is None else logits.cpu().numpy()

    @torch.inference_mode()
    def observe(self, ids: Ids, cache: Cache, tap: Tap) -> None:
        """See `Observable.observe`."""
        assert isinstance(cache, TransformersCache)
        count = ids.shape[1]
        with self._observation.tapped(tap, count, cache.length + count) as more:
            # With the logits, which a model without a state would put off.
            cache.feed(torch.from_numpy(ids), 1, more)

    def unembed(self, residual: Floats) -> Logits:
        """See `Observable.unembed`."""
        return self._observation.unembed(residual)

    @property
    def attention_refusal(self) -> str:
        """See `Observable.attention_refusal`."""
        return self._observation.attention_refusal

    @property
    def lens_refusal(self) -> str:
        """See `Observable.lens_refusal`."""
        return self._observation.lens_refusal

    def _feed(self, ids: Tensor, cache: TransformersCache, *, last: int = 1) -> Tensor | None:
        length = cache.length + ids.shape[1]
        if length > self.context_length:
            raise ValueError(f"{length} tokens exceed the model's {self.context_length} positions")
        logits = cache.feed(ids, last)
        return None if logits is None else logits.flatten(0, 1).float()


def _quantization(model: Any) -> str:
    """Form of a quantised model's weights, such as `bitsandbytes 8-bit`; empty for others."""
    settings = getattr(model.config, "quantization_config", None)
    if settings is None or not getattr(model, "is_quantized", True):
        return ""
    values = settings if isinstance(settings, dict) else settings.to_dict()
    if values.get("dequantize"):
        return ""
    method = getattr(values.get("quant_method"), "value", values.get("quant_method"))
    bits = values.get("bits")
    if values.get("load_in_4bit") or values.get("load_in_8bit"):
        bits = 4 if values.get("load_in_4bit") else 8
    return f"{method} {bits}-bit" if bits else str(method or "quantised")


def _context_length(config: Any) -> int:
    for name in (
        "max_position_embeddings",
        "n_positions",
        "n_ctx",
        "max_target_positions",
        "max_seq_len",
        "seq_length",
        "context_length",
    ):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    # Recurrent models have no limit; this one bounds memory.
    return 8192


def _needed(directory: Path, dtype: str, gguf: GgufFile | None) -> int:
    """Bytes that the weights take; those of a model that the library has quantised, as stored."""
    if gguf is not None:
        return gguf.parameters * item_size(dtype)
    stored, size = stored_weights(directory)
    return converted_size(size, stored, dtype)


def placement(needed: int, device: str) -> dict[str, Any]:
    """`device_map` for from_pretrained: one device if the weights fit, otherwise several.

    Raises:
        OutOfMemoryError: they do not fit all of them.
    """
    return {"device_map": "auto" if is_spread(needed, device) else {"": device}}


def spread_notices(model: Any) -> tuple[str, ...]:
    """A line on where the parts of a model are, if that is not one device."""
    places: dict[str, None] = dict.fromkeys(map(str, getattr(model, "hf_device_map", {}).values()))
    if len(places) < 2:
        return ()
    names = ", ".join(f"cuda:{x}" if x.isdecimal() else x for x in places)
    return (f"too large for one device: spread over {names}, and slower for it",)

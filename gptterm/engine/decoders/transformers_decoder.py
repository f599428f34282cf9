"""Decoder for any causal LM of the transformers library."""

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gptterm.engine.decoders.base import BatchedCache, Cache, Ids, Logits
from gptterm.engine.decoders.transformers_cache import (
    BatchedTransformersCache,
    RecomputingCache,
    TransformersCache,
)
from gptterm.engine.decoders.transformers_files import check_gguf, library_model
from gptterm.engine.runtime import transformers_import
from gptterm.engine.runtime.device import configure_threads, is_out_of_memory
from gptterm.errors import ModelError
from gptterm.format import first_line

_PREFILL_CHUNK = 256
_STATE_IN_MODULES = ("recurrent_gemma",)
"""Models that hold their state in modules, not in a cache that could be copied."""


class TransformersDecoder:
    """Decoder on a model that `AutoModelForCausalLM` loads."""

    supports_speculation = False
    notices: tuple[str, ...] = ()

    def __init__(self, model: Any, device: str, dtype: str) -> None:
        self._model = model
        self._parameters = inspect.signature(model.forward).parameters
        self._cache_name = _cache_name(model, self._parameters)
        self._recurrent = self._cache_name is not None and _is_recurrent(model, self._past())
        config = model.config.get_text_config()
        self.device = device
        self.dtype = dtype
        self.architecture = type(model).__name__
        self.vocab_size = int(model.get_input_embeddings().weight.shape[0])
        self.context_length = _context_length(config)
        # Several of the library's models lose a recurrent state if more than one token follows it.
        self.prefill_chunk = self.context_length if self._recurrent else _PREFILL_CHUNK
        self.parameters = sum(p.numel() for p in model.parameters())
        self.cache_bytes_per_token = (
            _cache_numbers_per_token(config) * getattr(torch, dtype).itemsize
        )

    @classmethod
    def load(
        cls, directory: Path, device: str, dtype: str, gguf_file: str | None = None
    ) -> "TransformersDecoder":
        """Load a model directory: safetensors or GGUF only, never code of the repository.

        Raises:
            ModelError: the library cannot load it.
        """
        configure_threads()
        options: dict[str, Any] = {"gguf_file": gguf_file}
        found = None
        if gguf_file is None:
            found = library_model(directory)
            options = {"config": found.config}
        else:
            check_gguf(directory / gguf_file)
        try:
            with transformers_import.transformers() as transformers:
                auto_class = found.auto_class if found else transformers.AutoModelForCausalLM
                model, report = auto_class.from_pretrained(
                    directory,
                    output_loading_info=True,
                    dtype=getattr(torch, dtype),
                    use_safetensors=None if gguf_file else True,
                    trust_remote_code=False,
                    local_files_only=True,
                    **_placement(directory, device),
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
        return cls(model.eval(), device, dtype)

    def new_cache(self) -> TransformersCache | RecomputingCache:
        if self._cache_name is None:
            return RecomputingCache()
        return TransformersCache(self._past)

    def new_batched_cache(self) -> BatchedTransformersCache:
        return BatchedTransformersCache()

    def _past(self) -> Any:
        with transformers_import.transformers() as transformers:
            return transformers.DynamicCache(config=self._model.config)

    @torch.inference_mode()
    def forward(self, ids: Ids, cache: Cache | BatchedCache, *, last: int = 1) -> Logits | None:
        given = torch.from_numpy(ids)
        if isinstance(cache, BatchedTransformersCache):
            logits: Tensor | None = cache.forward(given, self._feed)
        else:
            assert isinstance(cache, TransformersCache | RecomputingCache)
            logits = self._feed(given, cache, last=last)
        return None if logits is None else logits.cpu().numpy()

    def _feed(
        self, ids: Tensor, cache: TransformersCache | RecomputingCache, *, last: int = 1
    ) -> Tensor | None:
        n = ids.shape[1]
        if cache.length + n > self.context_length:
            raise ValueError(
                f"{cache.length + n} tokens exceed the model's {self.context_length} positions"
            )
        if self._recurrent and cache.length > 0 and n > 1:
            for i in range(n - 1):
                self._feed(ids[:, i : i + 1], cache, last=0)
            return self._feed(ids[:, -1:], cache, last=min(last, 1))
        arguments: dict[str, Any] = {}
        if isinstance(cache, RecomputingCache):
            cache.ids = ids = torch.cat([cache.ids, ids.to(cache.ids.device)], dim=1)
            if last == 0:  # the next pass feeds these ids again
                return None
        elif self._cache_name is not None:
            arguments = {self._cache_name: cache.past, "use_cache": True}
        if "logits_to_keep" in self._parameters:
            arguments["logits_to_keep"] = max(last, 1)
        device = self._model.get_input_embeddings().weight.device
        output = self._model(ids.to(device), **arguments)
        if isinstance(cache, TransformersCache):
            cache.length += n
        return output.logits[:, -last:].flatten(0, 1).float() if last else None


def _cache_name(model: Any, parameters: Iterable[str]) -> str | None:
    """The argument of a model's forward pass that takes its cache; None if there is none."""
    if not getattr(model, "_supports_default_dynamic_cache", lambda: True)():
        return None
    if model.config.model_type in _STATE_IN_MODULES:
        return None
    names = ("past_key_values", "cache_params")
    return next((name for name in names if name in parameters), None)


def _is_recurrent(model: Any, past: Any) -> bool:
    """Whether layers of the cache hold a recurrent state."""
    # LFM2's convolution layers look like it, but hold only the inputs that a convolution reaches.
    types = getattr(model.config.get_text_config(), "layer_types", None) or ()
    return "conv" not in types and any(hasattr(x, "recurrent_states") for x in past.layers)


def _context_length(config: Any) -> int:
    for name in (
        "max_position_embeddings",
        "n_positions",
        "n_ctx",
        "max_seq_len",
        "seq_length",
        "context_length",
    ):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    # Recurrent models have no limit; this one bounds memory.
    return 8192


def _cache_numbers_per_token(config: Any) -> int:
    """Size of full attention in every layer; an upper bound for models with less."""
    heads = getattr(config, "num_attention_heads", None) or 1
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    return int(2 * config.num_hidden_layers * kv_heads * head_dim)


def _placement(directory: Path, device: str) -> dict[str, Any]:
    """`device_map` for from_pretrained: one device if the weights fit, otherwise several."""
    if device.startswith("cuda"):
        size = sum(f.stat().st_size for f in directory.glob("*.safetensors"))
        free, _ = torch.cuda.mem_get_info(device)
        if size > 0.9 * free:
            return {"device_map": "auto"}
    return {"device_map": {"": device}}

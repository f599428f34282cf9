"""Any causal LM of the transformers library, behind the same interface as the native decoders."""

import copy
import inspect
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gptterm.engine import library
from gptterm.engine.decoders.base import Cache
from gptterm.engine.device import is_out_of_memory
from gptterm.errors import ModelError


class LibraryCache:
    """The library's own cache object, or the ids themselves for a model that has none (GPT-1)."""

    def __init__(self, past: Any | None) -> None:
        self.past = past
        self.ids: Tensor | None = None
        self.length = 0

    def crop(self, length: int) -> int:
        remove = self.length - length
        if remove <= 0:
            return self.length
        if self.past is None:
            assert self.ids is not None
            self.ids = self.ids[:, :length]
        else:
            try:
                self.past.crop(-remove)
            except (AttributeError, NotImplementedError, RuntimeError, ValueError):
                # Recurrent states and sliding windows cannot go back: begin anew.
                self.past = _new_past()
                length = 0
        self.length = length
        return length

    def fork(self, rows: int, capacity: int) -> "LibraryCache":  # noqa: ARG002 (it grows by itself)
        forked = LibraryCache(copy.deepcopy(self.past))
        forked.length = self.length
        if self.past is None:
            forked.ids = None if self.ids is None else self.ids.repeat(rows, 1)
        else:
            forked.past.batch_repeat_interleave(rows)  # type: ignore[union-attr]
        return forked

    def select(self, rows: list[int]) -> None:
        if self.past is None:
            assert self.ids is not None
            self.ids = self.ids[rows]
        else:
            device = next(
                (layer.keys.device for layer in self.past.layers if layer.keys is not None), "cpu"
            )
            self.past.batch_select_indices(torch.tensor(rows, device=device))


def _new_past() -> Any:
    with library.transformers() as transformers:
        return transformers.DynamicCache()


class TransformersDecoder:
    """A model loaded by `AutoModelForCausalLM`."""

    def __init__(self, model: Any, device: str, dtype: str) -> None:
        self._model = model
        self._parameters = inspect.signature(model.forward).parameters
        config = model.config.get_text_config()
        self.device = device
        self.dtype = dtype
        self.architecture = type(model).__name__
        self.vocab_size = int(model.get_output_embeddings().weight.shape[0])
        self.context_length = _context_length(config)
        self.parameters = sum(p.numel() for p in model.parameters())

    @classmethod
    def load(
        cls, directory: Path, device: str, dtype: str, gguf_file: str | None = None
    ) -> "TransformersDecoder":
        """Read a model directory. Only safetensors and GGUF, never the repository's own code.

        Raises:
            ModelError: the library cannot load it.
        """
        options: dict[str, Any] = {"gguf_file": gguf_file} if gguf_file else {}
        try:
            with library.transformers() as transformers:
                model = transformers.AutoModelForCausalLM.from_pretrained(
                    directory,
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
                f"transformers cannot load {directory}: {library.reason(error)}"
            ) from error
        return cls(model.eval(), device, dtype)

    def new_cache(self) -> LibraryCache:
        return LibraryCache(_new_past() if "past_key_values" in self._parameters else None)

    @torch.inference_mode()
    def forward(self, ids: Tensor, cache: Cache, *, logits: bool = True) -> Tensor | None:
        assert isinstance(cache, LibraryCache)
        n = ids.shape[1]
        if cache.length + n > self.context_length:
            raise ValueError(
                f"{cache.length + n} tokens exceed the model's {self.context_length} positions"
            )
        ids = ids.to(self._model.get_input_embeddings().weight.device)
        arguments: dict[str, Any] = {}
        if cache.past is not None:
            arguments |= {"past_key_values": cache.past, "use_cache": True}
        else:
            cache.ids = ids if cache.ids is None else torch.cat([cache.ids, ids], dim=1)
            if not logits:  # without a cache nothing is gained by an earlier pass
                cache.length += n
                return None
            ids = cache.ids
        if "logits_to_keep" in self._parameters:
            arguments["logits_to_keep"] = 1
        output = self._model(ids, **arguments)
        cache.length += n
        return output.logits[:, -1].float() if logits else None


def _context_length(config: Any) -> int:
    for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"):
        value = getattr(config, name, None)
        if isinstance(value, int) and value > 0:
            return value
    # Recurrent models have no limit of their own; this one keeps memory in bounds.
    return 8192


def _placement(directory: Path, device: str) -> dict[str, Any]:
    """`device_map` for from_pretrained: one device if the weights fit there, else spread out."""
    if device.startswith("cuda"):
        size = sum(f.stat().st_size for f in directory.glob("*.safetensors"))
        free, _ = torch.cuda.mem_get_info(device)
        if size > 0.9 * free:
            return {"device_map": "auto"}
    return {"device_map": {"": device}}

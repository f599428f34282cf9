"""Weights of a model with LoRA adapters merged into them."""

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec.structs import replace

from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.gguf_weights import GgufWeights
from gptterm.engine.decoders.lora import Adapter, Change
from gptterm.engine.decoders.weights import Weights
from gptterm.engine.stored_tensor import BlockTensor, StoredTensor
from gptterm.errors import ModelError
from gptterm.format import escaped


class AdaptedWeights:
    """Weights by name, those that adapters change in float32; see `Weights`, whose protocol it is.

    Merged, not applied at each step: products of rank 8 beside SmolLM2-135M's 210 layers take
    1.3 ms, and a step takes 10. Weights are merged before they are rounded or quantised to what the
    model runs in. Those of a GGUF file's blocks, which would have to be rounded to their few bits
    again, become blocks of 8 bits: KL 0.004 nats a token from float32, where the file's own blocks
    without an adapter have 0.003.

    Args:
        config: of the weights; becomes `config` here.
        adapters: several add up.
        as_stored: keep the dtype of weights in 16 bits, and blocks in blocks.

    Attributes:
        config: with a head of its own, where the model shares the token embedding's weights and an
            adapter changes one of the two: the other stays, as in peft.

    Raises:
        ModelError: an adapter is for another model; or two of them replace the same weights.
    """

    def __init__(
        self,
        weights: Weights | GgufWeights,
        config: DecoderConfig,
        adapters: Sequence[Adapter],
        *,
        as_stored: bool,
    ) -> None:
        self._weights = weights
        self._as_stored = as_stored
        self._changes: dict[str, list[Change]] = {}
        self._whole: dict[str, StoredTensor] = {}
        self._used: set[str] = set()
        self._changed_by: dict[str, str] = {}
        """Names of adapters, by the tensor that they change first."""
        shared = config.token_embedding if config.tie_word_embeddings else None
        self._stand_ins = {config.own_head: config.token_embedding} if shared else {}
        for adapter in adapters:
            self._add(adapter, config)
        changed = self._changes.keys() | self._whole.keys()
        if shared and not changed & {config.token_embedding, config.own_head}:
            self._stand_ins = {}
        elif shared:
            config = replace(config, tie_word_embeddings=False)
        self.config = config

    def _add(self, adapter: Adapter, config: DecoderConfig) -> None:
        for full_name, change in adapter.changes.items():
            name = full_name.removeprefix(config.prefix)
            is_stored_by_input = config.input_first and name.startswith(f"{config.blocks}.")
            turned = change.T if is_stored_by_input else change
            self._hold(adapter, full_name, name, turned.shape)
            self._changes.setdefault(name, []).append(turned)
        for full_name, tensor in adapter.whole.items():
            name = full_name.removeprefix(config.prefix)
            self._hold(adapter, full_name, name, tensor.shape)
            if name in self._whole:
                raise ModelError(f"two adapters replace {escaped(name)}; give one of them")
            if not self._is_the_same(name, tensor):
                self._whole[name] = tensor

    def _hold(self, adapter: Adapter, full_name: str, name: str, shape: tuple[int, ...]) -> None:
        """Hold what an adapter changes against the model's weights."""
        self._changed_by.setdefault(name, adapter.name)
        found = self._weights.shape_of(self._stand_ins.get(name, name))
        if found != shape:
            raise adapter.misfit(full_name, shape, found)

    def _is_the_same(self, name: str, tensor: StoredTensor) -> bool:
        """Whether a tensor is the model's own: peft may save embeddings that were not trained."""
        name = self._stand_ins.get(name, name)
        own = self._weights.get(name, *tensor.shape)
        return own.dtype == tensor.dtype and np.array_equal(own.array, tensor.array)

    def get(self, name: str, *shape: int) -> StoredTensor:
        """A tensor, of the shape that the model's configuration promises.

        Raises:
            ModelError: it is missing, or has another shape.
        """
        self._used.add(name)
        own = self._weights.get(self._stand_ins.get(name, name), *shape)
        tensor, changes = self._whole.get(name, own), self._changes.get(name, ())
        if not changes:
            return tensor
        merged = np.array(tensor.converted("float32"))
        for change in changes:
            change.add_to(merged)
        result = StoredTensor(merged, "float32")
        if not self._as_stored:
            return result
        if isinstance(own, BlockTensor):
            return _as_blocks(result, own)
        if own.dtype in ("float16", "bfloat16"):
            return StoredTensor(result.converted(own.dtype), own.dtype)
        return result

    def check_used(self) -> None:
        """Hold the adapters against the layers that were made.

        Raises:
            ModelError: one changes weights that the model does not compute with.
        """
        unused = (self._changes.keys() | self._whole.keys()) - self._used
        if unused:
            name = min(unused)
            raise ModelError(
                f"the adapter {self._changed_by[name]} changes {escaped(name)}, with which this"
                " model does not compute"
            )

    def __iter__(self) -> Iterator[StoredTensor]:
        return iter(self._weights)

    @property
    def parameters(self) -> int:
        """Elements of all tensors that `get` returned, adapters aside; tied ones count once."""
        return self._weights.parameters

    @property
    def main_type(self) -> str:
        """The dtype, or ggml's type, that holds the most numbers."""
        return self._weights.main_type


def _as_blocks(merged: StoredTensor, own: BlockTensor) -> BlockTensor:
    """A merged matrix in place of one in blocks, which the layer's maker packs in 8 bits."""
    rows = merged.array.T if own.is_transposed else merged.array
    data = np.ascontiguousarray(rows).view(np.uint8)
    blocks = BlockTensor(
        data, f"{own.dtype} with an adapter", own.width, lambda rows: rows.view(np.float32)
    )
    return blocks.T if own.is_transposed else blocks

"""LoRA adapters merged into a model of the transformers library."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gptterm.engine.decoders.lora import Adapter, Change
from gptterm.engine.decoders.torch_backend.layers import as_torch
from gptterm.engine.stored_tensor import StoredTensor
from gptterm.errors import ModelError
from gptterm.format import escaped


def merge(model: Any, adapters: Sequence[Adapter]) -> None:
    """Merge adapters into a model's weights, in float32, then rounded to their dtype.

    Raises:
        ModelError: an adapter is for another model, or for weights that cannot be changed: those of
            a quantised layer, or on a disk.
    """
    with torch.no_grad():
        for adapter in adapters:
            # All are looked at before one is changed.
            for target in list(_targets(model, adapter)):
                target.merge(model)


class _Target(NamedTuple):
    """Weights of a layer, and what an adapter makes of them."""

    layer: nn.Module
    attribute: str
    change: Change | StoredTensor

    def merge(self, model: Any) -> None:
        weight: nn.Parameter = getattr(self.layer, self.attribute)
        sharing = [x for x in model.modules() if getattr(x, self.attribute, None) is weight]
        if isinstance(self.change, StoredTensor):
            merged = as_torch(self.change).to(weight.device, weight.dtype, copy=True)
        else:
            whole = weight.detach().to("cpu", torch.float32, copy=True)
            self.change.add_to(whole.numpy())
            merged = whole.to(weight.device, weight.dtype)
        if len(sharing) > 1:  # the other keeps its weights, as in peft
            setattr(self.layer, self.attribute, nn.Parameter(merged, requires_grad=False))
        else:
            weight.copy_(merged)


def _targets(model: Any, adapter: Adapter) -> Iterator[_Target]:
    changes: list[tuple[str, Change | StoredTensor]] = [
        *adapter.whole.items(),
        *adapter.changes.items(),
    ]
    for name, change in changes:
        path, _, attribute = name.rpartition(".")
        try:
            layer = model.get_submodule(path)
        except AttributeError:
            raise adapter.misfit(name, change.shape, None) from None
        weight = getattr(layer, attribute, None)
        if not isinstance(weight, Tensor):
            raise adapter.misfit(name, change.shape, None)
        is_input_first = type(layer).__name__ == "Conv1D"  # the library's, of GPT-2's files
        is_known = isinstance(layer, nn.Linear | nn.Embedding) or is_input_first
        if weight.is_meta or not weight.is_floating_point() or not (is_known or weight.ndim == 1):
            raise ModelError(
                f"the adapter {adapter.name} changes {escaped(name)}, which is quantised, not in"
                " memory or no plain layer: merge it into the model with peft"
            )
        if is_input_first and isinstance(change, Change):
            change = change.T
        if tuple(weight.shape) != change.shape:
            raise adapter.misfit(name, change.shape, tuple(weight.shape))
        yield _Target(layer, attribute, change)

"""Reference of taps and inspections: what the transformers library says of a model's inside."""

from typing import Any

import torch
from torch import Tensor, nn


@torch.inference_mode()
def observe(model: Any, ids: list[int]) -> Any:
    """Output of one pass over the ids, with `attentions` and `hidden_states` of every layer.

    The model keeps the eager implementation, which alone forms attention weights. The pass must
    give the logits of a pass that is not asked for them.
    """
    usual = model(torch.tensor([ids]), use_cache=False).logits
    model.set_attn_implementation("eager")
    hooks = [
        module.register_forward_pre_hook(_add_no_booleans, with_kwargs=True)
        for module in model.modules()
        if type(module).__name__ == "FalconAttention"
    ]
    output = model(
        torch.tensor([ids]), use_cache=False, output_attentions=True, output_hidden_states=True
    )
    for hook in hooks:
        hook.remove()
    torch.testing.assert_close(output.logits, usual, rtol=0, atol=1e-3)
    assert len(output.attentions) == model.config.num_hidden_layers
    return output


def _add_no_booleans(
    _module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Hook: a mask that may be added to scores. The library adds Falcon's as 0 and 1."""
    mask = named["attention_mask"]
    if mask.dtype == torch.bool:
        added = torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)
        named = named | {"attention_mask": added}
    return args, named


@torch.inference_mode()
def lens(model: Any, output: Any) -> Tensor:
    """(layers + 1, n, vocabulary) logits: what the model makes of each layer's residual.

    By the model's own code: the hidden states of the pass `output` take the place of its last
    block's, so that all that comes after it is applied, whatever it is.
    """
    blocks = next(
        module
        for module in model.modules()
        if isinstance(module, nn.ModuleList) and len(module) == model.config.num_hidden_layers
    )
    hidden: list[Tensor] = []

    def replace(_module: nn.Module, _args: Any, found: Any) -> Any:
        if isinstance(found, Tensor):
            return hidden[-1].reshape(found.shape)
        return type(found)([hidden[-1].reshape(found[0].shape), *found[1:]])

    hook = blocks[-1].register_forward_hook(replace)
    rows = []
    any_ids = torch.zeros(output.logits.shape[:2], dtype=torch.long)
    for residual in output.hidden_states[:-1]:
        hidden.append(residual)
        rows.append(model(any_ids, use_cache=False).logits[0])
    hook.remove()
    return torch.stack([*rows, output.logits[0]])

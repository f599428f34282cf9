"""Observation of a model of the transformers library: what happens inside while it is fed.

Residuals are what the decoder's layers are given. Attention weights are formed only by the
library's `eager` implementation, to which the model is switched for a pass: others return none,
without a word. A few tokens are observed first, and what does not come out as it should is refused
for good.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gptterm.engine.decoders.base import Logits
from gptterm.engine.decoders.tap import Floats, Tap
from gptterm.engine.decoders.transformers_check import difference, draw_ids, limits_of
from gptterm.engine.decoders.transformers_state import Feeding, Past

_TOKENS = 6
"""Of the first look."""


@dataclass
class _Record:
    """Records of the hooks over some passes.

    Attributes:
        residuals: by layer, (n, hidden_size) of each pass; of the last one, its output.
        weights: by layer, (heads, n, positions) of the last pass.
        after: modules beside the layers that ran after the last of them.
    """

    heads: int
    layers: int
    residuals: dict[int, list[Tensor]] = field(default_factory=dict)
    weights: dict[int, Tensor] = field(default_factory=dict)
    after: list[nn.Module] = field(default_factory=list)

    def enter(self, layer: int) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], None]:
        """Hook of a layer's input."""

        def hook(_module: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
            x = args[0] if args else named["hidden_states"]
            self._add(layer, x)

        return hook

    def leave(self, _module: Any, _args: Any, output: Any) -> None:
        """Hook of the last layer's output."""
        self._add(self.layers, output[0] if isinstance(output, tuple) else output)

    def _add(self, layer: int, x: Tensor) -> None:
        self.residuals.setdefault(layer, []).append(x.detach().flatten(0, -2))

    def returned(self, layer: int) -> Callable[[Any, Any, Any], None]:
        """Hook of a module in a layer, which may return attention weights."""

        def hook(_module: Any, _args: Any, output: Any) -> None:
            for value in output if isinstance(output, tuple) else ():
                if isinstance(value, Tensor) and value.ndim == 4 and self._fits(value):
                    self.weights[layer] = value[0].detach()

        return hook

    def _fits(self, value: Tensor) -> bool:
        return value.shape[:2] == (1, self.heads) and value.shape[2] <= value.shape[3]

    def beside(self, module: nn.Module, _args: Any) -> None:
        """Hook of a module beside the layers."""
        if self.layers in self.residuals:
            self.after.append(module)


class Observation:
    """Looks into one model.

    Attributes:
        num_layers, num_heads: by its config.json.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._config = model.config.get_text_config()
        self._name = type(model).__name__
        self.num_layers = int(getattr(self._config, "num_hidden_layers", None) or 0)
        self.num_heads = int(getattr(self._config, "num_attention_heads", None) or 0)

    @cached_property
    def attention_refusal(self) -> str:
        """Why attention weights cannot be shown; empty if they can."""
        if self._layers is None or not self.num_heads:
            return f"{self._name} has no attention that can be shown"
        try:
            record, logits = self._look(attention=True)
        except Exception as error:  # whatever the library raises where it cannot switch
            return f"{self._name} cannot show its attention: {type(error).__name__}"
        if difference(logits, self._look(attention=False)[1]) > limits_of(self._model)[0]:
            return f"{self._name} computes something else where its attention can be shown"
        missing = [i for i in range(self.num_layers) if not _is_attention(record.weights.get(i))]
        if missing:
            return f"{self._name} has layers without attention that can be shown: {missing[0]}, …"
        return ""

    @cached_property
    def lens_refusal(self) -> str:
        """Why the lens cannot read the residuals; empty if it can."""
        if self._layers is None or self._finish is None:
            return f"{self._name} ends in a way that the lens does not know"
        return ""

    @torch.inference_mode()
    def unembed(self, residual: Floats) -> Logits:
        """(m, hidden_size) residuals → (m, vocab_size) logits; `lens_refusal` must be empty."""
        assert self._finish is not None
        weight = self._model.get_output_embeddings().weight
        x = torch.from_numpy(np.ascontiguousarray(residual))
        logits: Logits = self._finish(x.to(weight.device, self._model.dtype)).float().cpu().numpy()
        return logits

    @contextmanager
    def tapped(self, tap: Tap, count: int, positions: int) -> Iterator[dict[str, Any]]:
        """Show the passes in the block to a tap, when they are over.

        Args:
            count: tokens that are new.
            positions: tokens with those before.

        Yields:
            arguments for the model's forward pass.
        """
        with self._recording(attention=not self.attention_refusal) as (record, arguments):
            yield arguments
        for layer, parts in sorted(record.residuals.items()):
            tap.residual(layer, "input", _host(torch.cat([part.cpu() for part in parts])[-count:]))
        for layer, weights in sorted(record.weights.items()):
            # A sliding window may have left the cache behind.
            gone = positions - weights.shape[2]
            tap.attention(layer, partial(_host, nn.functional.pad(weights[:, -count:], (gone, 0))))

    @contextmanager
    def _recording(self, *, attention: bool) -> Iterator[tuple[_Record, dict[str, Any]]]:
        record = _Record(self.num_heads, self.num_layers)
        layers = list(self._layers or ())
        usual = self._config._attn_implementation
        with ExitStack() as stack:
            for i, layer in enumerate(layers):
                stack.callback(
                    layer.register_forward_pre_hook(record.enter(i), with_kwargs=True).remove
                )
                for module in layer.modules() if attention else ():
                    stack.callback(module.register_forward_hook(record.returned(i)).remove)
            if layers:
                stack.callback(layers[-1].register_forward_hook(record.leave).remove)
            for module in self._beside:
                stack.callback(module.register_forward_pre_hook(record.beside).remove)
            if attention and usual != "eager":
                self._model.set_attn_implementation("eager")
                stack.callback(self._model.set_attn_implementation, usual)
            yield record, {"output_attentions": True} if attention else {}

    @torch.inference_mode()
    def _look(self, *, attention: bool) -> tuple[_Record, Tensor]:
        """Observe a few tokens. Returns what was seen, and (n, vocabulary) logits."""
        ids = draw_ids(self._model, _TOKENS)
        feeding = Feeding(model=self._model, state="none")
        with self._recording(attention=attention) as (record, arguments):
            logits = feeding.run(ids, Past(None), 0, _TOKENS, arguments)
        return record, logits[0]

    @cached_property
    def _layers(self) -> nn.ModuleList | None:
        """The decoder's layers."""
        lists = (module for module in self._model.modules() if isinstance(module, nn.ModuleList))
        return next((found for found in lists if 0 < self.num_layers == len(found)), None)

    @property
    def _beside(self) -> list[nn.Module]:
        """Modules beside the list of layers."""
        parents = (m for m in self._model.modules() if self._layers in m.children())
        parent = next(parents, None)
        return [m for m in parent.children() if m is not self._layers] if parent else []

    @cached_property
    def _finish(self) -> Callable[[Tensor], Tensor] | None:
        """The way from a residual to logits, if found: norm, head, and what follows it."""
        record, expected = self._look(attention=False)
        head, config = self._model.get_output_embeddings(), self._config
        if head is None or self.num_layers not in record.residuals:
            return None

        def scores(x: Tensor) -> Tensor:
            for module in record.after:
                x = module(x)
            logits: Tensor = head(x)
            return logits

        cap = getattr(config, "final_logit_softcapping", None) or 1.0
        divisor = getattr(config, "logits_scaling", None) or 1.0
        factor = getattr(config, "logit_scale", None) or 1.0
        ends: tuple[Callable[[Tensor], Tensor], ...] = (
            scores,
            lambda x: cap * torch.tanh(scores(x) / cap),
            lambda x: scores(x) / divisor,
            lambda x: scores(x) * factor,
        )
        (last,) = record.residuals[self.num_layers]
        with torch.inference_mode():
            for end in ends:
                try:
                    found = end(last)
                except Exception:  # a module that is no function of one residual
                    return None
                right = found.shape == expected.shape
                if right and difference(found, expected) <= limits_of(self._model)[0]:
                    return end
        return None


def _is_attention(weights: Tensor | None) -> bool:
    """Whether the rows of a layer's weights over the first look sum to 1 and see no later token."""
    if weights is None or weights.shape[1:] != (_TOKENS, _TOKENS):
        return False
    later = weights.float().triu(1).abs().max()
    return float(later) < 1e-3 and float((weights.float().sum(-1) - 1).abs().max()) < 0.02


def _host(x: Tensor) -> Floats:
    return np.array(x.float().cpu().numpy(), np.float32)

"""State that a model of the transformers library keeps between passes, and how it is passed.

The library has several kinds of it, and its `generate` knows what to do around each pass. Which is
right for a model is found by `transformers_check`, which tries them.
"""

import copy
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

import torch
from torch import Tensor

from gptterm.engine.runtime import transformers_import

StateKind = Literal["library", "growing", "returned", "none"]

_ARGUMENTS = ("past_key_values", "cache_params", "state")
_MODULE_STATES = ("conv1d_state", "recurrent_states")
"""Attributes in which modules hold a recurrent state of the last sequences (RecurrentGemma)."""


class Past:
    """State of sequences of one length.

    Attributes:
        value: the object that the model is passed.
        modules: the state that modules hold, by module and attribute; not used by most models.
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        self.modules: dict[tuple[str, str], Any] = {}

    @property
    def nbytes(self) -> int:
        """Size of the state's tensors."""
        tensors = [*_tensors(self.value), *_tensors(self.modules)]
        return sum(tensor.nbytes for tensor in {id(tensor): tensor for tensor in tensors}.values())

    def crop(self, count: int) -> bool:
        """Remove the last tokens; False if that is not possible: the state is undefined then."""
        try:
            self.value.crop(-count)
        except (AttributeError, NotImplementedError, RuntimeError, ValueError):
            return False  # a recurrent state or a full sliding window cannot be truncated
        return True

    def select(self, rows: Tensor) -> None:
        """Reduce the state to these sequences, in this order."""
        if type(self.value).__name__ == "DynamicCache":
            self.value.reorder_cache(rows)
        else:
            self.value = _selected(self.value, rows)
        self.modules = _selected(self.modules, rows)

    def copy(self) -> "Past":
        """Copy all tensors."""
        return copy.deepcopy(self)


def _selected(value: Any, rows: Tensor) -> Any:
    """`value` with each tensor within it reduced to these rows."""
    match value:
        case Tensor():
            return value[rows.to(value.device)] if value.ndim else value
        case list() | tuple():
            return type(value)(_selected(item, rows) for item in value)
        case dict():
            return {key: _selected(item, rows) for key, item in value.items()}
        case _ if _is_state(value):
            vars(value).update(_selected(vars(value), rows))
    return value


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors within `value`."""
    match value:
        case Tensor():
            yield value
        case list() | tuple():
            for item in value:
                yield from _tensors(item)
        case dict():
            yield from _tensors(list(value.values()))
        case _ if _is_state(value):
            yield from _tensors(vars(value))


def _is_state(value: Any) -> bool:
    """Whether an object is one of the library's caches or of their layers."""
    name = type(value).__name__
    return name.endswith(("Cache", "Layer")) and not isinstance(value, torch.nn.Module)


@dataclass(frozen=True, kw_only=True)
class Feeding:
    """How a model is fed tokens that follow others.

    Attributes:
        state: `library`: the library's `DynamicCache` for the model's config.json is passed;
            `growing`: one that gets a layer when it is first used; `returned`: the model returns a
            state of its own kind, which is passed with the next tokens; `none`: there is none, and
            each pass gets all tokens.
        argument: of the forward pass, which takes the state.
        positions: whether the positions of the tokens are passed.
        one_by_one: whether a pass of several tokens loses the state.
        can_crop: whether the state may be truncated.
        batched: whether sequences can share a pass.
        switches: lengths beyond which the model computes a whole text in another way: LongRoPE has
            other frequencies for texts longer than the model's original context.
    """

    model: Any = field(repr=False)
    state: StateKind
    argument: str = ""
    positions: bool = False
    one_by_one: bool = False
    can_crop: bool = True
    batched: bool = True
    switches: tuple[int, ...] = ()

    @cached_property
    def parameters(self) -> frozenset[str]:
        """Names of the arguments of the model's forward pass."""
        return forward_parameters(self.model)

    def new_past(self) -> Past:
        """The state before any token."""
        if self.state in ("returned", "none"):
            return Past(None)
        config = self.model.config if self.state == "library" else None
        with transformers_import.transformers() as transformers:
            past = Past(transformers.DynamicCache(config=config))
        past.modules = dict.fromkeys(_module_states(self.model))
        return past

    def crosses(self, start: int, end: int) -> bool:
        """Whether a text that grows or shrinks between these lengths passes a switch."""
        return any(0 < start <= switch < end for switch in self.switches)

    def run(
        self,
        ids: Tensor,
        past: Past,
        start: int,
        last: int,
        more: Mapping[str, Any] = MappingProxyType({}),
    ) -> Tensor:
        """Run the model over (rows, n) ids that follow `start` others, and change `past`.

        Args:
            more: arguments of the forward pass, for one that is observed.

        Returns:
            Logits of at least the last `last` ids, (rows, n or fewer, vocabulary).
        """
        model = self.model
        ids = ids.to(model.get_input_embeddings().weight.device)
        arguments = dict(more)
        if "use_cache" in self.parameters:
            arguments["use_cache"] = self.state != "none"
        if past.value is not None:
            arguments[self.argument] = past.value
        if self.positions:
            numbers = torch.arange(start, start + ids.shape[1], device=ids.device)
            arguments["position_ids"] = numbers.expand(ids.shape)
        if "logits_to_keep" in self.parameters:
            arguments["logits_to_keep"] = max(last, 1)
        for (name, attribute), state in past.modules.items():
            setattr(model.get_submodule(name), attribute, state)
        output = model(ids, **arguments)
        for name, attribute in past.modules:
            past.modules[name, attribute] = getattr(model.get_submodule(name), attribute)
        if self.state == "returned":
            past.value = getattr(output, self.argument)
            if past.value is None:
                raise ValueError("the model returns no state")
        logits: Tensor = output.logits
        return logits


def forward_parameters(model: Any) -> frozenset[str]:
    """Names of the arguments of a model's forward pass."""
    return frozenset(inspect.signature(model.forward).parameters)


def feedings(model: Any) -> Iterator[Feeding]:
    """Ways to feed a model that may be right, the usual one first."""
    parameters = forward_parameters(model)
    switches = _switches(model.config)
    can_crop = not _module_states(model)
    kinds: tuple[StateKind, ...] = ("library", "growing", "returned")
    for argument in (name for name in _ARGUMENTS if name in parameters):
        for kind in kinds:
            for positions in (True, False):
                if (positions and "position_ids" not in parameters) or (
                    kind != "returned" and not _takes_library_cache(model, argument)
                ):
                    continue
                yield Feeding(
                    model=model, state=kind, argument=argument, positions=positions,
                    can_crop=can_crop, switches=switches,
                )  # fmt: skip


def _takes_library_cache(model: Any, argument: str) -> bool:
    supports = getattr(model, "_supports_default_dynamic_cache", lambda: True)
    return argument != "state" and bool(supports())


def _module_states(model: Any) -> list[tuple[str, str]]:
    return [
        (name, attribute)
        for name, module in model.named_modules()
        for attribute in _MODULE_STATES
        if attribute in vars(module)
    ]


def _switches(config: Any) -> tuple[int, ...]:
    """Lengths at which LongRoPE changes its frequencies."""
    config = config.get_text_config()
    scalings = getattr(config, "rope_parameters", None) or {}
    if "rope_type" in scalings:
        scalings = {"": scalings}
    lengths = set()
    for scaling in scalings.values():
        if isinstance(scaling, dict) and scaling.get("rope_type") == "longrope":
            length = scaling.get("original_max_position_embeddings")
            lengths.add(length or getattr(config, "original_max_position_embeddings", 0))
    return tuple(sorted(length for length in lengths if length))

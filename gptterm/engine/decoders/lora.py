"""LoRA adapters in the format of the peft library: low-rank changes of a model's weights.

Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021: in place of a layer's weights
W stands W + scale · B · A. Nothing here knows the model: `adapted_weights` and
`transformers_adapters` hold an adapter against it and merge the product into its weights.
"""

import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.api import AdapterSource
from gptterm.engine.decoders.weights import map_tensors, refusing
from gptterm.engine.runtime.model_files import read_json
from gptterm.engine.runtime.safetensors_header import read_header
from gptterm.engine.stored_tensor import StoredTensor
from gptterm.errors import ModelError
from gptterm.format import escaped

CONFIG, WEIGHTS, PICKLED = (
    "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin",
)  # fmt: skip

_PREFIX = "base_model.model."
_FACTORS = re.compile(r"(.+)\.lora_(embedding_)?([AB])(?:\.weight)?")
_WHOLE = re.compile(r"(.+?)(?:\.base_layer)?\.(weight|bias)")
_INITS = (None, True, False, "gaussian", "eva", "orthogonal")
"""Ways to initialise that leave the model's own weights as they are."""
_OTHER_METHODS = (
    *("use_dora", "lora_bias", "use_qalora", "use_bdlora", "alora_invocation_tokens"),
    *("arrow_config", "kasa_config", "monteclora_config", "layer_replication"),
    *("target_parameters", "trainable_token_indices", "ensure_weight_tying"),
)
"""Fields of adapter_config.json that make another method of it."""
_SAFE_PATTERN = re.compile(r"[\w.^$\\-]{1,300}")
"""Names of modules, without what takes a regular expression long."""
_MOST_PATTERNS = 1024

Floats = NDArray[np.float32]


class Change(NamedTuple):
    """scale · left · right, to be added to a matrix of weights."""

    left: Floats
    """(rows, r)."""
    right: Floats
    """(r, columns)."""
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.left), self.right.shape[1]

    @property
    def T(self) -> "Change":  # noqa: N802 (NumPy's name)
        """Change of the transposed matrix."""
        return Change(self.right.T, self.left.T, self.scale)

    def add_to(self, matrix: Floats) -> None:
        """Add the product in place, some rows at a time: no second matrix of that size.

        And so few that OpenBLAS takes one thread: on a busy machine its threads wait for each other
        four times as long as one of them computes.

        Args:
            matrix: of any strides.
        """
        right = self.right * np.float32(self.scale)
        at_once = max(1, _MOST_PRODUCTS // right.size)
        for start in range(0, len(matrix), at_once):
            rows = slice(start, start + at_once)
            matrix[rows] += self.left[rows] @ right


_MOST_PRODUCTS = 1 << 18


class Adapter(NamedTuple):
    """A LoRA adapter, as its files have it. Names are those of the model's own weights."""

    name: str
    """Its directory, to be drawn as text."""
    made_for: str
    """The model that it was trained on, by its own account."""
    changes: dict[str, Change]
    """By name of the weights. As an (out, in) matrix; of an embedding, (rows, width)."""
    whole: dict[str, StoredTensor]
    """Weights that take the place of the model's (`modules_to_save`, `bias`)."""

    def misfit(
        self, name: str, shape: tuple[int, ...], found: tuple[int, ...] | None
    ) -> ModelError:
        """The error of an adapter of another model.

        Args:
            shape: of what it has for weights of that name.
            found: shape of the model's; None if it has none.
        """
        other = "does not have" if found is None else f"has in {found}"
        made_for = f" (it was made for {self.made_for})" if self.made_for else ""
        return ModelError(
            f"the adapter {self.name} is for another model{made_for}: it changes {escaped(name)} of"
            f" shape {shape}, which this model {other}"
        )


def read_adapter(source: AdapterSource) -> Adapter:
    """Read an adapter's files: adapter_config.json and adapter_model.safetensors.

    Raises:
        ModelError: a file is missing or damaged, or the adapter is of a kind that is not computed.
    """
    directory = Path(source.directory)
    name = escaped(source.directory)
    config_file, weights_file = directory / CONFIG, directory / WEIGHTS
    if not config_file.exists():
        raise ModelError(
            f"{name} is no LoRA adapter: it has no {CONFIG}; give a folder that peft has saved"
        )
    if not weights_file.exists() and (directory / PICKLED).exists():
        raise ModelError(
            f"the adapter {name} is in {PICKLED}, which can run code: save it as {WEIGHTS}"
        )
    config = read_json(config_file)
    _check_method(name, config)
    with refusing(weights_file):
        header = read_header(weights_file)
        tensors = map_tensors(weights_file, header)
    changes, whole = _sorted(name, tensors, config, source.scale)
    if header.tensors.keys() - tensors.keys() or not (changes or whole):
        raise ModelError(f"the adapter {name} holds no weights that could be added to a model's")
    made_for = config.get("base_model_name_or_path")
    return Adapter(name, escaped(made_for) if isinstance(made_for, str) else "", changes, whole)


def _check_method(name: str, config: dict[str, Any]) -> None:
    """Refuse what is more than scale · B · A."""
    kind = config.get("peft_type")
    if kind != "LORA":
        raise ModelError(f"the adapter {name} is of type {escaped(str(kind))}; only LORA is read")
    unread = [field for field in _OTHER_METHODS if config.get(field)]
    init = config.get("init_lora_weights")
    if not any(init is known or init == known for known in _INITS):
        unread.append(f"init_lora_weights {escaped(str(init))}")
    if unread:
        raise ModelError(
            f"the adapter {name} has {', '.join(unread)}, which is not computed here; merge it into"
            " its model with peft"
        )


def _sorted(
    name: str, tensors: dict[str, StoredTensor], config: dict[str, Any], scale: float
) -> tuple[dict[str, Change], dict[str, StoredTensor]]:
    """Tensors as changes of the model's weights, and as weights in their place."""
    factors: dict[str, dict[str, StoredTensor]] = {}
    whole = {}
    for key, tensor in tensors.items():
        bare = key.removeprefix(_PREFIX)
        if match := _FACTORS.fullmatch(bare):
            module, embedding, side = match.groups()
            factors.setdefault(module, {})[f"{embedding or ''}{side}"] = tensor
        elif (match := _WHOLE.fullmatch(bare)) and "lora_" not in bare:
            whole[".".join(match.groups())] = tensor
        else:
            raise ModelError(f"the adapter {name} holds {escaped(key)}, which is not computed here")
    scales = _Scales(name, config, scale)
    changes = {
        f"{module}.weight": _change(name, module, sides, scales)
        for module, sides in factors.items()
    }
    return changes, whole


def _change(name: str, module: str, sides: dict[str, StoredTensor], scales: "_Scales") -> Change:
    embedding = "embedding_" if "embedding_A" in sides else ""
    found = [sides.get(f"{embedding}{side}") for side in "BA"]
    b, a = found
    fits = a is not None and b is not None and a.ndim == b.ndim == 2 and len(sides) == 2
    if a is None or b is None or not fits or b.shape[1] != len(a) or not a.size or not b.size:
        raise ModelError(
            f"the adapter {name} is damaged: A and B of {escaped(module)} are not two matrices"
            " that can be multiplied; fetch it again"
        )
    change = Change(b.converted("float32"), a.converted("float32"), scales(module, len(a)))
    return change.T if embedding else change


class _Scales:
    """Scale of a module's product: α / r, or α / √r (rank-stabilised; Kalajdzievski, 2023)."""

    def __init__(self, name: str, config: dict[str, Any], scale: float) -> None:
        self._name, self._scale = name, scale
        self._is_stabilised = bool(config.get("use_rslora"))
        self._alpha = self._number(config.get("lora_alpha", 8))
        patterns = config.get("alpha_pattern") or {}
        if not isinstance(patterns, dict) or len(patterns) > _MOST_PATTERNS:
            raise ModelError(f"the adapter {name} has an alpha_pattern that is not read")
        self._patterns = [(self._pattern(key), self._number(x)) for key, x in patterns.items()]

    def __call__(self, module: str, rank: int) -> float:
        own = (alpha for pattern, alpha in self._patterns if pattern.match(module))
        alpha = next(own, self._alpha)
        return self._scale * alpha / (math.sqrt(rank) if self._is_stabilised else rank)

    def _pattern(self, key: str) -> re.Pattern[str]:
        """As peft reads it: the end of a module's name."""
        try:
            if _SAFE_PATTERN.fullmatch(key):
                return re.compile(rf"(.*\.)?({key})$")
        except re.error:
            pass
        raise ModelError(
            f"the adapter {self._name} has the alpha_pattern {escaped(key)}: only names of modules"
            " are read"
        )

    def _number(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ModelError(f"the adapter {self._name} has no number as its lora_alpha")
        if not abs(value) <= _LARGEST_ALPHA:
            raise ModelError(f"the adapter {self._name} has a lora_alpha that is out of range")
        return float(value)


_LARGEST_ALPHA = 1e6

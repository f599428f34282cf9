"""Kinds of models: those that continue a text, and what the others are.

config.json says it: `architectures` names a class of the transformers library, `model_type` its
family. The library's own tables say which classes have a causal head. They are read from its
source, since importing it takes seconds.
"""

import re
from functools import cache
from pathlib import Path
from typing import Any

from gptterm.engine.decoders.config_parsers.registry import NATIVE_TYPES
from gptterm.errors import ModelError
from gptterm.format import escaped
from gptterm.json_values import as_object, as_text, as_texts

_CAUSAL_HEAD = re.compile(r".*(ForCausalLM|LMHeadModel|ModelWithLMHead|DoubleHeadsModel)")
_NOT_CAUSAL = {
    "xlnet": "a permutation language model, whose next token depends on how many follow",
    "cpmant": "an infilling model, which does not continue a text",
}
"""Families with a causal class in the library that does not continue texts as the others do."""
_OTHER_HEADS = (
    (r".*ForMaskedLM", "a masked language model, which fills gaps"),
    (r".*For(Sequence|Token|Image|Audio)Classification", "a classifier or reward model"),
    (r".*Reward.*|.*ForScoring|.*ValueHead", "a reward model"),
    (r".*(Multiple|QuestionAnswering|NextSentence).*", "a model that answers by choosing"),
    (r".*(ForConditionalGeneration|ForSeq2SeqLM|EncoderDecoderModel|MTModel|ForTextToText)",
     "an encoder-decoder or multimodal model"),
    (r".*(For(CTC|SpeechSeq2Seq)|SpeechEncoder.*)", "a speech model"),
    (r".*(Model|Encoder)", "an encoder or embedding model, without a head that predicts tokens"),
)  # fmt: skip
_REMEDY = "choose a model whose architecture ends in ForCausalLM or LMHeadModel"


def check_architecture(config: dict[str, Any], name: str) -> None:
    """Refuse what does not continue a text, or needs the code in its own repository.

    `auto_map` alone is no reason: many repositories have kept it from before transformers had
    their architecture, and transformers then uses its own code.

    Args:
        config: content of config.json.
        name: the model, for messages.

    Raises:
        ModelError: it is refused.
    """
    model_type = as_text(config.get("model_type"))
    classes = as_texts(config.get("architectures"))
    if model_type in NATIVE_TYPES and any(map(_CAUSAL_HEAD.fullmatch, classes)):
        return
    if model_type not in NATIVE_TYPES:
        _check_type(config, model_type, classes, name)
    if model_type in _NOT_CAUSAL:
        raise _refusal(name, model_type, _NOT_CAUSAL[model_type])
    if classes and not any(_is_causal(label, config) for label in classes):
        raise _refusal(name, classes[0], _kind_of_class(classes[0], config))
    _check_direction(config, model_type, classes, name)


def text_config(config: dict[str, Any]) -> dict[str, Any]:
    """A multimodal model's settings with those of its text half; any other's as they are."""
    return as_object(config.get("text_config")) | config


def _is_multimodal(model_type: str) -> bool:
    """Whether the library has a class for images and text of this family, but none for text."""
    return model_type not in _table("CAUSAL_LM") and model_type in _table("IMAGE_TEXT_TO_TEXT")


def _check_type(config: dict[str, Any], model_type: str, classes: list[str], name: str) -> None:
    known = _table("CAUSAL_LM").keys() | _table("IMAGE_TEXT_TO_TEXT").keys()
    builtin = bool(model_type) and (not known or model_type in known)
    if "auto_map" in config and not (known and builtin):
        raise ModelError(
            f"{escaped(name)} needs to run code from its own repository, which gptterm never does; "
            "choose a model whose architecture is built into transformers"
        )
    if not model_type:
        raise ModelError(f"{escaped(name)} has a config.json without model_type; {_REMEDY}")
    textless = _is_multimodal(model_type) and not _has_text_decoder(config)
    if not builtin or (textless and not any(map(_CAUSAL_HEAD.fullmatch, classes))):
        what = _kind_of_class(classes[0], config) if classes else "not a text generator"
        raise ModelError(
            f"{escaped(name)} is a {escaped(model_type)} model, {what} as far as the installed "
            f"transformers knows; {_REMEDY}"
        )


def _is_causal(label: str, config: dict[str, Any]) -> bool:
    if _CAUSAL_HEAD.fullmatch(label) or label in _table("CAUSAL_LM").values():
        return True
    return label in _table("IMAGE_TEXT_TO_TEXT").values() and _has_text_decoder(config)


def _has_text_decoder(config: dict[str, Any]) -> bool:
    """Whether a multimodal model's text half, in older files at the top, is a causal one."""
    text = text_config(config)
    encodes = (place.get("is_encoder_decoder") is True for place in (config, text))
    has_text = "text_config" in config or "num_hidden_layers" in config
    return has_text and not any(encodes)


def _check_direction(
    config: dict[str, Any], model_type: str, classes: list[str], name: str
) -> None:
    """Refuse a family of encoders that was not made a decoder: each token would see all others."""
    if model_type not in _table("MASKED_LM") or model_type not in _table("CAUSAL_LM"):
        if config.get("is_encoder_decoder") is True and not classes:
            raise _refusal(name, model_type, "an encoder-decoder model")
        return
    is_half = config.get("is_encoder_decoder") is True and any(
        label.endswith("ForCausalLM") for label in classes
    )
    if not (config.get("is_decoder") is True or config.get("causal") is True or is_half):
        what = "an encoder, which fills gaps: its config.json does not set is_decoder"
        raise _refusal(name, classes[0] if classes else model_type, what)


def _kind_of_class(label: str, config: dict[str, Any]) -> str:
    if config.get("is_encoder_decoder") is True:
        return "an encoder-decoder model"
    found = (kind for pattern, kind in _OTHER_HEADS if re.fullmatch(pattern, label))
    return next(found, "not a causal language model")


def _refusal(name: str, label: str, kind: str) -> ModelError:
    return ModelError(f"{escaped(name)} is {kind} ({escaped(label)}); {_REMEDY}")


@cache
def _table(task: str) -> dict[str, str]:
    """The library's classes for a task, by `model_type`; empty if its source cannot be read."""
    source = _source("models/auto/modeling_auto.py")
    pattern = rf"^MODEL_FOR_{task}_MAPPING_NAMES\b.*?^\)"
    table = re.search(pattern, source, re.DOTALL | re.MULTILINE)
    return dict(re.findall(r'\(\s*"([^"]+)",\s*\(?\s*"([^"]+)"', table[0])) if table else {}


@cache
def quantization_methods() -> frozenset[str]:
    """Names of the quantised formats that the library reads; empty if that cannot be told."""
    source = _source("quantizers/auto.py")
    table = re.search(r"^AUTO_QUANTIZER_MAPPING\b.*?^\}", source, re.DOTALL | re.MULTILINE)
    return frozenset(re.findall(r'^\s*"([^"]+)":', table[0], re.MULTILINE) if table else ())


@cache
def _source(path: str) -> str:
    import importlib.util

    spec = importlib.util.find_spec("transformers")
    if spec is None or not spec.submodule_search_locations:
        return ""
    try:
        return Path(spec.submodule_search_locations[0], path).read_text(encoding="utf-8")
    except OSError:
        return ""

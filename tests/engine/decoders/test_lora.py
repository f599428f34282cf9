"""LoRA adapters, as the peft library makes them: equal logits, and what is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType, quants
from safetensors.torch import load_file, save_file

from gptterm.engine.api import AdapterSource, Dtype, LoadRequest, ModelSource
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.generation.loader import load_engine
from gptterm.errors import ModelError
from tests.engine.checkpoints import (
    ARCHITECTURES,
    draw_ids,
    log_probabilities,
    make,
    reference,
    save,
)
from tests.engine.gguf.models import save_gguf

peft: Any = pytest.importorskip("peft")
IDS = draw_ids(20)
LLAMA = ["q_proj", "v_proj", "down_proj"]


def adapt(model: Any, directory: Path, seed: int = 1, **settings: Any) -> Any:
    """The model with a lively adapter, which is saved in a directory."""
    torch.manual_seed(seed)
    usual: dict[str, Any] = {"r": 4, "lora_alpha": 6, "lora_dropout": 0.1}
    adapted = peft.get_peft_model(model, peft.LoraConfig(**(usual | settings)))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.normal_(0, 0.3)
            elif "modules_to_save" in name:
                weight += 0.3 * torch.randn_like(weight)
    adapted.save_pretrained(directory)
    return adapted.eval()


def load(
    directory: Path, *adapters: Path, scale: float = 1, gguf: str | None = None,
    dtype: Dtype = "float32",
) -> LocalEngine:  # fmt: skip
    source = ModelSource(name=directory.name, directory=str(directory), gguf_file=gguf)
    given = tuple(AdapterSource(directory=str(each), scale=scale) for each in adapters)
    return load_engine(LoadRequest(source=source, device="cpu", dtype=dtype, adapters=given))


def difference(engine: LocalEngine, model: Any) -> float:
    expected = torch.log_softmax(reference(model, IDS), 0)
    return float((log_probabilities(engine, IDS) - expected).abs().max())


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("llama", {"target_modules": LLAMA, "use_rslora": True}),
        ("llama", {
            "target_modules": "all-linear", "rank_pattern": {"q_proj": 2},
            "alpha_pattern": {"layers.1.mlp.up_proj": 3, "^model.layers.0.self_attn.q_proj": 9},
        }),
        ("llama", {"target_modules": ["o_proj"], "modules_to_save": ["lm_head", "norm"]}),
        ("llama-odd", {"target_modules": ["gate_proj", "lm_head"]}),
        ("llama-odd", {"target_modules": ["embed_tokens", "k_proj"]}),
        ("llama-odd", {"target_modules": ["k_proj"], "modules_to_save": ["embed_tokens"]}),
        ("gpt2", {"target_modules": ["c_attn", "c_proj", "wte"], "fan_in_fan_out": True}),
        ("gpt-neox", {"target_modules": ["query_key_value"], "bias": "all"}),
        # On the transformers library:
        ("olmo", {"target_modules": ["q_proj", "up_proj", "embed_tokens"]}),
        ("codegen", {"target_modules": ["qkv_proj"], "modules_to_save": ["lm_head"]}),
    ],
)  # fmt: skip
def test_logits_are_those_of_peft(name: str, settings: dict[str, Any], tmp_path: Path) -> None:
    model = make(ARCHITECTURES[name]())
    directory = save(model, tmp_path / "model")
    before = load(directory)
    adapted = adapt(model, tmp_path / "adapter", **settings)
    engine = load(directory, tmp_path / "adapter")
    assert engine.info.decoder == before.info.decoder
    assert engine.info.parameters == before.info.parameters
    assert engine.info.adapters == (str(tmp_path / "adapter"),)
    assert difference(engine, adapted) < 1e-4
    assert difference(before, adapted) > 0.05


def test_several_adapters_add_up_each_with_its_scale(tmp_path: Path) -> None:
    model = make(ARCHITECTURES["llama"]())
    directory = save(model, tmp_path / "model")
    paths = [tmp_path / "one", tmp_path / "two"]
    for seed, path in enumerate(paths):
        adapt(model, path, seed, target_modules=LLAMA).unload()
    both = peft.PeftModel.from_pretrained(model, paths[0], adapter_name="a")
    both.load_adapter(paths[1], adapter_name="b")
    both.base_model.add_weighted_adapter(["a", "b"], [0.5, 0.5], "both", combination_type="cat")
    both.set_adapter("both")
    engine = load(directory, *paths, scale=0.5)
    assert engine.info.adapters == tuple(f"{path}=0.5" for path in paths)
    assert difference(engine, both.eval()) < 1e-4


@pytest.mark.parametrize(
    ("kind", "dtype", "bound"),
    [("F16", "float32", 1e-4), ("F16", "auto", 0.02), ("Q8_0", "auto", 0.5), (None, "int8", 0.5)],
)
def test_other_forms_of_weights(
    kind: str | None, dtype: Dtype, bound: float, tmp_path: Path
) -> None:
    """Merged before they are rounded: what is left is the rounding."""
    model = make(ARCHITECTURES["llama"]())
    gguf = None
    if kind is None:
        save(model, tmp_path)
    else:
        gguf = "model.gguf"
        number = GGMLQuantizationType[kind]
        with torch.no_grad():  # the numbers that the file will hold
            for weight in model.parameters():
                if weight.ndim == 2:
                    rounded = quants.dequantize(quants.quantize(weight.numpy(), number), number)
                    weight.copy_(torch.from_numpy(rounded))
        save_gguf(
            model, tmp_path / gguf, "llama",
            lambda _, x: (quants.quantize(x, number), kind) if x.ndim == 2 else None,
        )  # fmt: skip
    adapted = adapt(model, tmp_path / "adapter", target_modules=LLAMA)
    engine = load(tmp_path, tmp_path / "adapter", gguf=gguf, dtype=dtype)
    assert engine.info.decoder == "native"
    assert any("Q8_0 with an adapter" in x for x in engine.info.notices) == (kind == "Q8_0")
    assert difference(engine, adapted) < bound


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models and an adapter of the first."""
    folder = tmp_path_factory.mktemp("lora")
    for name in ("llama", "llama-odd", "codegen"):
        model = make(ARCHITECTURES[name]())
        save(model, folder / name)
        if name == "llama":
            adapt(model, folder / "adapter", target_modules=LLAMA)
    return folder


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"peft_type": "IA3"}, "is of type IA3; only LORA is read"),
        ({"use_dora": True}, "has use_dora, which is not computed here"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights pissa_niter_4"),
        ({"alpha_pattern": {"(a+)+b": 1}}, "only names of modules are read"),
        ({"alpha_pattern": {"q_proj": "x"}}, "no number"),
        ({"lora_alpha": 1e300}, "out of range"),
    ],
)
def test_what_is_more_than_lora_is_refused_by_name(
    config: dict[str, Any], reason: str, files: Path, tmp_path: Path
) -> None:
    own = json.loads((files / "adapter" / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(own | config))
    weights = files / "adapter" / "adapter_model.safetensors"
    (tmp_path / weights.name).write_bytes(weights.read_bytes())
    with pytest.raises(ModelError, match=r"^the adapter .*" + re.escape(reason)):
        load(files / "llama", tmp_path)


A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda w: w | {A: w[A].T.contiguous()}, "not two matrices"),
        (lambda w: {name: x for name, x in w.items() if name != A}, "not two matrices"),
        (lambda _: {}, "holds no weights"),
        (lambda w: w | {"x.lora_magnitude_vector": w[A]}, "x.lora_magnitude_vector, which is not"),
        (lambda w: w | {"model.layers.9.mlp.up_proj.weight": w[A]}, "this model does not have"),
        (lambda w: w | {"model.rotary.weight": w[A]}, "this model does not have"),
    ],
)
def test_damaged_weights_are_told(
    change: Callable[[Any], Any], reason: str, files: Path, tmp_path: Path
) -> None:
    own = files / "adapter"
    (tmp_path / "adapter_config.json").write_bytes((own / "adapter_config.json").read_bytes())
    name = "adapter_model.safetensors"
    weights = {key: weight.clone() for key, weight in change(load_file(own / name)).items()}
    save_file(weights, tmp_path / name)
    with pytest.raises(ModelError, match=r"^the adapter .*" + re.escape(reason)):
        load(files / "llama", tmp_path)


@pytest.mark.parametrize("name", ["llama-odd", "codegen"])  # the second on transformers
def test_the_adapter_of_another_model_is_refused(name: str, files: Path) -> None:
    with pytest.raises(ModelError, match=r"is for another model: it changes .* of shape"):
        load(files / name, files / "adapter")


def test_an_adapter_of_weights_that_are_not_computed_with_is_named(tmp_path: Path) -> None:
    model = make(ARCHITECTURES["llama"]())
    directory = save(model, tmp_path / "model")
    fits, does_not = tmp_path / "fits", tmp_path / "does-not"
    for path in (fits, does_not):
        adapt(model, path, target_modules=["q_proj"]).unload()
    weights = load_file(directory / "model.safetensors")
    own = weights["model.layers.0.self_attn.q_proj.weight"]
    weights["model.layers.0.extra.weight"] = own.clone()
    save_file(weights, directory / "model.safetensors")
    changes = load_file(does_not / "adapter_model.safetensors")
    changes = {name.replace("self_attn.q_proj", "extra"): t for name, t in changes.items()}
    changes = {name: tensor for name, tensor in changes.items() if ".0.extra" in name}
    save_file(changes, does_not / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"adapter \S*does-not changes layers\.0\.extra\.weight"):
        load(directory, fits, does_not)


def test_no_adapter_at_all(files: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is no LoRA adapter: it has no adapter_config\.json"):
        load(files / "llama", tmp_path)
    config = (files / "adapter" / "adapter_config.json").read_bytes()
    (tmp_path / "adapter_config.json").write_bytes(config)
    with pytest.raises(ModelError, match=r"adapter_model\.safetensors is missing"):
        load(files / "llama", tmp_path)
    (tmp_path / "adapter_model.bin").touch()
    with pytest.raises(ModelError, match="can run code"):
        load(files / "llama", tmp_path)

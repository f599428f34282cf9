"""Checkpoints as they come: variants, files, dtypes, and what is wrong with them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gptterm.engine.api import Dtype, LoadRequest, ModelSource
from gptterm.engine.generation.loader import load_engine
from gptterm.errors import ModelError
from tests.engine.checkpoints import (
    ARCHITECTURES,
    draw_ids,
    edit_config,
    gpt2,
    load,
    log_probabilities,
    make,
    reference,
    save,
)
from tests.support.gpt2 import write_gpt2

IDS = draw_ids(40)


def check(directory: Path, model: Any, decoder: str, *, dtype: Dtype = "float32") -> None:
    engine = load(directory, dtype)
    assert engine.info.decoder == decoder
    assert engine.info.parameters == sum(p.numel() for p in model.parameters())
    for size in (1, 40):
        expected = torch.log_softmax(reference(model, IDS[:size]), 0)
        found = log_probabilities(engine, IDS[:size])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


# ----------------------------------------------------------------------------- kinds of GPT-2


@pytest.mark.parametrize(
    ("changes", "decoder"),
    [
        ({}, "native"),
        ({"activation_function": "gelu_pytorch_tanh"}, "native"),
        ({"tie_word_embeddings": False}, "native"),
        ({"n_inner": 48}, "native"),
        ({"n_head": 1}, "native"),
        ({"n_layer": 1}, "native"),
        ({"layer_norm_epsilon": 0.1}, "native"),
        ({"resid_pdrop": 0.5, "embd_pdrop": 0.5, "attn_pdrop": 0.5}, "native"),
        ({"activation_function": "gelu"}, "transformers"),
        ({"activation_function": "relu"}, "transformers"),
        ({"scale_attn_by_inverse_layer_idx": True}, "transformers"),
        ({"reorder_and_upcast_attn": True}, "transformers"),
        ({"scale_attn_weights": False}, "transformers"),
    ],
)
def test_variants_of_gpt2(changes: dict[str, Any], decoder: str, tmp_path: Path) -> None:
    model = make(gpt2(**changes))
    check(save(model, tmp_path), model, decoder)


@pytest.mark.parametrize("name", ["olmo", "codegen", "mamba"])
def test_other_architectures(name: str, tmp_path: Path) -> None:
    model = make(ARCHITECTURES[name]())
    check(save(model, tmp_path), model, "transformers")


@pytest.fixture(scope="module")
def plain() -> Any:
    return make(gpt2())


@pytest.fixture
def directory(plain: Any, tmp_path: Path) -> Path:
    return save(plain, tmp_path / "model")


def rewrite(directory: Path, change: Any) -> None:
    """Write the weights anew, under other names or in another form."""
    file = directory / "model.safetensors"
    save_file(change(load_file(file)), file, metadata={"format": "pt"})


def test_weights_in_several_files(plain: Any, tmp_path: Path) -> None:
    directory = save(plain, tmp_path, max_shard_size="50KB")
    assert len(list(directory.glob("*.safetensors"))) > 2
    check(directory, plain, "native")


def test_names_without_a_prefix(plain: Any, directory: Path) -> None:
    rewrite(directory, lambda all_: {n.removeprefix("transformer."): t for n, t in all_.items()})
    check(directory, plain, "native")


def test_names_with_a_prefix(plain: Any, directory: Path) -> None:
    assert all(name.startswith("transformer.") for name in load_file(directory / FILE))
    check(directory, plain, "native")


def test_the_constants_of_old_files(plain: Any, directory: Path) -> None:
    constants = {
        "transformer.h.0.attn.bias": torch.ones(1, 1, 128, 128, dtype=torch.bool),
        "transformer.h.0.attn.masked_bias": torch.tensor(-1e4),
    }
    rewrite(directory, lambda all_: all_ | constants)
    check(directory, plain, "native")


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_kept_in_another_dtype(stored: torch.dtype, tmp_path: Path) -> None:
    model = make(gpt2()).to(stored)
    directory = save(model, tmp_path)
    check(directory, model.float(), "native")


def test_a_config_that_says_only_what_it_must(plain: Any, directory: Path) -> None:
    config = json.loads((directory / "config.json").read_text())
    kept = ("model_type", "vocab_size", "n_embd", "n_layer", "n_head", "n_positions")
    (directory / "config.json").write_text(json.dumps({name: config[name] for name in kept}))
    check(directory, plain, "native")


# ------------------------------------------------------------------------------------- dtypes

LIMITS = {"float16": 2e-5, "bfloat16": 2e-3, "int8": 3e-3}
"""Mean KL divergence from float32, in nats, on a model whose every weight is random."""


@pytest.mark.parametrize(
    ("dtype", "decoder"),
    [
        ("float16", "native"),
        ("bfloat16", "native"),
        ("int8", "native"),
        ("float16", "transformers"),
        ("bfloat16", "transformers"),
    ],
)
@pytest.mark.parametrize("tied", [True, False])
def test_how_far_a_dtype_is_from_float32(
    dtype: Dtype, decoder: str, tied: bool, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    changes = {} if decoder == "native" else {"activation_function": "gelu"}
    model = make(gpt2(n_embd=64, tie_word_embeddings=tied, **changes))
    engine = load(save(model, tmp_path), dtype)
    assert (engine.info.dtype, engine.info.decoder) == (dtype, decoder)
    divergences = []
    assert not recwarn.list
    for size in range(1, 40):
        exact = torch.log_softmax(reference(model, IDS[:size]), 0)
        found = log_probabilities(engine, IDS[:size])
        divergences.append(float((exact.exp() * (exact - found)).sum()))
    assert sum(divergences) / len(divergences) < LIMITS[dtype]


def test_auto_is_float32_on_a_cpu(directory: Path) -> None:
    assert load(directory, "auto").info.dtype == "float32"


def test_int8_is_for_native_decoders_only(tmp_path: Path) -> None:
    directory = save(make(ARCHITECTURES["olmo"]()), tmp_path)
    with pytest.raises(ModelError, match="int8 is for models with a decoder of gptterm's own"):
        load(directory, "int8")


# ------------------------------------------------------------------------- what can be wrong

FILE = "model.safetensors"


def refused(directory: Path) -> str:
    with pytest.raises(ModelError) as caught:
        load(directory)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 500
    return message


@pytest.mark.parametrize("size", [0, 4, 100, 5000, -1])
def test_a_truncated_file(size: int, directory: Path) -> None:
    file = directory / FILE
    file.write_bytes(file.read_bytes()[:size])
    assert "fetch the model again" in refused(directory)


def test_a_file_of_another_kind(directory: Path) -> None:
    (directory / FILE).write_bytes(b"\x93NUMPY" + b"\xff" * 1000)
    assert "damaged" in refused(directory)


def test_no_weights_at_all(directory: Path) -> None:
    (directory / FILE).unlink()
    assert FILE in refused(directory)


def test_a_file_that_the_index_lists_is_missing(plain: Any, tmp_path: Path) -> None:
    directory = save(plain, tmp_path, max_shard_size="50KB")
    last = max(directory.glob("*.safetensors"))
    last.unlink()
    assert f"{last.name} is missing" in refused(directory)


@pytest.mark.parametrize(
    "index",
    [
        "{",
        "[]",
        "{}",
        '{"weight_map": {}}',
        '{"weight_map": 5}',
        '{"weight_map": {"wte.weight": "../other/model.safetensors"}}',
        '{"weight_map": {"wte.weight": "/etc/passwd"}}',
        '{"weight_map": {"wte.weight": 5}}',
    ],
)
def test_a_damaged_index(index: str, directory: Path) -> None:
    shutil.copytree(directory, directory.parent / "other")
    (directory / FILE).unlink()
    (directory / f"{FILE}.index.json").write_text(index)
    refused(directory)


@pytest.mark.parametrize(
    "name",
    [
        "wte.weight",
        "wpe.weight",
        "h.0.ln_1.bias",
        "h.2.attn.c_attn.weight",
        "h.1.mlp.c_proj.bias",
        "ln_f.weight",
    ],
)
def test_a_missing_weight(name: str, directory: Path) -> None:
    rewrite(directory, lambda all_: {n: t for n, t in all_.items() if n != f"transformer.{name}"})
    assert f"lacks the weight {name}" in refused(directory)


def test_a_missing_head(directory: Path) -> None:
    edit_config(directory, tie_word_embeddings=False)
    assert "lacks the weight lm_head.weight" in refused(directory)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"vocab_size": 385}, "wte.weight"),
        ({"n_positions": 1024}, "wpe.weight"),
        ({"n_embd": 64}, "wte.weight"),
        ({"n_inner": 64}, "h.0.mlp.c_fc"),
        ({"n_layer": 4}, "h.3."),
        ({"n_head": 5}, "5 heads"),
        ({"n_head": 0}, "n_head"),
        ({"n_layer": "3"}, "n_layer"),
        ({"n_embd": None}, "n_embd"),
        ({"n_positions": 128.0}, "n_positions"),
    ],
)
def test_a_config_that_promises_something_else(
    changes: dict[str, Any], named: str, directory: Path
) -> None:
    edit_config(directory, **changes)
    assert named in refused(directory)


@pytest.mark.parametrize(
    "inner", ["h.1.attn.c_proj.weight", "h.2.mlp.c_fc.bias", "h.0.ln_2.weight"]
)
def test_an_inner_layer_of_another_shape(inner: str, directory: Path) -> None:
    rewrite(directory, lambda all_: all_ | {f"transformer.{inner}": torch.zeros(7)})
    assert f"{inner} of shape" in refused(directory)


@pytest.mark.parametrize("text", ["{", "[]", "null", ""])
def test_a_damaged_config(text: str, directory: Path) -> None:
    (directory / "config.json").write_text(text)
    assert "config.json" in refused(directory)


def test_no_config(directory: Path) -> None:
    (directory / "config.json").unlink()
    refused(directory)


def test_an_unknown_architecture(directory: Path) -> None:
    edit_config(directory, model_type="no-such-model")
    assert "no-such-model" in refused(directory)


def test_weights_in_pickles_only_are_not_read(tmp_path: Path) -> None:
    model = make(ARCHITECTURES["olmo"]())
    directory = save(model, tmp_path)
    (directory / FILE).unlink()
    torch.save(model.state_dict(), directory / "pytorch_model.bin")
    assert FILE in refused(directory)


@pytest.mark.parametrize("name", ["olmo", "codegen"])
def test_damage_where_the_library_reads(name: str, tmp_path: Path) -> None:
    directory = save(make(ARCHITECTURES[name]()), tmp_path)
    file = directory / FILE
    file.write_bytes(file.read_bytes()[:3000])
    refused(directory)


def test_a_library_model_with_a_layer_too_few(tmp_path: Path) -> None:
    directory = save(make(ARCHITECTURES["olmo"]()), tmp_path)
    edit_config(directory, num_hidden_layers=3)
    assert "lacks the weight model.layers.2" in refused(directory)


@pytest.mark.parametrize("changes", [{"intermediate_size": 65}, {"vocab_size": 400}])
def test_a_library_model_of_another_shape(changes: dict[str, int], tmp_path: Path) -> None:
    directory = save(make(ARCHITECTURES["olmo"]()), tmp_path)
    edit_config(directory, **changes)
    refused(directory)


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("cuda:99", "CUDA|cuda:99 does not exist"),
        ("cuda:x", "CUDA|cuda:x does not exist"),
        ("tpu", "unknown device 'tpu'"),
        ("cpu:1", "unknown device"),
    ],
)
def test_a_device_that_is_not_there(device: str, reason: str, directory: Path) -> None:
    source = ModelSource(name="x", directory=str(directory))
    with pytest.raises(ModelError, match=reason):
        load_engine(LoadRequest(source=source, device=device))


LIMITED = """
import resource, sys
import torch
from gptterm.engine.api import LoadRequest, ModelSource
from gptterm.engine.generation.loader import load_engine
from gptterm.errors import OutOfMemoryError
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, -1))
source = ModelSource(name="x", directory=sys.argv[1])
try:
    load_engine(LoadRequest(source=source, device="cpu", dtype=sys.argv[2]))
except OutOfMemoryError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits address space by /proc")
@pytest.mark.parametrize("dtype", ["auto", "float32"])
def test_weights_that_cannot_be_mapped_are_out_of_memory(tmp_path: Path, dtype: str) -> None:
    write_gpt2(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    header = {"big": {"dtype": "F32", "shape": [2**28], "data_offsets": [0, 2**30]}}
    begin = json.dumps(header).encode()
    file.write_bytes(len(begin).to_bytes(8, "little") + begin)
    os.truncate(file, 8 + len(begin) + 2**30)  # of holes: nothing is written
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "model"), dtype]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("no room for the weights on cpu")


def test_without_kernels_one_line_says_so(saved: Path, without_kernels: Callable[[], None]) -> None:
    assert load(saved).info.notices == ()
    without_kernels()
    (notice,) = load(saved).info.notices
    assert "install a C compiler" in notice
    assert "\n" not in notice

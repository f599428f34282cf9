"""Every native family beside GPT-2: weights in several files, dtypes, the whole engine."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gptterm.engine.api import Dtype
from tests.engine.checkpoints import (
    ARCHITECTURES,
    NATIVE,
    POSITIONS,
    draw_ids,
    load,
    log_probabilities,
    make,
    reference,
    save,
)
from tests.engine.decoders.native_checks import IDS, check
from tests.engine.runs import GREEDY, request, run

NAMES = [name for name in NATIVE if name != "gpt2"]


@pytest.fixture(scope="module", params=NAMES)
def named(request: pytest.FixtureRequest) -> tuple[str, Any]:
    name: str = request.param
    return name, make(ARCHITECTURES[name]())


@pytest.fixture
def name(named: tuple[str, Any]) -> str:
    return named[0]


@pytest.fixture
def model(named: tuple[str, Any]) -> Any:
    return named[1]


@pytest.fixture(scope="module")
def directory(named: tuple[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(named[1], tmp_path_factory.mktemp("families") / "model")


@pytest.fixture(scope="module")
def exact(named: tuple[str, Any]) -> dict[int, Tensor]:
    """Log probabilities of transformers in float32, after so many ids."""
    return {size: reference(named[1], IDS[:size]).log_softmax(0) for size in range(1, 60, 4)}


def test_weights_in_several_files(model: Any, tmp_path: Path) -> None:
    directory = save(model, tmp_path, max_shard_size="50KB")
    assert len(list(directory.glob("*.safetensors"))) > 1
    check(directory, model)


LIMITS: dict[Dtype, float] = {"float16": 2e-5, "bfloat16": 2e-3, "int8": 1.5e-2}
"""Mean KL divergence from float32, in nats, on a model whose every weight is random."""
# Scores are not scaled, so that an error in a key or a query counts for more.
GPT_NEO_LIMITS: dict[Dtype, float] = {"float16": 2e-5, "bfloat16": 4e-3, "int8": 3e-2}


@pytest.mark.parametrize("dtype", LIMITS)
def test_how_far_a_dtype_is_from_float32(
    name: str, dtype: Dtype, model: Any, directory: Path, exact: dict[int, Tensor]
) -> None:
    engine = load(directory, dtype)
    assert (engine.info.dtype, engine.info.decoder) == (dtype, "native")
    assert engine.info.parameters == sum(p.numel() for p in model.parameters())
    divergences = []
    for size, expected in exact.items():
        found = log_probabilities(engine, IDS[:size])
        divergences.append(float((expected.exp() * (expected - found)).sum()))
    limits = GPT_NEO_LIMITS if name == "gpt-neo" else LIMITS
    assert sum(divergences) / len(divergences) < limits[dtype]


@pytest.mark.usefixtures("backend")
def test_greedy_text_is_what_transformers_generates(model: Any, directory: Path) -> None:
    engine = load(directory)
    model.generation_config.eos_token_id = None  # which could be any id that the text has
    for size in (1, 60):
        found = run(engine, request(IDS[:size], sampling=GREEDY, max_tokens=20)).ids()
        ids = torch.tensor([IDS[:size]])
        expected = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=20,
            pad_token_id=0,
        )
        assert found == expected[0, size:].tolist()


def check_reuse(directory: Path, dtype: Dtype) -> None:
    """A known beginning is not fed again."""
    engine = load(directory, dtype)
    first = run(engine, request(IDS[:40], max_tokens=10))
    asked = request([*IDS[:30], *IDS[50:]], max_tokens=10)
    again = run(engine, asked)
    assert again.started.reused_tokens == 30
    assert again.ids() == run(load(directory, dtype), asked).ids()
    back = run(engine, request(IDS[:40], max_tokens=10, samples=3))
    assert back.started.reused_tokens == 30
    for sample in range(3):
        assert back.ids(sample) == first.ids()


@pytest.mark.usefixtures("backend")
def test_a_known_beginning_is_not_fed_again(directory: Path) -> None:
    check_reuse(directory, "float32")


def test_a_known_beginning_is_not_fed_again_in_int8(directory: Path) -> None:
    check_reuse(directory, "int8")


def test_the_last_position(model: Any, directory: Path) -> None:
    ids = draw_ids(POSITIONS - 1, seed=4)
    found = run(load(directory), request(ids, max_tokens=1)).ids()
    assert found == [int(reference(model, ids).argmax())]

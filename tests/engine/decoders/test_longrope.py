"""LongRoPE: native on both sides of the context of the pre-training, held against transformers."""

from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gptterm.engine.api import LoadRequest, ModelSource
from gptterm.engine.decoders import native
from gptterm.engine.decoders.config_parsers.registry import parse_config, why_not_native
from gptterm.engine.decoders.kernel_backend.long_texts import SwitchingDecoder
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.inspection.requests import TokenRequest
from gptterm.errors import ModelError
from tests.engine.checkpoints import (
    ARCHITECTURES,
    LONG,
    POSITIONS,
    draw_ids,
    feed,
    log_probabilities,
    make,
    reference,
    save,
)
from tests.engine.generation.test_batch import check_as_alone
from tests.engine.generation.test_live_batch import DEEDS, Live, follow
from tests.engine.gguf.models import load as load_gguf
from tests.engine.gguf.models import save_gguf
from tests.engine.runs import FREE, request, run

IDS = draw_ids(POSITIONS)
LATER = 40
LONG_FACTORS = ARCHITECTURES["phi3-longrope"]().rope_parameters["long_factor"]


def settings(**changes: Any) -> Any:
    config = ARCHITECTURES["phi3-longrope"]().to_dict()
    rope = config["rope_parameters"] | {"short_factor": [1.0, 1.1, 1.25, 1.5]} | changes
    return config | {"rope_parameters": rope}


def load(directory: Path, context: int | None) -> LocalEngine:
    source = ModelSource(name="m", directory=str(directory))
    request = LoadRequest(source=source, device="cpu", dtype="float32", context=context)
    return load_engine(request)


@pytest.mark.parametrize("changes", [{}, {"factor": 8.0}, {"attention_factor": 1.25}])
def test_up_to_the_switch(changes: dict[str, Any], tmp_path: Path) -> None:
    config = settings(**changes)
    model = make(type(ARCHITECTURES["phi3-longrope"]())(**config))
    engine = load(save(model, tmp_path), LONG)
    assert (engine.info.decoder, engine.info.context_length) == ("native", LONG)
    for length in (1, 10, LONG - 1):  # with room for the token that is drawn
        expected = torch.log_softmax(reference(model, IDS[:length]), 0)
        found = log_probabilities(engine, IDS[:length])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.fixture(scope="module")
def model() -> Any:
    return make(type(ARCHITECTURES["phi3-longrope"]())(**settings()))


@pytest.fixture(scope="module")
def directory(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(model, tmp_path_factory.mktemp("longrope"))


def check(engine: LocalEngine, model: Any, *lengths: int) -> None:
    for length in lengths:
        expected = torch.log_softmax(reference(model, IDS[:length]), 0)
        found = log_probabilities(engine, IDS[:length])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.fixture(params=["folder", "GGUF file"])
def switching(
    request: pytest.FixtureRequest, model: Any, directory: Path, tmp_path: Path
) -> LocalEngine:
    if request.param == "folder":
        return load(directory, None)
    return load_gguf(save_gguf(model, tmp_path / "m.gguf", "phi3"))


def test_texts_on_both_sides(switching: LocalEngine, model: Any) -> None:
    """Each uses what is held of the one before, and what is not of its kind is not used."""
    assert (switching.info.decoder, switching.info.context_length) == ("native", POSITIONS)
    assert not [x for x in switching.info.notices if "rotary" in x]
    check(switching, model, 1, LONG - 1, LONG, LONG + 1, 60, LONG, LONG + 1, 5, POSITIONS - 1, 40)


def test_a_text_that_grows_past_it(switching: LocalEngine, model: Any) -> None:
    ids = list(IDS[:5])
    found = run(switching, request(ids, max_tokens=60)).ids()
    for id_ in found:
        logits = reference(model, ids)
        assert logits[id_] >= logits.max() - 1e-4
        ids.append(id_)


def test_texts_of_a_batch_grow_past_it_one_after_the_other(directory: Path) -> None:
    """As each does alone, samples of one prompt and the same prompt again among them."""
    live, alone = Live(load(directory, None)), load(directory, None)
    asked = [request(IDS[i : i + n], max_tokens=40, seed=i) for i, n in enumerate((3, 17, 30, 3))]
    asked.append(request(IDS[:8], samples=3, max_tokens=30, seed=9, sampling=FREE))
    numbers = [live.submit(each) for each in asked]
    live.finish()
    for number, each in zip(numbers, asked, strict=True):
        check_as_alone(alone, each, live.runs[number])


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model whose texts are long enough, before the switch, for samples to share keys."""
    config = settings(original_max_position_embeddings=LATER)
    config["original_max_position_embeddings"] = LATER
    model = make(type(ARCHITECTURES["phi3-longrope"]())(**config))
    return save(model, tmp_path_factory.mktemp("longrope"))


@given(seed=st.integers(0, 2**16), rows=st.integers(1, 5), deeds=DEEDS)
@hypothesis.settings(max_examples=25, deadline=None)
def test_any_schedule(later: Path, seed: int, rows: int, deeds: list[str]) -> None:
    engine, solo = load(later, None), load(later, None)
    decoder = engine.decoder
    assert isinstance(decoder, SwitchingDecoder)
    assert decoder.new_batched_cache().shared_block < LATER
    decoder.prefill_chunk = 10
    follow(Live(engine, rows), solo, seed, deeds, longest=80)


def test_a_row_that_grew_past_it_is_copied_back(directory: Path, model: Any) -> None:
    decoder = load(directory, None).decoder
    cache, rows = decoder.new_cache(), decoder.new_batched_cache()
    feed(decoder, cache, IDS[: LONG - 3])
    rows.add(cache, 2, POSITIONS)
    for id_ in IDS[LONG - 3 : LONG + 3]:
        found = feed(decoder, rows, [id_], [id_])
    expected = reference(model, IDS[: LONG + 3])
    torch.testing.assert_close(found, torch.stack([expected] * 2), rtol=0, atol=1e-4)
    shorter = decoder.new_cache()
    feed(decoder, shorter, IDS[:5])
    rows.copy_row(0, shorter)
    assert (shorter.length, shorter.crop(LONG)) == (LONG + 3, 0)
    rows.copy_row(1, cache)
    assert cache.length == LONG + 3
    assert cache.crop(LONG + 1) == LONG + 1
    found = feed(decoder, cache, IDS[LONG + 1 : LONG + 5])
    torch.testing.assert_close(found[0], reference(model, IDS[: LONG + 5]), rtol=0, atol=1e-4)
    assert cache.crop(LONG) == 0


def test_the_beginning_of_a_long_text_is_no_short_one(directory: Path, model: Any) -> None:
    decoder = load(directory, None).decoder
    cache, other = decoder.new_cache(), decoder.new_cache()
    assert cache.expect(60) == 0
    decoder.forward(np.array([IDS[:10]]), cache, last=0)
    assert cache.expect(60) == 10
    assert other.copy_from(cache, 10) == 0
    assert cache.expect(LONG) == 0
    found = feed(decoder, cache, IDS[:12])
    torch.testing.assert_close(found[0], reference(model, IDS[:12]), rtol=0, atol=1e-4)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of tokens of each pass, which are ten at most."""
    rows: list[int] = []
    hidden = SwitchingDecoder._hidden

    def counted(self: Any, ids: Any, step: Any) -> Any:
        rows.append(len(ids))
        return hidden(self, ids, step)

    monkeypatch.setattr(SwitchingDecoder, "_hidden", counted)
    monkeypatch.setattr(SwitchingDecoder, "prefill_chunk", 10)
    return rows


def test_a_long_prompt_is_computed_once(directory: Path, model: Any, rows: list[int]) -> None:
    engine = load(directory, None)
    check(engine, model, 60)
    assert sum(rows) == 60
    rows.clear()
    run(engine, request(IDS[:5], max_tokens=LONG + 1 - 5))
    assert sum(rows) == LONG  # all but the last token, none of them twice
    rows.clear()
    run(engine, request(IDS[5:10], max_tokens=LONG + 3 - 5))
    assert sum(rows) == LONG + LONG + 2


def test_a_long_text_that_is_looked_into_is_computed_once(directory: Path, rows: list[int]) -> None:
    engine = load(directory, None)
    ids = tuple(IDS[:60])
    list(engine.inspect(TokenRequest(ids=ids, position=60)))
    assert sum(rows) == 60
    rows.clear()
    list(engine.inspect(TokenRequest(ids=ids, position=LONG + 1)))  # of what is held
    assert sum(rows) == 1
    rows.clear()
    list(engine.inspect(TokenRequest(ids=ids, position=LONG)))
    assert sum(rows) == LONG
    rows.clear()
    list(engine.inspect(TokenRequest(ids=ids, position=LONG + 2)))
    assert sum(rows) == LONG + 2


def test_a_text_that_grows_past_it_is_computed_in_chunks(directory: Path, model: Any) -> None:
    """A step of the batch feeds one: between them it can be cancelled."""
    engine = load(directory, None)
    decoder = engine.decoder
    assert isinstance(decoder, SwitchingDecoder)
    decoder.prefill_chunk = 5
    live = Live(engine)
    number = live.submit(request(IDS[:5], max_tokens=40))
    live.step_until(number, LONG + 1 - 5)
    assert [live.step() for _ in range(LONG // 5)] == [[]] * (LONG // 5)
    assert len(live.step()) == 1
    live.finish()
    ids = list(IDS[:5])
    for id_ in live.runs[number].ids():
        logits = reference(model, ids)
        assert logits[id_] >= logits.max() - 1e-4
        ids.append(id_)
    turn = run(engine, request([*ids, 7, 8]))
    assert turn.started.reused_tokens == len(ids) - 1
    turn = run(engine, request(IDS[:LONG]))
    assert turn.started.reused_tokens == 0
    turn = run(engine, request(IDS[:60]))
    assert (turn.started.reused_tokens, turn.prefilled[-1].total) == (0, 60)


@pytest.mark.parametrize("written", [False, True])
def test_what_was_read_before_changes_no_number(directory: Path, written: bool) -> None:
    used, fresh = load(directory, None), load(directory, None)
    ids = tuple(IDS[:60])
    if written:
        run(used, request(ids, max_tokens=2))
    list(used.inspect(TokenRequest(ids=ids, position=60)))
    for position in (3, LONG, LONG + 1, 60):
        question = TokenRequest(ids=ids, position=position)
        (*_, found), (*_, expected) = used.inspect(question), fresh.inspect(question)
        assert found == expected


@pytest.mark.parametrize("context", [None, LONG + 1, POSITIONS])
def test_without_kernels_longer_texts_go_through_transformers(
    context: int | None, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "library", lambda: None)
    info = load(directory, context).info
    assert info.decoder == "transformers"
    (notice,) = info.notices
    assert notice.endswith(why_not_native(settings(), switches=False))
    assert f"--context {LONG} gives it a decoder" in notice
    assert load(directory, LONG).info.decoder == "native"


def test_a_gguf_file_without_kernels(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "library", lambda: None)
    engine = load_gguf(save_gguf(model, tmp_path / "m.gguf", "phi3"))
    assert (engine.info.decoder, engine.info.context_length) == ("native", LONG)
    assert f"texts of up to {LONG} tokens, not {POSITIONS}" in engine.info.notices[-1]
    assert "a longer --context asks for" in engine.info.notices[-1]
    check(engine, model, 1, LONG - 1)


@pytest.mark.parametrize("context", [LONG + 1, POSITIONS, 10 * POSITIONS])
def test_a_gguf_file_for_long_texts_without_kernels(
    context: int, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All texts get the factors for long ones, as if the short ones were the same."""
    monkeypatch.setattr(native, "library", lambda: None)
    alike = make(type(ARCHITECTURES["phi3-longrope"]())(**settings(short_factor=LONG_FACTORS)))
    alike.load_state_dict(model.state_dict())
    engine = load_gguf(save_gguf(model, tmp_path / "m.gguf", "phi3"), context=context)
    longest = min(context, POSITIONS)
    assert (engine.info.decoder, engine.info.context_length) == ("native", longest)
    (*_, notice) = engine.info.notices
    assert "embedding for long texts" in notice
    check(engine, alike, 1, LONG - 1, LONG, longest - 1)
    # Beyond the switch that is what the library computes.
    beyond = reference(model, IDS[: longest - 1])
    assert longest == LONG + 1 or torch.equal(beyond, reference(alike, IDS[: longest - 1]))


def test_a_gguf_file_that_knows_no_longer_texts(tmp_path: Path) -> None:
    model = make(type(ARCHITECTURES["phi3-longrope"]())(**settings()))
    del model.config.rope_parameters["long_factor"]
    for context in (None, POSITIONS):
        engine = load_gguf(save_gguf(model, tmp_path / "m.gguf", "phi3"), context=context)
        assert (engine.info.decoder, engine.info.context_length) == ("native", LONG)
        assert engine.info.notices[-1].endswith("is another, which the file does not hold")


def test_a_gguf_file_with_damaged_factors(tmp_path: Path) -> None:
    config = settings(short_factor=[1.0, 1.0, 1.0, 0.0])
    model = make(type(ARCHITECTURES["phi3-longrope"]())(**settings()))
    model.config.rope_parameters = config["rope_parameters"]
    with pytest.raises(ModelError, match="factors of the rotary embedding are damaged"):
        load_gguf(save_gguf(model, tmp_path / "m.gguf", "phi3"))


@pytest.mark.parametrize("factors", [[1.0] * 3, "1.0"])
def test_factors_of_another_form_go_to_transformers(factors: object) -> None:
    assert parse_config(settings(short_factor=factors), LONG) is None


@pytest.mark.parametrize("factor", [0.0, -1.0, "a", None])
def test_a_damaged_factor_is_named(factor: object) -> None:
    with pytest.raises(ModelError, match="short_factor"):
        parse_config(settings(short_factor=[1.0, 1.0, 1.0, factor]), LONG)

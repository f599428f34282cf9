"""GGUF models that are split over files: any part stands for all."""

import shutil
from pathlib import Path

import pytest
import torch

from gptterm.engine.api import LoadRequest
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.gguf.reader import read_header
from gptterm.engine.gguf_parts import part_names
from gptterm.engine.runtime.fingerprint import fingerprint_of
from gptterm.engine.runtime.model_files import weights_size
from gptterm.errors import ModelError
from gptterm.models import read_metadata, resolve
from tests.engine.checkpoints import ARCHITECTURES, draw_ids, log_probabilities, make, reference
from tests.engine.gguf.files import write_gguf
from tests.engine.gguf.models import metadata_of, tensors_of

IDS = draw_ids(20)
PARTS = [f"m-0000{i}-of-00003.gguf" for i in (1, 2, 3)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model in three parts."""
    model = make(ARCHITECTURES["llama"]())
    tensors = tensors_of(model, "llama")
    write_gguf(
        tmp_path / "m.gguf", metadata_of(model.config, "llama"), tensors,
        most_tensors=-(-len(tensors) // 3),
    )  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == PARTS
    return tmp_path


def test_any_part_opens_the_whole_model(folder: Path) -> None:
    sources = [resolve(str(folder / part)) for part in PARTS]
    assert {source.gguf_file for source in sources} == {PARTS[0]}
    size = sum((folder / part).stat().st_size for part in PARTS)
    assert weights_size(folder, PARTS[1]) == read_metadata(sources[1]).size == size
    request = LoadRequest(source=sources[1], device="cpu", dtype="float32")
    engine = load_engine(request)
    model = make(ARCHITECTURES["llama"]())
    expected = torch.log_softmax(reference(model, IDS), 0)
    torch.testing.assert_close(log_probabilities(engine, IDS), expected, rtol=0, atol=1e-4)
    before = fingerprint_of(request)
    with (folder / PARTS[2]).open("ab") as part:
        part.write(b"\0")
    assert fingerprint_of(request) != before


def test_a_missing_part_is_told(folder: Path) -> None:
    (folder / PARTS[0]).unlink()
    with pytest.raises(ModelError, match=r"is one of 3 parts, of which m-00001-of-00003\.gguf is"):
        resolve(str(folder / PARTS[1]))
    (folder / PARTS[2]).unlink()
    with pytest.raises(ModelError, match=r"m-00001-of-00003\.gguf and 1 more is missing"):
        read_header(folder / PARTS[1])


def test_parts_of_different_models_are_told(folder: Path) -> None:
    shutil.copy(folder / PARTS[1], folder / PARTS[2])
    with pytest.raises(ModelError, match=r"00003-of-00003\.gguf is no part of m-00001"):
        read_header(folder / PARTS[0])
    (folder / PARTS[0]).rename(folder / "first.gguf")
    with pytest.raises(ModelError, match="is one of 3 parts: give them the names that they had"):
        read_header(folder / "first.gguf")


@pytest.mark.parametrize("name", ["m.gguf", "m-00004-of-00003.gguf", "m-00000-of-00000.gguf"])
def test_other_names_are_of_whole_files(name: str) -> None:
    assert part_names(name) == [name]

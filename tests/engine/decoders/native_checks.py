"""A native decoder held against transformers."""

from pathlib import Path
from typing import Any

import torch

from tests.engine.checkpoints import draw_ids, load, log_probabilities, reference

IDS = draw_ids(60)


def check(directory: Path, model: Any, decoder: str = "native") -> None:
    engine = load(directory)
    assert engine.info.decoder == decoder
    assert engine.info.architecture == type(model).__name__
    assert engine.info.parameters == sum(p.numel() for p in model.parameters())
    for size in (1, 60):
        expected = torch.log_softmax(reference(model, IDS[:size]), 0)
        found = log_probabilities(engine, IDS[:size])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)

"""Probabilities of labels against transformers in float64."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from gptterm.conversation.label_scorer import Asking, LabelScorer, Result
from gptterm.engine.inspection.answers import is_last
from gptterm.engine.inspection.requests import InspectableEngine
from gptterm.errors import UsageError
from tests.engine.checkpoints import gpt2, load, make, save

LABELS = ("king", "moon", "evening rain")
PROMPTS = ("Text: a king\nAnswer:", "Text: the moon, the Earth\nAnswer:", "She said:\n")


def answer(engine: InspectableEngine, asking: Asking[Result]) -> Result:
    """The result of what asks an engine."""
    try:
        request = next(asking)
        while True:
            request = asking.send(next(filter(is_last, engine.inspect(request))))
    except StopIteration as end:
        result: Result = end.value
        return result


class Oracle:
    """The definition, on a model of the transformers library in float64."""

    def __init__(self, model: torch.nn.Module, directory: Path) -> None:
        self._model = model.double()
        self._tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))

    def logprobs(self, prompt: str, labels: tuple[str, ...]) -> NDArray[np.float64]:
        space = "" if prompt.endswith("\n") else " "
        return np.array([self._logprob(prompt, space + label) for label in labels])

    def _logprob(self, prompt: str, answer: str) -> float:
        before = self._tokenizer.encode(prompt).ids
        ids = self._tokenizer.encode(prompt + answer).ids
        assert ids[: len(before)] == before
        with torch.no_grad():
            logits = self._model(torch.tensor([ids])).logits[0]
        logs = torch.log_softmax(logits, -1)
        return sum(float(logs[i - 1, ids[i]]) for i in range(len(before), len(ids)))

    def probabilities(self, prompt: str, labels: tuple[str, ...]) -> NDArray[np.float64]:
        weights = np.exp(self.logprobs(prompt, labels))
        return np.asarray(weights / weights.sum())


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(make(gpt2()), tmp_path_factory.mktemp("labels") / "model")


@pytest.fixture(scope="module")
def oracle(directory: Path) -> Oracle:
    return Oracle(make(gpt2()), directory)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_probabilities_are_the_oracle_s(directory: Path, oracle: Oracle, prompt: str) -> None:
    scores = answer(load(directory), LabelScorer(LABELS, chat=False).score(prompt))
    expected = oracle.probabilities(prompt, LABELS)
    np.testing.assert_allclose(scores.probabilities, expected, atol=1e-4)
    assert scores.best == expected.argmax()
    # Up to what the labels' tokens have in common.
    shift = oracle.logprobs(prompt, LABELS) - scores.logprobs
    np.testing.assert_allclose(shift, shift[0], atol=1e-4)
    assert not scores.cut


def test_calibration_divides_by_what_is_said_to_texts_without_content(
    directory: Path, oracle: Oracle
) -> None:
    engine, scorer = load(directory), LabelScorer(LABELS, chat=False)
    answer(engine, scorer.calibrate(PROMPTS[1:]))
    prior = np.mean([oracle.probabilities(prompt, LABELS) for prompt in PROMPTS[1:]], axis=0)
    weights = oracle.probabilities(PROMPTS[0], LABELS) / prior
    scores = answer(engine, scorer.score(PROMPTS[0]))
    np.testing.assert_allclose(scores.probabilities, weights / weights.sum(), atol=1e-4)
    # A text without content itself: nothing is left to say.
    one = LabelScorer(LABELS, chat=False)
    answer(engine, one.calibrate(PROMPTS[:1]))
    np.testing.assert_allclose(
        answer(engine, one.score(PROMPTS[0])).probabilities, [1 / 3] * 3, atol=1e-6
    )


def test_labels_with_common_tokens(directory: Path, oracle: Oracle) -> None:
    labels = ("the king", "the moon")
    scores = answer(load(directory), LabelScorer(labels, chat=False).score(PROMPTS[0]))
    expected = oracle.probabilities(PROMPTS[0], labels)
    np.testing.assert_allclose(scores.probabilities, expected, atol=1e-4)


def test_a_label_that_begins_another_is_refused(directory: Path) -> None:
    scorer = LabelScorer(("the moon", "the moon x"), chat=False)
    with pytest.raises(UsageError, match="the beginning of another label"):
        answer(load(directory), scorer.score(PROMPTS[0]))


def test_the_order_of_labels_and_of_texts_changes_nothing(directory: Path) -> None:
    engine = load(directory)
    forth = LabelScorer(LABELS, chat=True)
    back = LabelScorer(LABELS[::-1], chat=True)
    for prompt in PROMPTS:
        one, other = (answer(engine, each.score(prompt)) for each in (forth, back))
        np.testing.assert_allclose(one.probabilities, other.probabilities[::-1], atol=1e-5)

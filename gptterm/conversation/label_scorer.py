"""Label scorer: the probabilities of labels as a model's answer to a prompt.

The logprob of a label is the sum of its tokens' (Brown et al., 2020, section 2.4); probabilities
are normalised over the labels.
"""

import math
from collections.abc import Generator, Sequence
from typing import NamedTuple, TypeVar

from gptterm.engine.api import ChatPrompt, Message, Prompt, TextPrompt, Transcript
from gptterm.engine.inspection.answers import Encoded, InspectionEvent, ScoreSummary
from gptterm.engine.inspection.requests import EncodeRequest, InspectionRequest, ScoreRequest
from gptterm.errors import UsageError

Result = TypeVar("Result")
Asking = Generator[InspectionRequest, InspectionEvent, Result]
"""A computation that asks an engine: it yields requests, and is sent the last event of each."""

CONTENT_FREE = ("N/A", "", "[MASK]")
"""Inputs of which a fair model would say nothing (Zhao et al., 2021, section 5)."""


class LabelScores(NamedTuple):
    """Scores of the labels for one prompt, in the labels' order."""

    logprobs: tuple[float, ...]
    """Natural logarithms of the labels' probabilities, given what their tokens have in common."""
    probabilities: tuple[float, ...]
    """Normalised over the labels, and calibrated if asked for."""
    cut: bool
    """The prompt is longer than the context: its beginning was not read."""

    @property
    def best(self) -> int:
        """Index of the likeliest label; of equal ones, the first."""
        return self.probabilities.index(max(self.probabilities))


class LabelScorer:
    """Scores labels as answers, by an engine that others ask.

    Args:
        labels: two or more.
        chat: the prompt is a user's message; else the label continues it.
        system: of the chat; empty for none.

    Raises:
        UsageError: from `score`: the tokens of one label begin with those of another.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        chat: bool,
        system: str = "",
        transcript: Transcript = Transcript(),  # noqa: B008 - frozen
    ) -> None:
        self._labels = tuple(labels)
        self._chat = chat
        self._system = system
        self._transcript = transcript
        self._prior = (1.0,) * len(labels)

    def calibrate(self, prompts: Sequence[str]) -> Asking[None]:
        """Divide by the mean probabilities for these prompts from now on.

        Contextual calibration (Zhao et al., 2021): a diagonal matrix, the inverse of what the
        model says to inputs without content. The paper has the argmax of it; here the result is
        normalised, which does not change that.
        """
        rows = []
        for prompt in prompts:
            logprobs, _ = yield from self._logprobs(prompt)
            rows.append(_softmax(logprobs))
        self._prior = tuple(math.fsum(column) / len(rows) for column in zip(*rows, strict=True))

    def score(self, prompt: str) -> Asking[LabelScores]:
        """Score the labels as answers to a prompt."""
        logprobs, cut = yield from self._logprobs(prompt)
        shifted = [
            one - math.log(max(prior, 1e-300))
            for one, prior in zip(logprobs, self._prior, strict=True)
        ]
        return LabelScores(logprobs, _softmax(shifted), cut)

    def _logprobs(self, prompt: str) -> Asking[tuple[tuple[float, ...], bool]]:
        texts = []
        for label in self._labels:
            encoded = yield EncodeRequest(prompt=self._answered(prompt, label))
            assert isinstance(encoded, Encoded)
            texts.append(tuple(piece.id for piece in encoded.pieces))
        first = _common_prefix(texts)
        shortest = min(range(len(texts)), key=lambda i: len(texts[i]))
        if len(texts[shortest]) <= first:
            raise UsageError(
                f'"{self._labels[shortest]}" is the beginning of another label, so its probability '
                "has that one's in it: choose other labels"
            )
        logprobs, cut = [], False
        for ids in texts:
            summary = yield ScoreRequest(ids=ids, first=first, start_token=False)
            assert isinstance(summary, ScoreSummary)
            logprobs.append(summary.logprob)
            cut = cut or summary.windows > 1
        return tuple(logprobs), cut

    def _answered(self, prompt: str, label: str) -> Prompt:
        """The prompt with a label as its answer."""
        if not self._chat:
            return TextPrompt(text=f"{prompt}{'' if prompt[-1:].isspace() else ' '}{label}")
        system = (Message(role="system", text=self._system),) if self._system else ()
        turns = (Message(role="user", text=prompt), Message(role="assistant", text=label))
        return ChatPrompt(
            messages=(*system, *turns), continue_last=True, transcript=self._transcript
        )


def _common_prefix(texts: Sequence[Sequence[int]]) -> int:
    """Number of ids that all texts begin with."""
    columns = zip(*texts, strict=False)
    return next(
        (number for number, column in enumerate(columns) if len(set(column)) > 1),
        min(map(len, texts)),
    )


def _softmax(logs: Sequence[float]) -> tuple[float, ...]:
    largest = max(logs)
    weights = [math.exp(each - largest) for each in logs]
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)

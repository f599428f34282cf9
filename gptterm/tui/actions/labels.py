"""Labels of a task: the likeliest as its answer, and what is said of the others."""

from collections.abc import Sequence
from typing import NamedTuple

from gptterm.config import Settings
from gptterm.conversation.label_scorer import LabelScorer
from gptterm.errors import GpttermError
from gptterm.tui.state.asking import result_of
from gptterm.tui.state.engine_manager import EngineManager

_MOST_SAID = 6


class LabelAnswer(NamedTuple):
    """The likeliest label, and the probabilities of all in a line."""

    label: str
    said: str


async def likeliest_label(
    engine: EngineManager, settings: Settings, labels: Sequence[str], prompt: str, *, chat: bool
) -> LabelAnswer:
    """Return the label that the model gives the highest probability as the prompt's answer.

    Args:
        chat: the prompt is a user's message; else the label continues it.

    Raises:
        GpttermError: the model is not loaded, or cannot tell the probability of a given text.
    """
    if not engine.ready:
        raise GpttermError("the model is not loaded yet: choose the task again once it is")
    system = (settings.system or "") if chat else ""
    scorer = LabelScorer(labels, chat=chat, system=system, transcript=settings.transcript)
    scores = await result_of(engine.client, scorer.score(prompt))
    ranked = sorted(zip(scores.probabilities, labels, strict=True), key=lambda each: -each[0])
    said = [f"{label} {probability:.2f}" for probability, label in ranked[:_MOST_SAID]]
    if scores.cut:
        said.append("the beginning of the prompt is not read")
    return LabelAnswer(labels[scores.best], " · ".join(said))

"""Attribution of a turn in a line: its author, and the models and samplers that generated it."""

import json
from collections.abc import Iterator, Sequence

from gptterm.conversation.nodes import Generation, Node
from gptterm.engine.api import SamplingParams
from gptterm.engine.samplers import SAMPLERS
from gptterm.format import plural, shorten, token_rate
from gptterm.terminal import one_line

SHOWN_SYSTEM = 40
"""Characters of a system text."""
_ENDS = {
    None: "unfinished",
    "length": "stopped at max tokens",
    "cancelled": "stopped",
    "error": "failed",
    "stop": "",
    "eos": "",
}


def speaker(node: Node) -> str:
    """Return the author of a turn, on one line."""
    return "You" if node.role == "user" else one_line(node.model) or "Assistant"


def generation_summary(runs: Sequence[Generation]) -> str:
    """Summarise the runs that wrote a reply: `gpt2 · temperature 0.8 · seed 7 · 128 tokens`.

    Neutral samplers are left out. A change in the middle of the reply follows a "then". Runs that
    wrote nothing are left out, unless there is no other. Of an imported reply at most the model is
    known: `gpt-4o · from ChatGPT`.
    """
    if runs[-1].origin:
        return " · ".join(filter(None, map(one_line, (runs[-1].model, f"from {runs[-1].origin}"))))
    runs = [run for run in runs if run.tokens] or runs[-1:]
    parts: list[str] = []
    previous: dict[str, str] = {}
    for labels in (labels for run in runs for labels in _sampling_segments(run)):
        changes = [text for name, text in labels.items() if previous.get(name) != text]
        if labels["temperature"] == _GREEDY:
            labels = previous | labels  # inactive, but not switched off
        changes += [f"{name} off" for name in previous if name not in labels]
        if previous and changes:
            changes[0] = f"then {changes[0]}"
        parts += changes
        previous = labels
    tokens, last = sum(run.written_tokens for run in runs), runs[-1]
    parts.append(plural(tokens, "token"))
    if last.timings is not None and last.timings.tokens_per_s > 0:
        parts.append(token_rate(last.timings.tokens_per_s))
    return " · ".join(part for part in (*parts, _ENDS[last.reason]) if part)


_GREEDY = "temperature 0"


def _sampling_segments(run: Generation) -> Iterator[dict[str, str]]:
    """Yield the labels of each stretch of a run with the same samplers, by sampler."""
    # Of two changes before the same token the later counts.
    for sampling in {0: run.sampling, **dict(run.changed_sampling)}.values():
        yield _labels(run, sampling)


def _labels(run: Generation, sampling: SamplingParams) -> dict[str, str]:
    labels = {"model": one_line(run.model), "temperature": f"temperature {sampling.temperature:g}"}
    draws = labels["temperature"] != _GREEDY
    for sampler in SAMPLERS.values():
        value = getattr(sampling, sampler.name)
        counts = sampler.kind == "penalty" or (draws and sampler.kind == "filter")
        if counts and value != sampler.neutral:
            labels[sampler.label] = f"{sampler.label} {value:g}"
    if draws and sampling.order != SamplingParams().order:
        labels["order"] = f"order {sampling.order}"
    if draws and run.seed is not None:
        labels["seed"] = f"seed {run.seed}"
    if run.stop_texts:
        texts = " ".join(json.dumps(text, ensure_ascii=False) for text in run.stop_texts)
        labels["stop"] = f"stop {one_line(texts)}"
    if run.system:
        labels["system"] = f"system {shorten(run.system, SHOWN_SYSTEM)}"
    return labels

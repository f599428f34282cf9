"""Probe of a server's capabilities, by a few tokens in each form."""

from typing import NamedTuple

from gptterm.engine.api import (
    ChatPrompt,
    Failed,
    Finished,
    GenerateRequest,
    Message,
    Prompt,
    RemoteModel,
    SamplingParams,
    Started,
    TextPrompt,
    Token,
)
from gptterm.engine.remote.discovery import describe_model
from gptterm.engine.remote.model_list import list_models
from gptterm.engine.remote.requests import dialect_of
from gptterm.engine.remote.servers import Access
from gptterm.engine.remote.session import Session
from gptterm.engine.samplers import SAMPLERS

MAX_TOKENS = 4
ALTERNATIVES = 3
_SAMPLING = SamplingParams(
    temperature=0.7, top_k=20, top_p=0.9, min_p=0.02, typical_p=0.95, repetition_penalty=1.1,
    presence_penalty=0.1, frequency_penalty=0.1,
)  # fmt: skip
"""Every sampler on, so that each one is sent."""
_FORMS: dict[str, Prompt] = {
    "chat": ChatPrompt(messages=(Message(role="user", text="Say hello."),)),
    "continuation": TextPrompt(text="Once upon a time"),
}


class FormResult(NamedTuple):
    """Outcome of a request in one form."""

    problem: str
    """Why it failed; empty if it did not."""
    first_token_s: float = 0.0
    alternatives: int | None = None
    """Most alternatives told for a token; None: no log probabilities."""
    told_counts: bool = False


class ServerReport(NamedTuple):
    """Capabilities of a server."""

    remote: RemoteModel
    """The model that was tried; without a name if several are there and none was named."""
    kind: str
    """The kind of server; empty if it is not known."""
    models: tuple[str, ...] | None
    """None: the server has no list."""
    forms: dict[str, FormResult]
    """By `chat` and `continuation`; empty if no model was tried."""
    samplers: tuple[str, ...]
    """Labels of the samplers that are sent."""
    left_out: dict[str, str]
    """Labels of the others, with the reason."""
    no_logprobs: str
    """Why there are no log probabilities; empty if there are."""


async def probe(remote: RemoteModel, access: Access) -> ServerReport:
    """Ask a server for its models and for a few tokens in each form.

    Raises:
        ModelError: it cannot be reached, or refuses.
    """
    found = await list_models(remote, access)
    names = None if found is None else tuple(str(item["id"]) for item in found.models)
    if not remote.model and (names is None or len(names) != 1):
        return ServerReport(remote, "", names, {}, (), {}, "")
    remote = describe_model(remote, found)
    session = Session(remote, access)
    try:
        forms = {name: await _try(session, prompt) for name, prompt in _FORMS.items()}
    finally:
        await session.close()
    sent, left_out = _samplers(session)
    told = any(form.alternatives is not None for form in forms.values())
    reason = "" if told else session.no_logprobs or "no request succeeded"
    dialect = dialect_of(remote, session.learned)
    kind = dialect.label if remote.dialect or session.learned.dialect else ""
    return ServerReport(remote, kind, names, forms, sent, left_out, reason)


async def _try(session: Session, prompt: Prompt) -> FormResult:
    request = GenerateRequest(
        prompt=prompt, sampling=_SAMPLING, max_tokens=MAX_TOKENS, logprobs=ALTERNATIVES, seed=1
    )
    result = FormResult("it sent no token")
    async for event in session.generate(request):
        match event:
            case Started() if session.learned.no_chat and isinstance(prompt, ChatPrompt):
                result = FormResult("it has none: a transcript is continued")
            case Token() if event.logprob is not None or event.alternatives:
                most = max(len(event.alternatives), result.alternatives or 0)
                result = result._replace(alternatives=most)
            case Finished():
                problem = result.problem if session.learned.no_chat else ""
                result = result._replace(
                    problem=problem if isinstance(prompt, ChatPrompt) else "",
                    first_token_s=event.timings.first_token_s,
                    told_counts=event.usage.prompt_tokens > 0,
                )
            case Failed():
                result = FormResult(event.message)
    return result


def _samplers(session: Session) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the labels of the samplers that go with a request, and why the others do not."""
    dialect = dialect_of(session.remote, session.learned)
    sent, left_out = [], {}
    for sampler in SAMPLERS.values():
        field = dialect.samplers.get(sampler.name)
        if field is None:
            left_out[sampler.label] = f"{dialect.label} does not take it"
        elif reason := session.learned.refusal(
            field.name, field.convert(getattr(_SAMPLING, sampler.name))
        ):
            left_out[sampler.label] = reason
        else:
            sent.append(sampler.label)
    return tuple(sent), left_out

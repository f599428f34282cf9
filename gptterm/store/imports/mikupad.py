"""Sessions of mikupad: an object of JSON texts, the prompt's being a list of chunks."""

import itertools
import time

from gptterm.document.settings import DocumentSettings, Setting
from gptterm.json_values import Object, as_object, as_objects, as_text, as_texts
from gptterm.store.imports.json_values import decode
from gptterm.store.imports.parsed_document import Builder, ImportedDocument

ORIGIN = "mikupad"
_SAMPLERS = {
    "temperature": ("temperature", "temperature"),
    "topK": ("top_k", "top_k"),
    "topP": ("top_p", "top_p"),
    "minP": ("min_p", "min_p"),
    "typicalP": ("typical_p", "typ_p"),
    "repeatPenalty": ("repetition_penalty", "rep_pen"),
    "presencePenalty": ("presence_penalty", "pres_pen"),
    "frequencyPenalty": ("frequency_penalty", "freq_pen"),
}
"""Field → our setting, and the name by which mikupad switches it on."""
_COUNTS = {"seed": "seed", "maxPredictTokens": "max_tokens"}
"""Of these a negative number is none."""


def matches(raw: Object) -> bool:
    """Whether an object is a session of this format."""
    prompt = raw.get("prompt")
    return isinstance(prompt, str) and prompt.lstrip().startswith("[{") and '"content"' in prompt


def parse(raw: Object) -> ImportedDocument:
    """Parse one session.

    Raises:
        UnreadableChatError: It has no text.
    """
    fields = {name: _field(raw, name) for name in raw}
    title = as_text(fields.get("name"))
    chunks = as_objects(fields.get("prompt"))
    model = as_text(fields.get("openaiModel"))
    builder = Builder(ORIGIN, title or "".join(as_text(c.get("content")) for c in chunks[:1]))
    current, now = None, time.time()
    for is_user, group in itertools.groupby(chunks, lambda chunk: chunk.get("type") == "user"):
        text = "".join(as_text(chunk.get("content")) for chunk in group)
        current = builder.add(current, text, now, model=None if is_user else model)
    settings = DocumentSettings(
        memory=_assembled(fields.get("memoryTokens")),
        note=_assembled(fields.get("authorNoteTokens")),
        values=_values(fields),
    )
    return builder.document(title, current, settings)


def _field(raw: Object, name: str) -> object:
    """A field, which is a text of JSON; in older sessions it may be the value itself."""
    value = raw.get(name)
    if not isinstance(value, str):
        return value
    try:
        return decode(value.encode("utf-8", "surrogatepass"))
    except ValueError:
        return value


def _assembled(parts: object) -> str:
    """A memory or note, with what stands before and after it; empty without a text."""
    texts = as_object(parts)
    if not as_text(texts.get("text")):
        return ""
    whole = "".join(as_text(texts.get(name)) for name in ("prefix", "text", "suffix"))
    return whole.replace("\\n", "\n").encode("utf-8", "replace").decode()


def _values(fields: Object) -> dict[str, Setting]:
    """The samplers that are switched on, by our names."""
    enabled = fields.get("enabledSamplers")
    known = as_texts(enabled) if isinstance(enabled, list) else None
    found: dict[str, Setting] = {}
    for field, (name, switch) in _SAMPLERS.items():
        value = fields.get(field)
        if type(value) in (int, float) and (known is None or switch in known):
            found[name] = value
    for field, name in _COUNTS.items():
        value = fields.get(field)
        if type(value) is int and 0 <= value < 1 << 31:
            found[name] = value
    stop = fields.get("stoppingStrings")
    texts = as_texts(_field({"stop": stop}, "stop"))
    if texts:
        found["stop"] = [text.encode("utf-8", "replace").decode() for text in texts]
    return found

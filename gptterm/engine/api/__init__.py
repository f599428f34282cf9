"""Contract between front ends and engines: requests, events, the `Engine` protocol.

All values are frozen, validated data that msgspec encodes for a pipe or as JSON. Decoding refuses
unknown fields, and constructors refuse values out of range. No heavy imports: a front end draws its
first frame before torch is loaded.
"""

from gptterm.engine.api.base import (
    Data,
)
from gptterm.engine.api.engine import (
    Candidate,
    CoreSharingEngine,
    Engine,
    NextToken,
    Piece,
)
from gptterm.engine.api.events import (
    NO_ID,
    Alternative,
    Event,
    Failed,
    Finished,
    FinishReason,
    Prefilled,
    Reasoning,
    Started,
    Timings,
    Token,
    Usage,
)
from gptterm.engine.api.generate_request import (
    ChatPrompt,
    GenerateRequest,
    Message,
    MixedPrompt,
    Overflow,
    Prompt,
    Role,
    TextPrompt,
    TokenPrompt,
    Transcript,
)
from gptterm.engine.api.loading import (
    KV_DTYPES,
    AdapterSource,
    Api,
    Dtype,
    KVDtype,
    LoadRequest,
    ModelInfo,
    ModelSource,
    RemoteModel,
)
from gptterm.engine.api.sampling_params import (
    MOST_WORD,
    NEUTRAL,
    SamplerOrder,
    SamplingParams,
)

__all__ = [
    "KV_DTYPES",
    "MOST_WORD",
    "NEUTRAL",
    "NO_ID",
    "AdapterSource",
    "Alternative",
    "Api",
    "Candidate",
    "ChatPrompt",
    "CoreSharingEngine",
    "Data",
    "Dtype",
    "Engine",
    "Event",
    "Failed",
    "FinishReason",
    "Finished",
    "GenerateRequest",
    "KVDtype",
    "LoadRequest",
    "Message",
    "MixedPrompt",
    "ModelInfo",
    "ModelSource",
    "NextToken",
    "Overflow",
    "Piece",
    "Prefilled",
    "Prompt",
    "Reasoning",
    "RemoteModel",
    "Role",
    "SamplerOrder",
    "SamplingParams",
    "Started",
    "TextPrompt",
    "Timings",
    "Token",
    "TokenPrompt",
    "Transcript",
    "Usage",
]

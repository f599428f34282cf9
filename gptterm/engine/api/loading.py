"""Request to load a model, and the facts of a loaded one."""

from typing import Literal, get_args

from gptterm.engine.api.base import Data

Dtype = Literal["auto", "float32", "bfloat16", "float16", "int8"]
KVDtype = Literal["auto", "float32", "float16", "int8"]
KV_DTYPES: tuple[str, ...] = get_args(KVDtype)[1:]
"""Dtypes of a native decoder's KV cache on a CPU."""
Api = Literal["auto", "chat", "completions"]


class RemoteModel(Data, frozen=True, kw_only=True):
    """A model on an OpenAI-compatible server. Never its key."""

    server: str
    """Name of the server in the settings, or its URL."""
    url: str
    """Base address, such as `http://localhost:8000/v1`."""
    model: str
    """The server's name for the model; empty for its only one."""
    api: Api = "auto"
    """`completions`: it can only continue a text; `chat`: it can only answer."""
    dialect: str = ""
    """Key of `gptterm.engine.remote.dialects`; empty if unknown."""
    context_length: int = 0
    """Tokens; 0 if the server does not tell."""


class ModelSource(Data, frozen=True, kw_only=True):
    """Location of a model: files, as resolved by `gptterm.models`, or a server."""

    name: str
    """Name that the user gave."""
    directory: str
    """Folder with config.json, the weights (safetensors) and the tokenizer's files; empty for a
    remote model."""
    revision: str = ""
    """Commit of a Hub snapshot; empty if unknown."""
    gguf_file: str | None = None
    """Name of the .gguf file in `directory`, for a GGUF model."""
    remote: RemoteModel | None = None
    """The model on a server; None for files."""
    notices: tuple[str, ...] = ()
    """Substitutions made while resolving, one line each."""


class AdapterSource(Data, frozen=True, kw_only=True):
    """A LoRA adapter, in a directory as peft saves it."""

    directory: str
    """Absolute."""
    scale: float = 1.0
    """By which its changes are multiplied, beside its own scale."""

    def __str__(self) -> str:
        return self.directory if self.scale == 1 else f"{self.directory}={self.scale:g}"


class LoadRequest(Data, frozen=True, kw_only=True):
    """Request to start an engine with a model."""

    source: ModelSource
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""
    dtype: Dtype = "auto"
    kv_dtype: KVDtype = "auto"
    """Of the KV cache; `auto` is float32 where the weights are, and float16 elsewhere."""
    context: int | None = None
    """The most tokens of prompt and reply together; None is what the model holds."""
    adapters: tuple[AdapterSource, ...] = ()
    """Merged into the weights; several add up."""


class ModelInfo(Data, frozen=True, kw_only=True):
    """Facts of a loaded model."""

    name: str
    """Name by which the user can ask for it again."""
    revision: str
    """Commit of a Hub snapshot, or a digest of a local file; empty if unknown."""
    architecture: str
    decoder: Literal["native", "transformers", "remote", "scripted"]
    device: str
    dtype: str
    parameters: int
    context_length: int
    """Tokens; 0 if a server does not tell, which holds for the other numbers too."""
    vocab_size: int
    has_chat_template: bool
    fills_middle: bool = False
    """It continues a text before another one: its vocabulary has tokens for that."""
    fidelity_kl: float | None = None
    """Mean KL divergence from the model in float32, in nats per token of a fixed text; None if not
    measured."""
    kv_dtype: str = ""
    """Of the KV cache; empty on a server."""
    kv_fidelity_kl: float | None = None
    """As `fidelity_kl`, of the KV cache in int8 from one in float32; None in other dtypes."""
    cache_bytes_per_token: int = 0
    """Of the KV cache; 0 if it is not known beforehand."""
    load_s: float = 0.0
    """Seconds to load the model; for a warm engine, seconds that this front end waited."""
    adapters: tuple[str, ...] = ()
    """LoRA adapters merged into the weights: directories, each with `=SCALE` where it is not 1."""
    warm_pid: int | None = None
    """Process id of a warm engine, which other front ends may use too; None for one's own."""
    notices: tuple[str, ...] = ()
    """Substitutions made while loading, one line each."""

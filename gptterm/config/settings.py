"""`Settings`: all layers merged into one frozen, validated object that records origins."""

import math
import os
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, cast

import msgspec

from gptterm.config.definitions import BUILT_IN_PRESETS, SETTINGS, env_variable
from gptterm.config.file import Values, did_you_mean, read_config, unknown_preset
from gptterm.config.tasks import Task
from gptterm.config.value_types import AdapterList
from gptterm.engine.api import (
    AdapterSource,
    Dtype,
    GenerateRequest,
    KVDtype,
    LoadRequest,
    ModelSource,
    Overflow,
    Prompt,
    RemoteModel,
    SamplingParams,
    Transcript,
)
from gptterm.engine.remote.servers import Servers
from gptterm.engine.samplers import SAMPLERS
from gptterm.errors import UsageError
from gptterm.format import escaped
from gptterm.paths import config_file
from gptterm.terminal import one_line

Form = Literal["auto", "raw", "chat"]
BUILT_IN = "built-in"


class Layer(NamedTuple):
    """Values from one place; the later layer wins."""

    origin: str
    """Name in `config show`: `config.toml`, `GPTTERM_TOP_K`, `preset focused (option)`."""
    values: Values


class TuiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the TUI alone."""

    theme: str = "auto"
    keys: dict[str, str] = {}
    """Action to key."""
    mouse: bool = True
    reduced_motion: bool = False
    panes: str = "both"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings in effect. Immutable: changes return a new object."""

    model: str
    server: str | None
    """Address or name of the server that `model` was completed with when the settings were read."""
    system: str | None
    preset: str | None
    sampling: SamplingParams
    seed: int | None
    """None: a new one for each request, which is reported."""
    max_tokens: int
    stop: tuple[str, ...]
    until: tuple[str, ...]
    form: Form
    """`raw`: the model continues the prompt; `chat`: it answers; `auto`: by the model."""
    device: str
    dtype: Dtype
    kv_dtype: KVDtype
    context: int | None
    adapter: tuple[str, ...]
    """LoRA adapters: directories, each with `=SCALE` behind it or without."""
    keep_alive: float | Literal["off", "forever"]
    """Minutes that an engine stays after its last client has left."""
    overflow: Overflow
    offline: bool
    save: bool
    """Save prompts and replies in the history."""
    transcript: Transcript
    tui: TuiSettings
    presets: dict[str, Values]
    """Built-in ones and the user's: name to values."""
    tasks: dict[str, Task]
    """Built-in ones and the user's."""
    servers: Servers
    """The servers that names of models can refer to."""
    origins: dict[str, str]
    """Setting to the origin of its value."""
    notices: tuple[str, ...]
    """Values that were ignored, one line each."""
    layers: tuple[Layer, ...]
    """All layers but the built-in one, lowest first."""

    @property
    def model_is_default(self) -> bool:
        """The user did not ask for this model, so a substitute will do."""
        return self.origins["model"] == BUILT_IN

    @property
    def keep_alive_s(self) -> float | None:
        """`keep_alive` in seconds; None for off, infinity for forever."""
        match self.keep_alive:
            case "off":
                return None
            case "forever":
                return math.inf
            case minutes:
                return 60 * minutes

    @property
    def remote(self) -> RemoteModel | None:
        """The model on a server that `model` names; None for a local one.

        Raises:
            UsageError: the name has an address that is not valid.
        """
        return self.servers.find(self.model)

    def value(self, name: str) -> object:
        """Return the value of a setting by the name of its definition."""
        if name == "sampler_order":
            return self.sampling.order
        return getattr(self.sampling if hasattr(self.sampling, name) else self, name)

    def with_model_defaults(self, values: Mapping[str, object]) -> "Settings":
        """Insert a layer of the model's own recommendations, right above the built-in values.

        The model's files are untrusted: a bad value is left out with a notice.
        """
        accepted, notices = {}, list(self.notices)
        for name, value in values.items():
            setting = SETTINGS.get(name)
            if setting is None or not setting.sampling:
                continue
            try:
                accepted[name] = setting.type.validate(value)
            except ValueError as error:
                notices.append(one_line(f"the model's own {name} is ignored: it {error}"))
        layers = [layer for layer in self.layers if layer.origin != _MODEL]
        if accepted:
            layers.insert(0, Layer(_MODEL, accepted))
        return self._merged(layers, notices)

    def with_values(self, values: Mapping[str, object], origin: str) -> "Settings":
        """Add a layer above all others; a preset brings its values.

        Raises:
            UsageError: no such preset.
            ValueError: a value is out of range.
        """
        checked = {name: SETTINGS[name].type.validate(value) for name, value in values.items()}
        added = _with_preset(checked, origin, self.presets, origin)
        return self._merged([*self.layers, *added], self.notices)

    def _merged(self, layers: Iterable[Layer], notices: Iterable[str]) -> "Settings":
        return _merge(
            layers, self.presets, self.tasks, self.servers, self.transcript, self.tui, notices
        )

    def with_server(self, api_key: str = "") -> "Settings":
        """Complete the model's name with the server that the settings name.

        From then on the name alone tells where a model is: another one may be local.

        Args:
            api_key: the key for that server.

        Raises:
            UsageError: the server has no valid address, or there is none for the key.
        """
        settings = self
        if self.server is not None:
            servers = msgspec.structs.replace(self.servers, chosen=self.server)
            origin = self.origins["server"]
            try:
                name = servers.model_name("" if self.model_is_default else self.model)
            except UsageError as error:
                where = "--server" if origin == "option" else origin
                raise UsageError(f"{where}: {error}") from None
            settings = self.with_values({"model": name}, origin)
        remote = settings.remote
        if remote is None:
            if api_key:
                raise UsageError("--api-key is for a server: give --server too")
            return settings
        servers = msgspec.structs.replace(self.servers, chosen=remote.server, api_key=api_key)
        return msgspec.structs.replace(settings, servers=servers)

    def task(self, name: str) -> Task:
        """Return the task of a name.

        Raises:
            UsageError: there is none; the message has the names of those that there are.
        """
        task = self.tasks.get(name)
        if task is None:
            names = ", ".join(sorted(self.tasks))
            raise UsageError(
                one_line(
                    f'there is no task "{name}"{did_you_mean(name, self.tasks)}; there are {names}'
                )
            )
        return task

    def with_task(self, name: str, *, chat: bool) -> "Settings":
        """Add a task's values, which win over all but those that options have set.

        Args:
            chat: the model answers, and ends by itself: the task's stop texts are left out.
        """
        by_option = ("option", f"preset {self.preset} (--preset)")
        values = {
            key: value
            for key, value in self.task(name).settings.items()
            if self.origins[key] not in by_option and not (chat and key == "stop")
        }
        return self.with_values(values, f"task {name}")

    def load_request(self, source: ModelSource) -> LoadRequest:
        """Return the request that starts an engine with these settings."""
        return LoadRequest(
            source=source,
            device=self.device,
            dtype=self.dtype,
            kv_dtype=self.kv_dtype,
            context=self.context,
            adapters=tuple(map(_adapter, self.adapter)),
        )

    def request(
        self, prompt: Prompt, *, samples: int = 1, logprobs: int | None = None
    ) -> GenerateRequest:
        """Return the request for one generation with these settings."""
        return GenerateRequest(
            prompt=prompt,
            sampling=self.sampling,
            max_tokens=self.max_tokens,
            stop=self.stop,
            until=self.until,
            seed=self.seed,
            samples=samples,
            logprobs=logprobs,
            overflow=self.overflow,
        )


def _adapter(text: str) -> AdapterSource:
    directory, scale = AdapterList.split(text)
    # Warm engines have another working directory.
    path = os.path.abspath(os.path.expanduser(directory))
    folder, _, given = path.rpartition("=")
    if os.path.isdir(folder) and not os.path.exists(path):
        raise UsageError(f"--adapter {escaped(directory)}: SCALE must be a number, not {given}")
    return AdapterSource(directory=path, scale=scale)


_MODEL = "the model's generation_config.json"


def load_settings(
    options: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    api_key: str = "",
) -> Settings:
    """Merge built-in values, config.toml, environment and options.

    A model's own recommendations are added once its files are found, by
    `Settings.with_model_defaults`.

    Args:
        options: values of command-line options, by setting.
        environ: replaces the process's environment.
        api_key: the key for the server that the settings name.

    Raises:
        UsageError: a bad value, with the file and line or the variable; an unknown preset.
    """
    config = read_config(config_file())
    presets = {**BUILT_IN_PRESETS, **config.presets}
    variables, notices = _environment(os.environ if environ is None else environ)
    layers = [
        *_with_preset(config.values, "config.toml", presets, "config.toml"),
        *_with_preset(variables, None, presets, env_variable("preset")),
        *_with_preset(dict(options or {}), "option", presets, "--preset"),
    ]
    transcript = Transcript(**cast(dict[str, str], config.transcript))
    tui = msgspec.convert({**config.tui, "keys": config.keys}, TuiSettings)
    servers = Servers(named=config.servers)
    return _merge(layers, presets, config.tasks, servers, transcript, tui, notices).with_server(
        api_key
    )


def _environment(environ: Mapping[str, str]) -> tuple[Values, list[str]]:
    """Return the settings in `GPTTERM_*` variables, and notices about likely typos."""
    values: Values = {}
    known = {env_variable(name): setting for name, setting in SETTINGS.items()}
    for name, setting in known.items():
        text = environ.get(name)
        if not text:
            continue  # empty means unset
        try:
            values[name.removeprefix(_PREFIX).lower()] = setting.type.parse(text)
        except ValueError as error:
            raise UsageError(one_line(f"{name} {error}")) from None
    notices = []
    for name in environ:
        if name.startswith(_PREFIX) and name not in known and name not in _NOT_SETTINGS:
            # Without the common prefix, which would make any two names look alike.
            hint = did_you_mean(name.removeprefix(_PREFIX).lower(), SETTINGS)
            if hint:
                notices.append(one_line(f"{name} is not a setting{hint}"))
    return values, notices


_PREFIX = "GPTTERM_"
_NOT_SETTINGS = ("GPTTERM_HOME", "GPTTERM_DEBUG")


def _with_preset(
    values: Values, origin: str | None, presets: Mapping[str, Values], named_by: str
) -> list[Layer]:
    """Return the layers of one source: its preset's values, below its own.

    Args:
        origin: None for environment variables, each of which is its own origin.
        named_by: source of the preset's name.
    """
    if not values:
        return []
    layers = []
    name = values.get("preset")
    if isinstance(name, str):
        if name not in presets:
            raise UsageError(one_line(f"{named_by}: {unknown_preset(name, presets)}"))
        layers.append(Layer(f"preset {name} ({named_by})", presets[name]))
    if origin is None:
        layers += [Layer(env_variable(key), {key: value}) for key, value in values.items()]
    else:
        layers.append(Layer(origin, values))
    return layers


_DIRECT = tuple(name for name in Settings.__struct_fields__ if name in SETTINGS)


def _merge(
    layers: Iterable[Layer],
    presets: dict[str, Values],
    tasks: dict[str, Task],
    servers: Servers,
    transcript: Transcript,
    tui: TuiSettings,
    notices: Iterable[str],
) -> Settings:
    layers = tuple(layers)
    values: Values = {name: setting.default for name, setting in SETTINGS.items()}
    origins = dict.fromkeys(values, BUILT_IN)
    for layer in layers:
        values.update(layer.values)
        origins.update(dict.fromkeys(layer.values, layer.origin))
    sampling = msgspec.convert(
        {**{name: values[name] for name in SAMPLERS}, "order": values["sampler_order"]},
        SamplingParams,
    )
    return msgspec.convert(
        {
            **{name: values[name] for name in _DIRECT},
            "sampling": sampling,
            "transcript": transcript,
            "tui": tui,
            "presets": presets,
            "tasks": tasks,
            "servers": servers,
            "origins": origins,
            "notices": tuple(notices),
            "layers": layers,
        },
        Settings,
        from_attributes=True,
    )

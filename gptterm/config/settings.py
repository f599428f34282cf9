"""`Settings`: every layer merged into one frozen, validated object that knows its origins."""

import math
import os
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, cast

import msgspec

from gptterm.config.definitions import BUILT_IN_PRESETS, SETTINGS, env_variable
from gptterm.config.file import Values, did_you_mean, read_config, unknown_preset
from gptterm.engine.api import (
    Dtype,
    GenerateRequest,
    LoadRequest,
    ModelSource,
    Overflow,
    Prompt,
    SamplingParams,
    Transcript,
)
from gptterm.errors import UsageError
from gptterm.paths import config_file
from gptterm.terminal import one_line

Form = Literal["auto", "raw", "chat"]
BUILT_IN = "built-in"


class Layer(NamedTuple):
    """Values from one place; the later layer wins."""

    origin: str
    """As `config show` names it: `config.toml`, `GPTTERM_TOP_K`, `preset focused (option)`."""
    values: Values


class TuiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What only the TUI needs."""

    theme: str = "auto"
    keys: dict[str, str] = {}
    """Action to key."""
    mouse: bool = True
    reduced_motion: bool = False


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings in effect. Replaced, never changed."""

    model: str
    system: str | None
    preset: str | None
    sampling: SamplingParams
    seed: int | None
    """None: one is drawn, and reported."""
    max_tokens: int
    stop: tuple[str, ...]
    form: Form
    """`raw`: the model continues the prompt; `chat`: it answers; `auto`: by the model."""
    device: str
    dtype: Dtype
    keep_alive: float | Literal["off", "forever"]
    """Minutes that an engine stays when its last client has left."""
    overflow: Overflow
    offline: bool
    save: bool
    """Whether what is said is kept in the history."""
    transcript: Transcript
    tui: TuiSettings
    presets: dict[str, Values]
    """Built-in ones and the user's: name to values."""
    origins: dict[str, str]
    """Where each setting's value comes from."""
    notices: tuple[str, ...]
    """What was ignored on the way, one line each."""
    layers: tuple[Layer, ...]
    """All of them, lowest first, without the built-in one."""

    @property
    def model_is_default(self) -> bool:
        """Nobody asked for this model: a substitute will do."""
        return self.origins["model"] == BUILT_IN

    @property
    def keep_alive_s(self) -> float | None:
        """The same in seconds; None is off, forever is infinite."""
        match self.keep_alive:
            case "off":
                return None
            case "forever":
                return math.inf
            case minutes:
                return 60 * minutes

    def value(self, name: str) -> object:
        """The value of a setting by its name in the table."""
        if name == "sampler_order":
            return self.sampling.order
        return getattr(self.sampling if hasattr(self.sampling, name) else self, name)

    def with_model_defaults(self, values: Mapping[str, object]) -> "Settings":
        """Put what the model's own files recommend above the built-in values, below all else.

        The files are somebody else's: a bad value is left out with a notice.
        """
        taken, notices = {}, list(self.notices)
        for name, value in values.items():
            setting = SETTINGS.get(name)
            if setting is None or not setting.sampling:
                continue
            try:
                taken[name] = setting.type.validate(value)
            except ValueError as error:
                notices.append(one_line(f"the model's own {name} is ignored: it {error}"))
        layers = [layer for layer in self.layers if layer.origin != _MODEL]
        if taken:
            layers.insert(0, Layer(_MODEL, taken))
        return self._merged(layers, notices)

    def with_values(self, values: Mapping[str, object], origin: str) -> "Settings":
        """Put checked values on top of all others; a preset goes with its values.

        Raises:
            UsageError: there is no such preset.
            ValueError: no such setting, or a value out of range.
        """
        checked = {name: SETTINGS[name].type.validate(value) for name, value in values.items()}
        added = _with_preset(checked, origin, self.presets, origin)
        return self._merged([*self.layers, *added], self.notices)

    def _merged(self, layers: Iterable[Layer], notices: Iterable[str]) -> "Settings":
        return _merge(layers, self.presets, self.transcript, self.tui, notices)

    def load_request(self, source: ModelSource) -> LoadRequest:
        """What to start an engine with."""
        return LoadRequest(source=source, device=self.device, dtype=self.dtype)

    def request(
        self, prompt: Prompt, *, samples: int = 1, logprobs: int | None = None
    ) -> GenerateRequest:
        """What to ask an engine for."""
        return GenerateRequest(
            prompt=prompt,
            sampling=self.sampling,
            max_tokens=self.max_tokens,
            stop=self.stop,
            seed=self.seed,
            samples=samples,
            logprobs=logprobs,
            overflow=self.overflow,
        )


_MODEL = "the model's generation_config.json"


def load_settings(
    options: Mapping[str, object] | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Merge the built-in values, config.toml, the environment and the options given.

    What the model's own files say comes in once they are found: `Settings.with_model_defaults`.

    Args:
        options: values of the command line's options, by their names in the table.
        environ: instead of the process's environment.

    Raises:
        UsageError: a bad value, with the file and line, or the variable; an unknown preset.
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
    return _merge(layers, presets, transcript, tui, notices)


def _environment(environ: Mapping[str, str]) -> tuple[Values, list[str]]:
    """Return the settings that `GPTTERM_*` variables give, and notices about likely slips."""
    values: Values = {}
    known = {env_variable(name): setting for name, setting in SETTINGS.items()}
    for name, setting in known.items():
        text = environ.get(name)
        if not text:
            continue  # an empty variable is a variable that is not set
        try:
            values[name.removeprefix(_PREFIX).lower()] = setting.type.parse(text)
        except ValueError as error:
            raise UsageError(one_line(f"{name} {error}")) from None
    notices = []
    for name in environ:
        if name.startswith(_PREFIX) and name not in known and name not in _NOT_SETTINGS:
            # Without what all names share, or any two of them would look alike.
            hint = did_you_mean(name.removeprefix(_PREFIX).lower(), SETTINGS)
            if hint:
                notices.append(one_line(f"{name} is not a setting{hint}"))
    return values, notices


_PREFIX = "GPTTERM_"
_NOT_SETTINGS = ("GPTTERM_HOME", "GPTTERM_DEBUG")


def _with_preset(
    values: Values, origin: str | None, presets: Mapping[str, Values], named_by: str
) -> list[Layer]:
    """Return the layers of one place: its preset's values, then its own above them.

    `origin` None: the values are variables, each its own origin.
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


_SAMPLING = tuple(name for name in SamplingParams.__struct_fields__ if name in SETTINGS)
_DIRECT = (
    "model", "system", "preset", "seed", "max_tokens", "stop", "form", "device", "dtype",
    "keep_alive", "overflow", "offline", "save",
)  # fmt: skip


def _merge(
    layers: Iterable[Layer],
    presets: dict[str, Values],
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
        {**{name: values[name] for name in _SAMPLING}, "order": values["sampler_order"]},
        SamplingParams,
    )
    return msgspec.convert(
        {
            **{name: values[name] for name in _DIRECT},
            "sampling": sampling,
            "transcript": transcript,
            "tui": tui,
            "presets": presets,
            "origins": origins,
            "notices": tuple(notices),
            "layers": layers,
        },
        Settings,
        from_attributes=True,
    )

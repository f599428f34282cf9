"""Settings: the layers, the file's errors, and what a rule takes."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.config import Settings, load_settings
from gptterm.config.definitions import BUILT_IN_PRESETS, SETTINGS
from gptterm.config.file import line_of, read_config
from gptterm.config.value_types import Number
from gptterm.engine.api import NEUTRAL, GenerateRequest, ModelSource, SamplingParams, TextPrompt
from gptterm.errors import UsageError
from gptterm.paths import cache_directory, config_file, data_directory, history_file
from gptterm.tui.state.settings_overrides import SettingsOverrides


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a config.toml that is not there yet."""
    monkeypatch.setenv("GPTTERM_HOME", str(tmp_path))
    return tmp_path / "config.toml"


# ------------------------------------------------------------------------------------- layers


def test_built_in_values_are_the_contract_s(config: Path) -> None:
    settings = load_settings({}, {})
    assert settings.sampling == SamplingParams()
    request = settings.request(TextPrompt(text="x"))
    assert request == GenerateRequest(prompt=TextPrompt(text="x"))
    assert settings.model_is_default
    assert set(settings.origins.values()) == {"built-in"}
    assert not config.exists()


def test_the_later_layer_wins(config: Path) -> None:
    config.write_text("top_k = 1\nmin_p = 0.1\ntop_p = 0.1\ntypical_p = 0.1\n")
    environ = {"GPTTERM_TOP_P": "0.2", "GPTTERM_TYPICAL_P": "0.2", "GPTTERM_STOP": "end"}
    settings = load_settings({"typical_p": 0.3}, environ)
    settings = settings.with_model_defaults({"temperature": 0.6, "min_p": 0.9})
    sampling = settings.sampling
    assert sampling.temperature == 0.6
    assert (sampling.top_k, sampling.min_p) == (1, 0.1)
    assert (sampling.top_p, sampling.typical_p) == (0.2, 0.3)
    assert settings.stop == ("end",)
    assert sampling.frequency_penalty == 0
    origins = settings.origins
    assert origins["temperature"].endswith("generation_config.json")
    assert origins["min_p"] == "config.toml"
    assert origins["top_p"] == "GPTTERM_TOP_P"
    assert origins["typical_p"] == "option"


def test_a_preset_goes_below_the_values_of_its_place_and_above_the_places_before(
    config: Path,
) -> None:
    config.write_text(
        'preset = "mine"\ntop_k = 7\n[presets.mine]\ntemperature = 0.1\ntop_k = 1\nmin_p = 0.5\n'
    )
    settings = load_settings({}, {})
    assert settings.sampling.temperature == 0.1
    assert settings.sampling.top_k == 7
    settings = load_settings({"preset": "neutral"}, {"GPTTERM_TOP_P": "0.5"})
    assert settings.sampling == NEUTRAL
    settings = load_settings({"min_p": 0.2}, {"GPTTERM_PRESET": "creative"})
    assert settings.sampling.temperature == BUILT_IN_PRESETS["creative"]["temperature"]
    assert settings.sampling.min_p == 0.2
    assert settings.origins["temperature"] == "preset creative (GPTTERM_PRESET)"


def test_values_on_top_and_another_model_s_defaults() -> None:
    settings = load_settings({"top_k": 3}, {}).with_model_defaults({"min_p": 0.4})
    changed = settings.with_values({"preset": "focused"}, "/preset")
    assert changed.sampling.top_k == BUILT_IN_PRESETS["focused"]["top_k"]
    assert changed.with_values({"seed": "random"}, "/seed").seed is None
    assert settings.sampling.top_k == 3
    other = settings.with_model_defaults({"temperature": 1.5})
    assert (other.sampling.min_p, other.sampling.temperature) == (0, 1.5)
    assert not settings.with_values({"model": "tiny"}, "/model").model_is_default
    with pytest.raises(ValueError, match="0 or more"):
        settings.with_values({"top_k": -1}, "/top-k")
    with pytest.raises(UsageError, match="there is no preset"):
        settings.with_values({"preset": "x"}, "/preset")


def test_a_model_s_bad_values_are_left_out_and_said() -> None:
    settings = load_settings({}, {}).with_model_defaults(
        {"temperature": math.nan, "top_k": 5, "model": "evil", "eos_token_id": 3}
    )
    assert settings.sampling.temperature == 0.8
    assert settings.sampling.top_k == 5
    assert settings.model == "gpt2"
    assert len(settings.notices) == 1
    assert "temperature" in settings.notices[0]


def test_everything_reaches_the_engine() -> None:
    settings = load_settings(
        {
            "model": "tiny", "device": "cpu", "dtype": "float32", "seed": 9, "max_tokens": 3,
            "stop": ("a", "b"), "overflow": "error", "sampler_order": "llama",
        },
        {},
    )  # fmt: skip
    request = settings.request(TextPrompt(text="x"), samples=2, logprobs=5)
    assert (request.seed, request.max_tokens, request.stop) == (9, 3, ("a", "b"))
    assert (request.samples, request.logprobs, request.overflow) == (2, 5, "error")
    assert request.sampling.order == "llama"
    assert settings.value("sampler_order") == "llama"
    load = settings.load_request(ModelSource(name="tiny", directory="/x"))
    assert (load.device, load.dtype) == ("cpu", "float32")


@pytest.mark.parametrize(
    ("text", "directory", "scale"),
    [
        ("/a/b", "/a/b", 1),
        ("/a/b=0.25", "/a/b", 0.25),
        ("/a/b=-2", "/a/b", -2),
        ("/a=1/b", "/a=1/b", 1),
        ("/a=b", "/a=b", 1),
        ("/a=1=.5", "/a=1", 0.5),
        ("/a=1e5", "/a=1e5", 1),
    ],
)
def test_an_adapter_may_have_a_scale(text: str, directory: str, scale: float) -> None:
    load = load_settings({"adapter": (text, "~/other")}, {}).load_request(
        ModelSource(name="tiny", directory="/x")
    )
    assert [each.directory for each in load.adapters] == [directory, str(Path.home() / "other")]
    assert [each.scale for each in load.adapters] == [scale, 1]


def test_another_model_of_the_tui_takes_no_adapter_of_the_first() -> None:
    def shown(overrides: SettingsOverrides) -> tuple[str, tuple[str, ...]]:
        return overrides.settings.model, overrides.settings.adapter

    overrides = SettingsOverrides(load_settings({"model": "tiny", "adapter": ("/a",)}, {}))
    overrides.change_model("gpt2")
    assert shown(overrides) == ("gpt2", ())
    overrides.undo_change_model()
    assert shown(overrides) == ("tiny", ("/a",))
    overrides.change_model("gpt2")
    overrides.keep_model()
    overrides.change_model("tiny")
    assert overrides.settings.adapter == ("/a",)
    overrides.undo_change_model()
    assert shown(overrides) == ("gpt2", ())


# -------------------------------------------------------------------------------- environment


@pytest.mark.parametrize("name", SETTINGS)
def test_each_setting_has_a_variable_that_is_checked(name: str) -> None:
    variable = f"GPTTERM_{name.upper()}"
    if name in ("model", "system", "stop", "until", "adapter"):
        assert load_settings({}, {variable: "x"}).origins[name] == variable
        return
    with pytest.raises(UsageError) as caught:
        load_settings({}, {variable: "-no such value-"})
    assert str(caught.value).startswith(variable)


_ODD_VARIABLES = {"GPTTERM_TOP_K": "", "GPTTERM_TEMPRATURE": "1", "GPTTERM_FONT": "x"}


def test_empty_variables_are_not_set_and_near_misses_are_told() -> None:
    settings = load_settings(
        {}, {"GPTTERM_TOP_K": "", "GPTTERM_TEMPRATURE": "1", "GPTTERM_FONT": "x"}
    )
    assert settings.sampling == SamplingParams()
    assert settings.notices == ("GPTTERM_TEMPRATURE is not a setting (did you mean temperature?)",)
    assert load_settings({}, {"GPTTERM_OFFLINE": "1"}).offline
    assert not load_settings({}, {"GPTTERM_OFFLINE": "off"}).offline
    assert load_settings({}, {}).save
    assert not load_settings({}, {"GPTTERM_SAVE": "off"}).save


# ----------------------------------------------------------------------------------- the file


def test_a_whole_file(config: Path) -> None:
    config.write_text(
        'model = "tiny"\nseed = 7\nstop = ["\\n"]\nform = "chat"\nsystem = "人"\noffline = true\n'
        '[transcript]\nuser = "Q"\nassistant = "A"\npreamble = ""\n'
        '[tui]\ntheme = "nord"\nmouse = false\nreduced_motion = true\nkeys = {send = "ctrl+s"}\n'
        "[presets.mine]\nmax_tokens = 5\n"
    )
    settings = load_settings({}, {})
    assert (settings.model, settings.seed, settings.stop) == ("tiny", 7, ("\n",))
    assert (settings.form, settings.system, settings.offline) == ("chat", "人", True)
    assert (settings.transcript.user, settings.transcript.preamble) == ("Q", "")
    assert (settings.tui.theme, settings.tui.mouse) == ("nord", False)
    assert settings.tui.keys == {"send": "ctrl+s"}
    assert settings.with_values({"preset": "mine"}, "x").max_tokens == 5


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("temprature = 1\n", 1, 'unknown key "temprature" (did you mean temperature?)'),
        ("# a\n\ntop_k = 1.5\n", 3, "top_k must be a whole number"),
        ("temperature = true\n", 1, "must be a number, 0 or more, not true"),
        ("temperature = nan\n", 1, "not nan"),
        ("temperature = '0.5'\n", 1, 'not "0.5"'),
        ("model = '''\na\n'''\n# b\nstop = [\n 'a',\n 3]\n", 5, "stop must be"),
        ("stop = 'x'\n", 1, "a list of texts"),
        ("model = 3\n", 1, "the name of a model"),
        ("seed = -1\n", 1, "seed must be"),
        ("a\n", 1, "Expected '='"),
        ("top_k = 1\ntop_k = 2\n", 2, "top_k is set twice, here and on line 1"),
        ("\ntop_k = 1\n'top_k' = 2", 3, "top_k is set twice, here and on line 2"),
        (
            "stop = [\n'a',\n'b']\nseed = 1\nstop = [\n]\n",
            6,
            "stop is set twice, here and on line 1",
        ),
        ("[tui]\nmouse = true\n[tui]\n", 3, "tui is set twice, here and on line 1"),
        (
            "[tui.keys]\nstop = 'f9'\n# a\nstop = 'f7'\n",
            4,
            "tui.keys.stop is set twice, here and on",
        ),
        ("[presets.a]\ntop_k = 1\n[presets.a]\n", 3, "presets.a is set twice, here and on line 1"),
        ("seed = 1\nseed.x = 2\n", 2, "seed is set twice, here and on line 1"),
        ("tui.keys = {stop = 'f9', stop = 'f8'}\n", 1, "'stop'"),
        ("model = 'x\n", 1, ""),
        ("x = [1,\n", 1, ""),
        ("[presets.mine]\ntemperature = 1\n\n'top k' = 3\n", 4, "in [presets.mine]"),
        ("[presets.mine]\nmodel = 'x'\n", 2, 'unknown key "model" in [presets.mine]'),
        ("presets = 3\n", 1, "[presets]"),
        ("[presets]\nmine = 3\n", 2, "[presets.mine]"),
        ("\npreset = 'fokused'\n", 2, '"fokused" (did you mean focused?); there are base, '),
        ("temperature = -1.0\n", 1, "not -1"),
        ("[model]\nname = 'x'\n", 1, "the name of a model, not a table"),
        ("[preset.mine]\ntop_k = 3\n", 1, "preset must be"),
        ("[tuii]\nx = 3\n", 1, "did you mean tui?"),
        ("[tui]\nmouse = 'yes'\n", 2, "mouse must be true or false"),
        ("[tui.keys]\na = 'x'\nb = 1\n", 3, "b must be a text"),
        ("tui.keys = 3\n", 1, "tui.keys must be a table"),
        ("[transcript]\nuser = ''\n", 2, "user must be a name, not empty"),
        ("model = 1979-05-27\n", 1, "model must be"),
    ],
)
def test_an_error_names_file_and_line(text: str, line: int, words: str, config: Path) -> None:
    config.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings({}, {})
    message = str(caught.value)
    assert message.startswith(f"{config}:{line}: "), message
    assert words in message
    assert "\n" not in message


def test_files_that_cannot_be_read(config: Path) -> None:
    config.write_bytes(b"model = 'x'\n# \xff\n")
    with pytest.raises(UsageError, match=r"config\.toml:2: not valid UTF-8"):
        read_config(config)
    config.unlink()
    config.mkdir()
    with pytest.raises(UsageError, match="cannot read"):
        read_config(config)
    assert read_config(config / "below").values == {}
    assert read_config(Path("/dev/null/config.toml")).values == {}


def test_a_byte_order_mark_is_no_content(config: Path) -> None:
    config.write_bytes(b"\xef\xbb\xbfmodel = 'tiny'\r\nseed = 7\r\n")
    assert read_config(config).values == {"model": "tiny", "seed": 7}


def test_escapes_in_a_file_stay_in_it(config: Path) -> None:
    config.write_text('"\\u001b[31m" = 3\n')
    with pytest.raises(UsageError) as caught:
        load_settings({}, {})
    assert "\x1b" not in str(caught.value)


@given(st.lists(st.sampled_from(["", "# c", "a = 1", "b = [\n1]", 'c = """\n"""']), unique=True))
def test_the_line_of_a_key_is_where_its_statement_begins(statements: list[str]) -> None:
    text = "\n".join([*statements, "wanted = {\tx = 1 }", "z = 2"])
    expected = text[: text.index("wanted")].count("\n") + 1
    assert line_of(text, ("wanted", "x")) == expected


# -------------------------------------------------------------------------------------- paths


def test_one_home_for_everything(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = config.parent
    assert config_file() == config
    assert history_file() == data_directory() / "history.db" == home / "history.db"
    assert cache_directory() == home / "cache"
    monkeypatch.delenv("GPTTERM_HOME")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "c"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "d"))
    assert config_file() == home / "c" / "gptterm" / "config.toml"
    assert history_file() == home / "d" / "gptterm" / "history.db"


# -------------------------------------------------------------------------------------- rules

NUMBERS = [name for name, setting in SETTINGS.items() if isinstance(setting.type, Number)]


@given(st.sampled_from(NUMBERS), st.floats() | st.integers())
def test_the_table_and_the_engine_s_contract_agree(name: str, value: float) -> None:
    def accepts(check: Callable[[], object]) -> bool:
        try:
            check()
        except ValueError:
            return False
        return True

    engine = accepts(lambda: SamplingParams(**{name: value}))  # type: ignore[arg-type]
    assert accepts(lambda: SETTINGS[name].type.validate(value)) == engine
    assert accepts(lambda: SETTINGS[name].type.parse(str(value))) == engine


@given(st.text(max_size=12))
def test_parsing_any_text_gives_a_value_in_range_or_says_what_is_wanted(text: str) -> None:
    for setting in SETTINGS.values():
        try:
            value = setting.type.parse(text)
        except ValueError as error:
            assert str(error).startswith("must ") or "UTF-8" in str(error)  # noqa: PT017
        else:
            assert setting.type.validate(value) == value


@pytest.mark.parametrize("name", ["top_k", "max_tokens", "seed"])
@pytest.mark.parametrize("text", ["1_000", "٣", "1e3", "9" * 5000, "0x10", "+-1"])
def test_odd_spellings_of_integers(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        SETTINGS[name].type.parse(text)


def test_presets_hold_values_in_range() -> None:
    for values in BUILT_IN_PRESETS.values():
        for name, value in values.items():
            assert SETTINGS[name].sampling
            SETTINGS[name].type.validate(value)
    assert isinstance(load_settings({"preset": "base"}, {}), Settings)

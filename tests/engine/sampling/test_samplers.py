"""The declarations of the samplers, and that each appears on every surface."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import click
import pytest

from gptterm.cli.options import main_command
from gptterm.config import load_settings
from gptterm.config.definitions import BUILT_IN_PRESETS, SETTINGS, env_variable
from gptterm.conversation.attribution import generation_summary
from gptterm.conversation.commands import ChangeSetting, parse_line
from gptterm.conversation.nodes import Generation
from gptterm.engine import samplers
from gptterm.engine.api import NEUTRAL, ModelSource, SamplingParams, sampling_params
from gptterm.engine.samplers import ORDERS, SAMPLERS, Sampler
from gptterm.engine.sampling import batched, chain, device_chain
from gptterm.models import generation_defaults
from gptterm.ranges import Range
from gptterm.tui.fields import FIELDS
from tests.cli.command import environment, run

README = (Path(__file__).parents[3] / "README.md").read_text("utf-8")


def import_again(module: ModuleType) -> None:
    """Run a module's code as at its first import, beside the one that is in use."""
    assert module.__file__ is not None
    spec = importlib.util.spec_from_file_location(f"{module.__name__}_again", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (chain, "filter"),
        (chain, "penalty"),
        (batched, "filter"),
        (device_chain, "filter"),
        (device_chain, "penalty"),
        (sampling_params, "filter"),
    ],
)
def test_a_declared_sampler_without_a_function_or_a_field_is_an_error(
    module: ModuleType, kind: samplers.Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_again(module)
    new = Sampler("xtc", "xtc", "help", Range(0, 1), neutral=0.0, default=0.0, steps=(), kind=kind)
    monkeypatch.setattr(samplers, "SAMPLERS", SAMPLERS | {"xtc": new})
    with pytest.raises(LookupError, match=r"no function for xtc|SamplingParams does not match"):
        import_again(module)


@pytest.mark.parametrize("module", [chain, batched, device_chain, sampling_params])
def test_a_function_or_a_field_without_a_declaration_is_an_error(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    fewer = {name: sampler for name, sampler in SAMPLERS.items() if name != "min_p"}
    monkeypatch.setattr(samplers, "SAMPLERS", fewer)
    with pytest.raises(LookupError, match=r"of no sampler: min_p|SamplingParams does not match"):
        import_again(module)


def test_an_order_has_every_step_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for steps in (ORDERS["llama"][1:], (*ORDERS["llama"], "min_p"), (*ORDERS["llama"], "xtc")):
        monkeypatch.setitem(ORDERS, "new", steps)
        with pytest.raises(LookupError, match="new"):
            samplers.check_orders()


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_a_sampler_is_on_every_surface(sampler: Sampler, tmp_path: Path) -> None:
    name, value = sampler.name, 1 if sampler.range.integer else 0.5
    option = f"--{name.replace('_', '-')}"

    command = main_command(lambda *_: 0, {})
    parameter = next(p for p in command.params if p.name == name)
    assert isinstance(parameter, click.Option)
    assert parameter.opts == sampler.options
    assert sampler.help in str(parameter.help)
    assert SETTINGS[name].default == sampler.default == getattr(SamplingParams(), name)
    assert getattr(NEUTRAL, name) == sampler.neutral == BUILT_IN_PRESETS["neutral"][name]

    assert load_settings({}, {env_variable(name): str(value)}).value(name) == value
    for spelling in (name, name.replace("_", "-"), *sampler.aliases):
        assert parse_line(f"/{spelling} {value}") == ChangeSetting(name, value)
    row = next(field for field in FIELDS if field.name == name)
    assert (row.label, row.steps, row.neutral) == (sampler.label, sampler.steps, sampler.neutral)
    for step in sampler.steps:
        sampler.range.check(step)

    (tmp_path / "generation_config.json").write_text(json.dumps({name: value}))
    found = generation_defaults(ModelSource(name="x", directory=str(tmp_path)))
    assert found == ({name: value} if sampler.in_generation_config else {})

    by_run = Generation(model="m", sampling=SamplingParams(**{name: value}))  # type: ignore[arg-type]
    assert f"{sampler.label} {value:g}" in generation_summary([by_run])
    assert re.search(rf"`{option} [XN]`[^|]*\|[^|]*\| {sampler.neutral:g} \|", README)


def test_the_samplers_are_in_config_toml_and_in_json(tmp_path: Path) -> None:
    lines = [f"{s.name} = {s.neutral}" for s in SAMPLERS.values()]
    (tmp_path / "config.toml").write_text("\n".join(lines))
    result = run(["-m", "tiny", "-n", "1", "--json", "x"], environment(tmp_path))
    assert result.code == 0, result.stderr
    sampling = json.loads(result.stdout)["sampling"]
    assert {name: sampling[name] for name in SAMPLERS} == {
        s.name: s.neutral for s in SAMPLERS.values()
    }

"""`gptterm config`: show the settings in effect, edit config.toml."""

import contextlib
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import click

from gptterm.cli.console import print_path
from gptterm.cli.streams import configure_libraries
from gptterm.config import Settings, load_settings
from gptterm.config.definitions import SETTINGS, TASK, TRANSCRIPT, TUI, env_variable
from gptterm.config.edit import to_toml
from gptterm.config.file import read_config
from gptterm.config.tasks import Task
from gptterm.environment import editor
from gptterm.errors import GpttermError, ModelError, UsageError
from gptterm.own_files import make_folder, write_own
from gptterm.paths import config_file
from gptterm.terminal import one_line, printable


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def config() -> None:
    """Show and change the settings.

    Options override GPTTERM_* variables, these override config.toml, that overrides the model's
    generation_config.json, that overrides built-in values.
    """


@config.command()
def show() -> None:
    """Print each setting in effect and the origin of its value."""
    settings = _with_model(load_settings())
    rows = [
        (f"{name} = {_toml(settings.value(name))}", settings.origins[name]) for name in SETTINGS
    ]
    rows += _tables(settings)
    width = min(max(len(value) for value, _ in rows), 48)
    for value, origin in rows:
        click.echo(printable(f"{value:{width}}  # {origin}" if origin else value))
    click.echo(f"\n# presets: {one_line(', '.join(sorted(settings.presets)))}")
    click.echo(f"# config.toml: {one_line(str(config_file()))}")
    _note([*settings.notices, *_key_problems(settings)])


@config.command()
def path() -> None:
    """Print the path of config.toml.

    The file need not exist yet.
    """
    print_path(str(config_file()))


@config.command()
def edit() -> None:
    """Open config.toml in $VISUAL or $EDITOR.

    A new file has all settings as comments.
    """
    file = config_file()
    if not file.exists():
        _create(file)
    command = editor()
    # Ctrl-C is for the editor.
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = subprocess.call([*shlex.split(command), str(file)])
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot start the editor {one_line(command)} ({error}); set $VISUAL or $EDITOR"
        ) from None
    finally:
        signal.signal(signal.SIGINT, previous)
    if code != 0:
        raise GpttermError(f"the editor {one_line(command)} failed with exit code {code}")
    read_config(file)
    _note(_key_problems(load_settings()))


def _with_model(settings: Settings) -> Settings:
    """Merge the model's own defaults, if it is on this machine; nothing is downloaded."""
    configure_libraries()
    from gptterm.models import generation_defaults, resolve

    with contextlib.suppress(ModelError):
        source = resolve(settings.model, offline=True)
        settings = settings.with_model_defaults(generation_defaults(source))
    return settings


def _note(notices: Sequence[str]) -> None:
    for notice in notices:
        click.echo(f"gptterm: note: {notice}", err=True)


def _key_problems(settings: Settings) -> list[str]:
    if not settings.tui.keys:
        return []
    # Slow to import.
    from gptterm.tui.keys import usable
    from gptterm.tui.widgets.key_groups import SCREENS

    return [f"[tui.keys] {one_line(text)}" for text in usable(settings.tui.keys, SCREENS)[1]]


def _tables(settings: Settings) -> list[tuple[str, str]]:
    transcript, tui = settings.transcript, settings.tui
    return [
        ("", ""),
        ("[transcript]", ""),
        *((f"{name} = {_toml(getattr(transcript, name))}", "") for name in TRANSCRIPT),
        ("", ""),
        ("[tui]", ""),
        *((f"{name} = {_toml(getattr(tui, name))}", "") for name in TUI),
        *((f"keys.{name} = {_toml(key)}", "") for name, key in tui.keys.items()),
        *(row for name, task in settings.tasks.items() for row in _task(name, task)),
    ]


def _task(name: str, task: Task) -> list[tuple[str, str]]:
    values = {key: getattr(task, key) for key in TASK} | task.settings
    given = {key: value for key, value in values.items() if value not in ("", ())}
    return [
        ("", ""),
        (f"[tasks.{name if _BARE_KEY.fullmatch(name) else to_toml(name)}]", ""),
        *((f"{key} = {_toml(value)}", "") for key, value in given.items()),
    ]


_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def _toml(value: object) -> str:
    """Format a value as config.toml does; an unset one cannot be written there."""
    return "(not set)" if value is None else to_toml(value)


def _create(file: Path) -> None:
    """Write a config.toml with all settings as comments."""
    lines = [
        "# Settings of gptterm. Options and GPTTERM_* variables win over what is set here.",
        "# The comments show the built-in values.",
    ]
    for name, setting in SETTINGS.items():
        value = setting.default if setting.default is not None else _EXAMPLES[name]
        lines += ["", f"# {setting.help} ({env_variable(name)})", f"# {name} = {_toml(value)}"]
    lines += [
        "",
        "# [presets.mine]        # gptterm --preset mine",
        "# temperature = 1.0",
        "# top_p = 0.9",
        "",
        "# [tasks.tags]          # gptterm --task tags",
        '# prompt = "{examples}Text: {input}\\nTags:"',
        '# example = "Text: {input}\\nTags: {output}\\n\\n"',
        '# examples = [["The fox found a lamp.", "fox, lamp"]]',
        '# stop = ["\\n"]',
        "",
        "# [servers.lab]         # gptterm -m lab/NAME",
        '# url = "https://lab.example/v1"',
        '# key_env = "LAB_KEY"   # or key_file, with mode 0600',
        "",
        "# [transcript]          # a chat with a model that has no chat template",
        '# user = "User"',
        '# assistant = "Assistant"',
        "",
        "# [tui]",
        "# mouse = true",
        "# reduced_motion = false",
        '# panes = "both"',
        "",
    ]
    if file.is_symlink():
        raise GpttermError(f"{one_line(str(file))} is a link to nothing: remove it")
    try:
        make_folder(file.parent)
        write_own(file, "\n".join(lines).encode(), overwrite=False)
    except OSError as error:
        raise GpttermError(
            f"cannot write {one_line(str(file))}: {error.strerror}; GPTTERM_HOME names another "
            "folder"
        ) from None


_EXAMPLES = {
    "server": "http://localhost:8000/v1",
    "system": "You are terse.",
    "preset": "focused",
    "context": 8192,
    "seed": 7,
}

"""`--help`, `--version` and `gptterm config`, through the real command."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from gptterm import __version__
from gptterm.config.definitions import SETTINGS
from gptterm.config.file import read_config
from gptterm.config.tasks import BUILT_IN_TASKS
from tests.cli.command import COMMAND, run
from tests.models.test_cache_trouble import mounted
from tests.support.disks import SMALL

ALIASES = [
    "-m", "--model", "-s", "--system", "-t", "--temperature", "--temp", "--top-k", "--top-p",
    "--min-p", "--typical-p", "--repetition-penalty", "--repeat-penalty", "--presence-penalty",
    "--frequency-penalty", "--preset", "--seed", "-n", "--max-tokens", "--max-new-tokens",
    "--predict", "--stop", "-N", "--samples", "--raw", "--chat", "--echo", "--no-stream", "--json",
    "--logprobs", "--device", "--dtype", "--kv-dtype", "--context", "--adapter", "--overflow",
    "--offline", "-q", "-v", "--version", "-h",
    "--no-stdin", "-i", "--plain", "--inline", "--no-mouse",
    "--sampler-order", "-c", "--continue", "--conversation",
    "--no-save", "--server", "--api-key",
]  # fmt: skip


def test_help_names_every_option_range_and_exit_code(env: dict[str, str]) -> None:
    result = run(["--help"], {**env, "COLUMNS": "100"})
    assert result.code == 0
    assert result.stderr == ""
    words = set(result.text.replace(",", " ").split())
    assert set(ALIASES) <= words
    text = " ".join(result.text.split())
    assert "[0.8]" in text
    assert "0 is greedy" in text
    assert "penalties, temperature, top-k, top-p, min-p, typical-p" in text
    assert "130 interrupted" in text
    assert max(map(len, result.text.splitlines())) <= 100
    assert run(["-h"], {**env, "COLUMNS": "100"}).text == result.text


def test_version(env: dict[str, str]) -> None:
    assert run(["--version"], env).text == f"gptterm {__version__}\n"


def test_config_show_says_where_each_value_comes_from(models: Path, env: dict[str, str]) -> None:
    home = Path(env["GPTTERM_HOME"])
    (home / "config.toml").write_text(f'model = "{models / "random"}"\npreset = "base"\n')
    (models / "random" / "generation_config.json").write_text('{"min_p": 0.25}')
    try:
        result = run(["config", "show"], {**env, "GPTTERM_TOP_K": "3"})
    finally:
        (models / "random" / "generation_config.json").unlink()
    assert result.code == 0, result.stderr
    settings = result.text.partition("\n[")[0]
    lines = [line for line in settings.splitlines() if " = " in line]
    rows = dict(line.split(" = ", 1) for line in lines)
    assert rows.keys() >= SETTINGS.keys()
    assert [part.strip() for part in rows["top_k"].split("#")] == ["3", "GPTTERM_TOP_K"]
    assert rows["repetition_penalty"].startswith("1.15")
    assert "preset base (config.toml)" in rows["repetition_penalty"]
    assert "built-in" in rows["max_tokens"]
    assert "presets: base, creative, focused, neutral" in result.text


def test_tasks_are_shown_as_they_stand_in_config_toml(env: dict[str, str]) -> None:
    file = Path(env["GPTTERM_HOME"]) / "config.toml"
    file.write_text('[tasks."my own"]\nprompt = "{input} is"\nlabels = ["good", "bad"]\n')
    shown = run(["config", "show"], env).text
    tables = shown[shown.index("[tasks.continue]") : shown.index("\n# presets")]
    assert '[tasks."my own"]\nprompt = "{input} is"\nlabels = ["good", "bad"]\n' in tables
    file.write_text(tables.replace('"my own"', "own").replace("[tasks.", "[tasks.copied-"))
    tasks = read_config(file).tasks
    for name, task in BUILT_IN_TASKS.items():
        assert tasks[f"copied-{name}"] == task


def test_config_path_and_edit(env: dict[str, str], tmp_path: Path) -> None:
    file = Path(env["GPTTERM_HOME"]) / "config.toml"
    assert run(["config", "path"], env).text == f"{file}\n"
    editor = tmp_path / "an editor"
    editor.write_text('#!/bin/sh\necho "top_k = -1" >> "$2"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    result = run(["config", "edit"], {**env, "VISUAL": f"'{editor}' --wait"})
    text = file.read_text()
    line = text.count("\n")
    assert result.code == 2
    assert result.stderr.startswith(f"gptterm: error: {file}:{line}: top_k must be")
    # Every line of the file that was made is a valid setting once it is no comment any more.
    rows = [row.removeprefix("# ") if " = " in row else row for row in text.splitlines()[:-1]]
    file.write_text("\n".join(rows).replace("# [", "["))
    assert run(["config", "show"], env).code == 0


def test_config_show_tells_of_two_actions_on_one_key(env: dict[str, str]) -> None:
    file = Path(env["GPTTERM_HOME"]) / "config.toml"
    file.write_text('tui.keys.search = "ctrl+r"\n')
    for command in ("show", "edit"):
        result = run(["config", command], {**env, "VISUAL": "true"})
        assert result.code == 0
        assert result.stderr.startswith("gptterm: note: [tui.keys] Ctrl+R is the key of regenerate")


def test_config_show_without_the_model_tells_no_other_models_defaults(env: dict[str, str]) -> None:
    rows = run(["config", "show"], env).text.partition("\n[")[0].splitlines()
    assert [row.split() for row in rows if row.startswith(("model =", "temperature ="))] == [
        ["model", "=", '"gpt2"', "#", "built-in"],
        ["temperature", "=", "0.8", "#", "built-in"],
    ]


def test_a_config_file_that_cannot_be_made(env: dict[str, str]) -> None:
    result = run(["config", "edit"], {**env, "GPTTERM_HOME": "/dev/null", "VISUAL": "true"})
    assert result.code == 1
    assert result.stderr == (
        "gptterm: error: cannot write /dev/null/config.toml: File exists; GPTTERM_HOME names "
        "another folder\n"
    )


@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_a_blank_variable_is_unset(blank: str, env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "vi").write_text("#!/bin/sh\nexit 7\n")
    (tmp_path / "vi").chmod(0o755)
    env = {**env, "VISUAL": blank, "EDITOR": blank, "PATH": f"{tmp_path}:{env['PATH']}"}
    assert run(["config", "edit"], env).stderr.endswith("the editor vi failed with exit code 7\n")


def test_a_new_config_file_is_private_and_whole(env: dict[str, str], tmp_path: Path) -> None:
    """Under any umask; on a full disk it is not there; nothing is written through a link."""
    home = tmp_path / "disk"
    program = """
        cd "$GPTTERM_HOME" && umask 000
        "$@" config edit && stat -c %a config.toml && rm config.toml
        ln -s nowhere config.toml; "$@" config edit; rm config.toml
        cat /dev/zero > ballast 2>&-
        "$@" config edit; ls
    """
    done = subprocess.run(
        [*mounted(SMALL, home), "sh", "-c", program, "sh", *COMMAND],
        env={**env, "VISUAL": "true", "GPTTERM_HOME": str(home)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout == "600\nballast\n", done.stderr
    linked, full = done.stderr.splitlines()
    assert linked.endswith("config.toml is a link to nothing: remove it")
    assert "cannot write" in full
    assert "No space left on device" in full


@pytest.mark.parametrize("editor", ["/no/such/editor", "'unclosed", "false"])
def test_an_editor_that_fails(editor: str, env: dict[str, str]) -> None:
    result = run(["config", "edit"], {**env, "VISUAL": editor})
    assert result.code in (1, 2)
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["x"], ["config", "show"], ["--plain"]])
def test_a_bad_config_file_stops_everything(arguments: list[str], env: dict[str, str]) -> None:
    file = Path(env["GPTTERM_HOME"]) / "config.toml"
    file.write_text("\ntemprature = 1\n")
    result = run(arguments, env)
    assert result.code == 2
    expected = f'gptterm: error: {file}:2: unknown key "temprature" (did you mean temperature?)\n'
    assert result.stderr == expected
    # What has nothing to do with settings goes on.
    assert run(["--help"], env).code == 0
    assert run(["config", "path"], env).code == 0


def test_a_config_file_nobody_may_read(env: dict[str, str]) -> None:
    file = Path(env["GPTTERM_HOME"]) / "config.toml"
    os.symlink("/proc/self/mem", file)
    result = run(["x"], env)
    assert result.code == 2
    assert "cannot read" in result.stderr

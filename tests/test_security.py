"""Text that would obey nobody but the terminal, and prompts that need no network."""

import random
import subprocess
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pexpect
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.conversation.export import to_markdown, to_text
from gptterm.conversation.html import to_html
from gptterm.conversation.nodes import Generation
from gptterm.conversation.tree import Conversation
from gptterm.store import History
from gptterm.terminal import one_line, printable
from tests.cli.command import COMMAND, environment, run, spawn
from tests.models.test_reachability import namespace
from tests.support.attacks import ATTACKS, BIDI

FORBIDDEN = {chr(code) for code in [*range(0x20), *range(0x7F, 0xA0)]} - set("\n\t") | set(BIDI)
SAFE_TEXTS = [text.encode("utf-8", "replace").decode() for text in ATTACKS]
"""As they are once a file or a terminal has taken them: without halves of characters."""


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {**environment(tmp_path), "NO_COLOR": "1"}


def obeyed(shown: str) -> set[str]:
    """Parts of a text on its way to a terminal that are not just shown."""
    return FORBIDDEN & set(shown)


def on_a_terminal(process: "pexpect.spawn[str]") -> str:
    """All that a process shows."""
    process.expect(pexpect.EOF)
    process.close()
    return str(process.before).replace("\r\n", "\n")


def attacked_chat() -> Conversation:
    """A chat in which users and models, and their names, are hostile."""
    chat = Conversation(SAFE_TEXTS[0])
    for text in SAFE_TEXTS:
        reply = chat.begin_reply(chat.add_user(text), Generation(model=text))
        chat.append(reply, text)
        chat.finish(reply, "error", error=text)
    return chat


# --------------------------------------------------------------------------- the corpus


def test_the_corpus_is_large_and_dangerous() -> None:
    assert len(ATTACKS) >= 300
    assert all(obeyed(text) for text in ATTACKS)


@pytest.mark.parametrize("text", ATTACKS, ids=lambda text: ascii(text[:20]))
def test_nothing_of_an_attack_gets_through(text: str) -> None:
    whole = printable(text)
    assert not obeyed(whole)
    assert not obeyed(one_line(text))
    assert "\n" not in one_line(text)
    # However tokens or chunks cut it.
    assert "".join(map(printable, text)) == whole
    for at in range(min(len(text), 100)):
        assert printable(text[:at]) + printable(text[at:]) == whole
    # Nothing is lost silently: each sign of it has a sign.
    assert len(whole) >= len(text)


@given(st.lists(st.sampled_from(ATTACKS) | st.text(max_size=4)), st.randoms())
def test_attacks_shuffled_cut_and_mixed(parts: list[str], dice: random.Random) -> None:
    text = "".join(parts)
    cuts = sorted(dice.randrange(len(text) + 1) for _ in range(5))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    shown = "".join(map(printable, pieces))
    assert shown == printable(text)
    assert not obeyed(shown)


@given(
    st.text(st.characters(categories=["Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Mn"]) | st.characters())
)
def test_any_characters(text: str) -> None:
    shown = printable(text)
    assert not obeyed(shown)
    assert all(unicodedata.category(c) != "Cc" or c in "\n\t" for c in shown)


# ------------------------------------------------------------------- the ways to a terminal

PRINT = """
import sys
from gptterm.cli.output import TextWriter
from gptterm.cli.results import Results
from gptterm.cli.streams import Streams
from gptterm.engine.api import GenerateRequest, TextPrompt, Token
from tests.support.attacks import ATTACKS
streams = Streams()
results = Results(GenerateRequest(prompt=TextPrompt(text="x")), (), streams.note)
writer = TextWriter(streams, results, stream=True)
for text in ATTACKS:
    for piece in [text + "\\n"] if sys.argv[1] == "whole" else [*text, "\\n"]:
        event = Token(sample=0, id=1, text=piece, piece=piece.encode("utf-8", "replace"))
        results.add(event)
        writer.event(event)
for text in ATTACKS:
    streams.note(text)
"""


@pytest.mark.parametrize("how", ["whole", "split"])
def test_generated_text_and_notices_on_a_terminal(how: str, env: dict[str, str]) -> None:
    process: pexpect.spawn[str] = pexpect.spawn(
        COMMAND[0], ["-c", PRINT, how], env=env, encoding="utf-8", timeout=180
    )
    shown = on_a_terminal(process)
    assert not obeyed(shown)
    expected = [printable(text) for text in ATTACKS]
    expected += [f"gptterm: note: {one_line(text)}" for text in ATTACKS]
    assert shown == "\n".join(expected) + "\n"


def test_kept_chats_on_a_terminal_and_in_a_pipe(env: dict[str, str], tmp_path: Path) -> None:
    chat = attacked_chat()
    chat.title = ATTACKS[1]
    with History.open(tmp_path / "history.db") as history:
        assert history.add(chat)
    shown = on_a_terminal(spawn(["history", "show"], env))
    assert shown == printable(to_text(chat))
    assert not obeyed(shown)
    for command in (["list"], ["list", "--json"], ["show", "--json"], ["search", "a"],
                    ["search", "--json", "title"], ["show", ATTACKS[60]]):  # fmt: skip
        assert not obeyed(on_a_terminal(spawn(["history", *command], env))), command
    # A pipe gets what was said, to the last byte.
    piped = run(["history", "show"], env).stdout
    assert piped == to_text(chat).encode()


def test_names_of_models_and_files_on_a_terminal(env: dict[str, str], tmp_path: Path) -> None:
    names = [text for text in SAFE_TEXTS[::25] if "\0" not in text and len(text) < 200]
    assert len(names) > 10
    for name in names:
        shown = on_a_terminal(spawn(["-m", f"x{name}", "prompt"], env))
        assert not obeyed(shown), shown
        assert "Traceback" not in shown
    file = tmp_path / f"{SAFE_TEXTS[40].replace('/', '')}.md"
    assert not obeyed(on_a_terminal(spawn(["history", "export", "last", str(file)], env)))


def test_exports_for_readers() -> None:
    chat = attacked_chat()
    assert not obeyed(to_html(chat))
    # Text and Markdown are the very texts; what gptterm adds to them is harmless.
    for export in (to_text(chat), to_markdown(chat)):
        for text in sorted({node.text for node in chat.nodes()}, key=len, reverse=True):
            export = export.replace(text, "")
        assert not obeyed(export)


# --------------------------------------------------------------------------- no network

WATCHED = """
import sys
used = []
def hook(event, arguments):
    if event.startswith("socket."):
        used.append((event, str(arguments)))
        raise PermissionError("sockets are forbidden")
sys.addaudithook(hook)
import os
real_exit, os._exit = os._exit, lambda code: real_exit(99 if used else code)
from gptterm.__main__ import main
try:
    main()
finally:
    if used:
        print(used, file=sys.stderr)
"""
ONE_SHOT = ["-m", "tiny", "-n", "8", "--seed", "7", "The king"]


def finished(command: Iterable[str], env: dict[str, str]) -> bytes:
    done = subprocess.run(
        list(command),
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.strip()
    return done.stdout


def test_a_prompt_opens_no_socket(env: dict[str, str]) -> None:
    del env["HF_HUB_OFFLINE"]  # it is not what keeps us from the network
    watched = finished([sys.executable, "-c", WATCHED, *ONE_SHOT], env)
    assert watched == finished([*COMMAND, *ONE_SHOT], env)
    finished([sys.executable, "-c", WATCHED, "-c", "and then"], env)


def test_a_prompt_needs_no_network(env: dict[str, str]) -> None:
    del env["HF_HUB_OFFLINE"]
    finished(namespace(*COMMAND, *ONE_SHOT), env)


# --------------------------------------------------------------------------------- secrets

KEYS = {
    "OPENAI_API_KEY": "sk-first-secret",
    "GPTTERM_API_KEY": "sk-second-secret",
    "HF_TOKEN": "hf_third-secret",
    "HTTPS_PROXY": "http://user:fourth-secret@localhost:1",
}


@pytest.mark.parametrize(
    "arguments",
    [
        ["config", "show"],
        ["doctor"],
        ["-v", "-m", "tiny", "-n", "2", "--json", "hello"],
        ["-m", "nosuch/model", "--offline", "hello"],
    ],
)
@pytest.mark.parametrize("configured", [False, True])
def test_keys_are_never_shown_or_kept(
    env: dict[str, str], tmp_path: Path, arguments: list[str], configured: bool
) -> None:
    """Not from the environment, and not from a file that has one where it does not belong."""
    home = tmp_path / "home"
    home.mkdir()
    if configured:
        (home / "config.toml").write_text('api_key = "sk-fifth-secret"\n')
    result = run(arguments, {**env, **KEYS, "GPTTERM_HOME": str(home), "GPTTERM_DEBUG": "1"})
    assert "secret" not in result.text
    assert "secret" not in result.stderr
    for file in home.rglob("*"):
        if file.is_file() and file.name != "config.toml":
            assert b"secret" not in file.read_bytes(), file

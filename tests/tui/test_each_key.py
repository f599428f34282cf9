"""Each key of the help and each command, pressed and typed in a real terminal.

What each does is seen on the screen, and stays. A row that is added to a table and not walked here
fails.
"""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from gptterm.conversation.commands import COMMANDS
from gptterm.tui.widgets.key_groups import CHAT_GROUPS, INSPECT_GROUPS, WRITE_GROUPS
from tests.store.chats import talk
from tests.support.gpt2 import write_gpt2
from tests.tui.saved import fill
from tests.tui.terminal import ENTERED, LEFT, Terminal
from tests.tui.walk import Walk

CODE = "See:\n\n```python\nprint(1)\n```\n"
LONG = "\n".join(f"line {n} " for n in range(90))
TALES = 12
F2, F3, F4 = b"\x1bOQ", b"\x1bOR", b"\x1bOS"
Start = Callable[..., Terminal]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Opens `gptterm -m tiny …` in a history of some chats.

    One of them was written by a model whose reply takes long: see `test_real`.
    """
    opened: list[Terminal] = []
    slow = tmp_path / "slow"
    write_gpt2(slow, says="and so they went on and on, ", layers=24, positions=8192)
    tales = (talk(f"tale {n} it is", "Short.") for n in range(TALES))
    long = talk("count", LONG, "code please", CODE, model=str(slow))
    fill(tmp_path / "history.db", long, *tales)

    def started(*options: str) -> Terminal:
        chat = shlex.join([sys.executable, "-m", "gptterm", "-m", "tiny", "-t", "0", *options])
        command = ["sh", "-c", f"cd {shlex.quote(str(tmp_path))}; exec {chat}"]
        variables = {"LC_ALL": "C.UTF-8"}
        tty = Terminal(command, 36, 140, tmp_path, **variables)
        opened.append(tty)
        tty.until(lambda: tty.shows("Message tiny, or"))
        return tty

    yield started
    for tty in opened:
        tty.process.terminate(force=True)


COMMANDS_TO_TYPE = (
    # The rate is there when the reply has ended.
    ("regenerate", "", "tok/s   2/2 ◂▸"),
    ("continue", "", "cut after 12 tokens"),
    ("edit", "hello again", "▎ hello again"),
    ("copy", "", "sent the reply to the terminal's clipboard"),
    ("export", "chat.md", "✓ wrote chat.md"),
    ("stats", "", "first token "),
    ("help", "stop", "/stop TEXT"),
    ("temperature", "0.5", "✓ temperature 0.5"),
    ("top-k", "12", "✓ top-k 12"),
    ("top-p", "0.8", "✓ top-p 0.8"),
    ("min-p", "0.1", "✓ min-p 0.1"),
    ("typical-p", "0.7", "✓ typical-p 0.7"),
    ("repetition-penalty", "1.2", "✓ repetition-penalty 1.2"),
    ("presence-penalty", "0.3", "✓ presence-penalty 0.3"),
    ("frequency-penalty", "0.4", "✓ frequency-penalty 0.4"),
    ("sampler-order", "llama", "✓ sampler-order llama"),
    ("max-tokens", "7", "✓ max-tokens 7"),
    ("seed", "3", "✓ seed 3"),
    ("stop", "END", '✓ stop "END"'),
    ("until", "sentence", '✓ until "sentence"'),
    ("preset", "focused", "✓ preset focused"),
    ("system", "Be brief.", "✓ system text set"),
    ("settings", "", "─ settings ─"),
    ("model", "slow", "Message slow, or"),
    ("new", "", "is a base model"),
    ("plain", "", "Type a message. /help lists the commands"),
    ("quit", "", ""),
)
"""Commands with their argument, and what is to be seen then."""


def test_each_command(start: Start, tmp_path: Path) -> None:
    assert sorted(name for name, _, _ in COMMANDS_TO_TYPE) == sorted(c.name for c in COMMANDS)
    tty = start("-n", "6")
    tty.say("hello")
    for name, argument, shows in COMMANDS_TO_TYPE:
        assert not shows or not tty.shows(shows), name
        tty.send(f"/{name} {argument}".rstrip().encode() + b"\r")
        if shows:
            tty.until(lambda: tty.shows(shows) and not tty.replying)  # noqa: B023
        if name == "settings":
            tty.send(b"\x1b")
            tty.until(lambda: not tty.shows(shows))  # noqa: B023
        elif name == "plain":
            # Its `/quit` would end the other.
            tty.send(b"/quit\r")
            assert tty.ended() == 0
            tty = start()
    assert tty.ended() == 0
    assert (tmp_path / "chat.md").exists()


def test_each_key_of_the_chat(start: Start) -> None:
    walk = Walk(start("-n", "6"), CHAT_GROUPS)
    for part in (_prompt, _replies, _turns, _tokens, _sampling, _chats, _other_chat, _screens):
        part(walk)
    _leave(walk)
    assert not walk.left


def test_each_key_of_inspect_mode(start: Start) -> None:
    tty = start("-n", "20")
    tty.say("hello")
    walk = Walk(tty, INSPECT_GROUPS)
    press, token, head = walk.press, r"position \d+ ·|the end ·", r"layer \d · head \d · induction"
    tty.send(F4)
    tty.until(lambda: tty.shows("1 token") and tty.shows("surprisal"))
    for name in ("first", "last", "previous", "next", "up", "down", "page-up", "page-down"):
        press(f"text.{name}", walk.changes(token))
    press("inspect.heat", "2 heat")
    press("inspect.measure", "rank, from")
    press("inspect.attention", "3 attention")
    press("inspect.head-up", "layer 0 · head 0 · induction")
    for side in ("down", "right", "left"):
        press(f"inspect.head-{side}", walk.changes(head))
    press("inspect.all", "mean of all heads")
    press("inspect.statistic", "entropy, bits, from")
    press("inspect.map", "attention of layer")
    press("inspect.first", "without the first token")
    press("inspect.switch", walk.restyles("3 attention"))
    press("inspect.lens", "4 lens")
    press("inspect.token", "1 token")
    press("inspect.file", "─ look into a file")
    walk.escape("─ look into a file")
    press("inspect.help", "inspected text")  # its own keys come first
    walk.escape("─ help ─")
    for name in ("back", "chat"):
        press(f"inspect.{name}", "Message tiny")
        tty.send(F4)
        tty.until(lambda: tty.shows("1 token"))
    tty.send(b"\x03\x03")
    assert tty.ended() == 0
    assert not walk.left


def test_each_key_of_write_mode(start: Start) -> None:
    tty = start("-n", "6")
    walk = Walk(tty, WRITE_GROUPS)
    tty.send(F3)
    tty.until(lambda: tty.shows("a text without a file"))
    walk.type("Once upon a time, there", "Once upon a time, there")
    for part in (_text, _continuations, _text_tokens, _text_samplers, _map, _text_dialogs):
        part(walk)
    walk.press("write.chat", "Message tiny")
    tty.send(b"/quit\r")
    assert tty.ended() == 0
    assert not walk.left


TEXT = r"Once upon[^\n]*(?:\n *\S[^\n]*)*"
"""The rows of the text, up to an empty one."""


def _written(walk: Walk) -> Callable[[], bool]:
    """Condition: the text has become longer, and nothing more is written."""
    changed = walk.changes(TEXT)
    return lambda: changed() and not walk.tty.replying


def _text(walk: Walk) -> None:
    press = walk.press
    for key in range(2):
        press("write.continue", _written(walk), key=key)
    for key in range(2):
        press("write.undo", walk.changes(TEXT), key=key)
        press("write.redo", walk.changes(TEXT), key=key)
    press("write.undo", walk.changes(TEXT), key=2)
    for place in ("begin", "end"):
        press(f"write.{place}", walk.restyles("Once upon"))
    # Another one at the same place.
    press("write.continue", _written(walk))


def _continuations(walk: Walk) -> None:
    press = walk.press
    press("write.stop", "g more")
    walk.tty.send(b"3")
    press("list.more", lambda: walk.tty.shows("5 continuations") and not walk.tty.replying)
    for key in range(2):
        press("list.up", walk.moves("▎ "), key=key)
        press("list.down", walk.moves("▎ "), key=key)
    press("list.rank", "by perplexity")
    press("list.columns", " 2 · 6 tokens")
    press("list.columns", gone=" 2 · 6 tokens")
    press("list.keep", "★")
    press("list.take", gone="g more")
    press("write.stop", "g more")
    press("list.drop", gone="5 continuations")


def _text_tokens(walk: Walk) -> None:
    press, first = walk.press, r"H model[^\n]*\n(?:[^\n]*\s)?(\S+) +[<.\d]+ +[.\d]+ "
    press("write.tint", "surprisal, bits")
    press("write.alternatives", "⏎ swap")
    press("next.previous", walk.changes(first))
    press("next.next", walk.changes(first))
    press("next.previous", walk.changes(first))
    press("next.down", walk.restyles("·and "))
    press("next.up", walk.restyles("·and "))
    press("next.ban", "is banned")
    press("next.ban", "no longer banned")
    press("next.more", "bias +1")
    press("next.less", "no bias")
    press("next.down", walk.restyles("·and "))
    press("next.grow", _written(walk))
    press("write.alternatives", "⏎ swap")
    press("next.leave", gone="⏎ swap")
    press("write.alternatives", "⏎ swap")
    press("write.alternatives", gone="H model")


def _text_samplers(walk: Walk) -> None:
    press = walk.press
    press("write.sampling", "▸temperature ")
    press("sampling.down", "▸top-k ")
    press("sampling.up", "▸temperature ")
    press("sampling.more", "0.05 ▸")
    press("sampling.less", "greedy ▸")
    press("sampling.neutral", "1.00 ▸")
    press("sampling.presets", "─ preset of this text")
    walk.escape("─ preset of this text")
    press("sampling.type", gone="1.00 ▸")
    walk.type("0", "0▏")
    press("sampling.type", "greedy ▸")
    press("write.sampling", gone="▸temperature ")


def _map(walk: Walk) -> None:
    press = walk.press
    press("write.map", "n name")
    press("map.restore", "brought back")
    for key in range(2):
        press("map.up", walk.moves("● "), key=key)
        press("map.down", walk.moves("● "), key=key)
    press("map.name", "─ name the branch")
    walk.escape("─ name the branch")
    for key in range(2):
        press("map.prune", "pruned the branch", key=key)
        press("map.restore", "brought back 1 branch")
    press("map.merge", walk.changes(r"[✓·] [^\n]*(merged|equal)"))
    press("write.map", gone="n name")


def _text_dialogs(walk: Walk) -> None:
    for name in (
        "tasks",
        "word",
        "unit",
        "model",
        "bookmarks",
        "open",
        "find",
        "replace",
        "export",
    ):
        walk.press(f"write.{name}", "esc back")
        walk.escape("esc back")
    walk.press("write.help", "esc close")
    walk.escape("esc close")
    walk.press("write.save", "this text has no file")
    walk.press("write.beside", "esc done")
    walk.escape("esc done")
    walk.press("write.new", gone="Once upon")


def _prompt(walk: Walk) -> None:
    press, prompt = walk.press, r"(▌[^\n]*\n)+"
    walk.type("/te", "▌ /te")
    press("prompt.complete", "▌ /temperature ")
    press("interrupt", "↑ brings it back")
    walk.type("one", "▌ one")
    press("tasks", "esc back")
    walk.escape("esc back")
    for key in range(3):
        press("prompt.newline", walk.changes(prompt), key=key)
    for key in range(2):
        press("prompt.undo", walk.changes(prompt), key=key)
    press("editor", ", edited")
    press("prompt.send", "cut after 6 tokens")


def _replies(walk: Walk) -> None:
    walk.press("regenerate", "2/2 ◂▸")
    walk.press("continue", "cut after 12 tokens")


def _turns(walk: Walk) -> None:
    press = walk.press
    press("transcript", "▌ tiny ")
    press("turn.up", "▌ you")
    press("turn.down", "▌ tiny ")
    press("turn.first", "▌ you")
    press("turn.last", "▌ tiny ")
    press("turn.previous", "1/2 ◂▸")
    press("turn.next", "2/2 ◂▸")
    press("turn.tint", "surprisal, bits")
    press("turn.edit", "edit: ⏎ makes a branch")
    press("stop", gone="edit: ")
    press("transcript", "▌ tiny ")
    press("turn.regenerate", "cut after 6 tokens")
    press("turn.copy", "sent the turn to the terminal's clipboard")
    press("turn.export", "─ export")
    walk.escape("─ export")


def _tokens(walk: Walk) -> None:
    press = walk.press
    press("token.previous", " rank 1 ")
    press("token.previous", walk.changes(r"(\S+) rank 1 "))
    press("token.next", walk.changes(r"(\S+) rank 1 "))
    press("token.alternatives", "⏎ grow on")
    press("next.down", walk.restyles("·you "))
    press("next.up", walk.restyles("·you "))
    press("next.previous", walk.changes(r"(\S+) rank 1 "))
    press("next.next", walk.changes(r"(\S+) rank 1 "))
    press("next.ban", "is banned")
    press("next.ban", "no longer banned")
    press("next.more", "bias +1")
    press("next.less", "no bias")
    press("next.down", walk.restyles("·you "))
    press("next.grow", lambda: walk.tty.shows("4/4 ◂▸") and walk.tty.shows("… cut after"))
    press("token.alternatives", "⏎ grow on")
    press("next.leave", gone="⏎ grow on")


def _sampling(walk: Walk) -> None:
    press = walk.press
    press("sampling", "━sampling")
    press("sampling.down", "▸top-k ")
    press("sampling.up", "▸temperature ")
    press("sampling.more", "0.05 ▸")
    press("sampling.less", "greedy ▸")
    press("sampling.neutral", "1.00 ▸")
    press("sampling.presets", "─ preset ─")
    walk.escape("─ preset ─")
    press("sampling.type", gone="1.00 ▸")
    walk.type("0", "0▏")
    press("sampling.type", "greedy ▸")
    press("help.outside", "─ help ─")
    walk.escape("─ help ─")
    press("sampling", gone="temperature")


def _chats(walk: Walk) -> None:
    press = walk.press
    press("chats", gone="tale 3 ")
    press("chats", "━chats━")
    press("chats.down", f"▸ tale {TALES - 1}")
    press("chats.up", "▸ ONE")
    press("chats.page-down", f"▸ tale {TALES - 10}")
    press("chats.page-up", "▸ ONE")
    press("chats.last", "▸ count")
    press("chats.first", "▸ ONE")
    press("chats.rename", "─ rename")
    walk.type("\x15Renamed\r", "▸ Renamed")
    press("chats.undo", "▸ ONE")
    press("chats.pin", " pinned")
    press("chats.undo", gone=" pinned")
    press("chats.down", f"▸ tale {TALES - 1}")
    press("chats.archive", gone=f"tale {TALES - 1}")
    press("chats.archived", f"tale {TALES - 1}")
    press("chats.undo", "out of the archive again")
    tale = f"▸ tale {TALES - 2}"
    for key in range(2):
        press("chats.delete", gone=tale, key=key)
        press("chats.undo", tale)
    press("chats.import", "─ import chats ─")
    walk.escape("─ import chats ─")
    press("chats.duplicate", f"{tale} it is (copy)")
    press("chats.down", gone=f"{tale} it is (copy)")
    press("chats.open", "F6 loads that model")


def _other_chat(walk: Walk) -> None:
    """In the chat of the slow model: its long text, its code, its reply."""
    press = walk.press
    press("search", "─ search all chats ─")
    walk.type("line 77", "1 hit")
    walk.tty.send(b"\r")
    # The line with all of the words, not the first with one of them.
    walk.tty.until(lambda: walk.tty.shows("line 77 ") and walk.tty.shows("more below"))
    press("transcript.end", gone="more below")
    press("page.up", "more below")
    press("page.down", gone="more below")
    press("transcript.begin", " line 0 ")
    press("transcript.end", gone="more below")
    press("turn.last", gone="▌ line 80 ")
    press("turn.code", "code block 1 of 1")
    press("chat.model", "Message slow, or")
    press("chat", gone="⏎ alternatives")
    walk.type("/max-tokens 5000\r", "max-tokens 5000")
    walk.type("go on\r", "esc stop")
    # On a busy machine the speaker's line, which says that it was stopped, has scrolled away.
    press("stop", gone="esc stop")


def _screens(walk: Walk) -> None:
    press = walk.press
    for name, title in (
        ("models", "─ model ─"),
        ("export", "─ export"),
        ("settings", "─ settings ─"),
        ("notices", "─ notices"),
        ("branches", "─ branches of the chat"),
        ("help", "─ help ─"),
        ("palette", "─ all that can be done ─"),
    ):
        press(name, title)
        walk.escape(title)
    press("write", "F2 chat")
    walk.tty.send(F2)
    press("inspect", "esc back")
    walk.escape("esc back")
    press("new", "is a base model")


def _leave(walk: Walk) -> None:
    tty, process = walk.tty, psutil.Process(walk.tty.process.pid)
    walk.press("suspend", lambda: process.status() == psutil.STATUS_STOPPED)
    os.kill(tty.process.pid, signal.SIGCONT)
    tty.until(lambda: tty.written.rindex(ENTERED) > tty.written.rindex(LEFT))
    walk.leave("quit")
    assert tty.ended() == 0

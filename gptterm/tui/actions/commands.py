"""Commands typed at the prompt: what they do here."""

from pathlib import Path
from typing import TYPE_CHECKING

from gptterm.conversation import commands, completion
from gptterm.conversation.commands import (
    ChangeSetting,
    ContinueReply,
    CopyReply,
    EditMessage,
    ExportChat,
    NewChat,
    Quit,
    Regenerate,
    SendMessage,
    SetSystem,
    ShowHelp,
    ShowStats,
    TogglePlain,
    UseModel,
    UsePreset,
)
from gptterm.conversation.export import export
from gptterm.errors import GpttermError
from gptterm.terminal import one_line
from gptterm.tui.actions import clipboard
from gptterm.tui.fields import quoted
from gptterm.tui.keys import written
from gptterm.tui.state.reply import GoOnPlain
from gptterm.tui.widgets.status import rate, seconds

if TYPE_CHECKING:
    from gptterm.tui.screens.chat import ChatScreen


def handle(screen: "ChatScreen", text: str) -> None:
    """Send a message or obey a command. What is refused stays in the prompt."""
    try:
        line = commands.parse_line(text, presets=screen.controller.settings.presets)
        if isinstance(line, SendMessage):
            screen.send(line.text)
            return
        screen.notice.notice = None
        if _obey(screen, line):
            screen.prompt.sent(text)
    except GpttermError as error:
        screen.say("error", str(error))


def _obey(screen: "ChatScreen", command: commands.Command) -> bool:
    """Do it. False: it was refused, or has itself filled the prompt."""
    controller = screen.controller
    match command:
        case ShowHelp(topic=None):
            screen.show_help(commands_first=True)
        case ShowHelp(topic=str(topic)):
            screen.say("info", completion.hint(f"/{topic} "))
        case NewChat():
            screen.action_new_chat()
        case UseModel(name=name):
            controller.load(name)
        case SetSystem(text=text):
            controller.set_system(text)
            screen.say("good", "the system text is set" if text else "there is no system text now")
        case ChangeSetting(setting=setting, value=value):
            return _set(screen, setting, value)
        case UsePreset(name=name):
            return screen.change(preset=name) and _said(screen, f"preset {name}")
        case Regenerate():
            screen.action_regenerate()
        case ContinueReply():
            screen.action_resume()
        case EditMessage(text=text):
            return _edit(screen, text)
        case ExportChat(path=path, overwrite=overwrite):
            _export(screen, path, overwrite)
        case CopyReply(code=code):
            return _copy(screen, code)
        case ShowStats():
            screen.say("info", stats(screen))
        case TogglePlain():
            return _plain(screen)
        case Quit():
            screen.app.exit(0)
    return True


def _said(screen: "ChatScreen", text: str) -> bool:
    screen.say("good", text)
    return True


def _set(screen: "ChatScreen", setting: str, value: object) -> bool:
    if not screen.change(**{setting: value}):
        return False
    name = setting.replace("_", "-")
    if isinstance(value, tuple):
        shown = " ".join(map(quoted, value)) or "off"
    else:
        shown = "random" if value is None else written(value)
    later = screen.controller.counts_later(setting)
    return _said(screen, f"{name} {shown}{': from the next reply' if later else ''}")


def _export(screen: "ChatScreen", path: Path, overwrite: bool) -> None:
    tree = screen.controller.chat.tree
    if not len(tree):
        screen.say("info", "there is nothing to export yet")
        return
    export(tree, path, overwrite=overwrite)
    screen.say("good", f"wrote {one_line(str(path))}")


def _plain(screen: "ChatScreen") -> bool:
    """Leave the screen; whoever opened it goes on with the chat. A running reply is stopped."""
    controller = screen.controller
    if controller.unsent:
        screen.say("info", "a message still waits for its turn: Esc takes it back")
        return False
    controller.stop()
    chat = controller.chat
    screen.app.exit(GoOnPlain(controller.settings, chat.tree, chat.saver))
    return True


def _edit(screen: "ChatScreen", text: str | None) -> bool:
    tree = screen.controller.chat.tree
    last = next((k for k in reversed(tree.path()) if tree.node(k).role == "user"), None)
    if last is None:
        screen.say("info", "there is no message to edit yet")
        return True
    if screen.refused_while_busy():
        return False
    if text is None:
        screen.prompt.sent("/edit")
        screen.edit(last)
        return False
    screen.controller.edit(last, text)
    return True


def _copy(screen: "ChatScreen", code: bool) -> bool:
    tree = screen.controller.chat.tree
    reply = tree.last_reply()
    if reply is None:
        screen.say("info", "there is no reply to copy yet")
    elif code:
        clipboard.copy_last_code(screen, tree.node(reply).text)
    else:
        clipboard.copy(screen, tree.node(reply).text, "the reply")
    return True


def stats(screen: "ChatScreen") -> str:
    """Counts and rates of the chat, on one line."""
    controller = screen.controller
    tree, reply = controller.chat.tree, controller.reply
    runs = [run for node in tree.nodes() for run in node.generations]
    parts = [f"{len(tree.path())} turns of {len(tree)}", f"{sum(r.tokens for r in runs):,} tokens"]
    if reply is not None and reply.tokens_per_s is not None:
        parts.append(f"{rate(reply.tokens_per_s)} tok/s")
    if reply is not None and reply.first_token_s is not None:
        parts.append(f"first token {seconds(reply.first_token_s)}")
    if reply is not None and reply.started is not None:
        parts.append(f"{reply.started.reused_tokens} of {reply.started.prompt_tokens} reused")
    info = controller.engine.info
    if info is not None:
        parts.append(f"{info.parameters / 1e6:,.1f} M parameters")
    return " · ".join(parts)

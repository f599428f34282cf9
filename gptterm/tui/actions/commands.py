"""Slash commands typed at the prompt."""

from pathlib import Path

from gptterm.conversation import command_help, commands
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
    ShowSettings,
    ShowStats,
    TogglePlain,
    UseModel,
    UsePreset,
)
from gptterm.conversation.export import export
from gptterm.errors import GpttermError
from gptterm.format import latency, parameter_count, plural, setting_value, token_rate
from gptterm.terminal import one_line
from gptterm.tui.actions import chats, clipboard, help_pages, settings, turns
from gptterm.tui.actions.busy import refuse_if_busy
from gptterm.tui.actions.chat_view import ChatView
from gptterm.tui.fields import quote
from gptterm.tui.result import ContinuePlain
from gptterm.tui.state.reply_numbers import reply_numbers


def handle(view: ChatView, text: str) -> None:
    """Send a message or run a command. What is refused stays in the prompt."""
    try:
        line = commands.parse_line(text, presets=view.controller.settings.presets)
        if isinstance(line, SendMessage):
            view.send(line.text)
            return
        view.notice_line.notice = None
        if _run(view, line):
            view.prompt.accept(text)
    except GpttermError as error:
        view.show_notice("error", str(error))


def _run(view: ChatView, command: commands.Command) -> bool:
    """Run a command. False if it was refused, or has filled the prompt itself."""
    controller = view.controller
    match command:
        case ShowHelp(topic=None):
            help_pages.show_help(view, commands_first=True)
        case ShowHelp(topic=str(topic)):
            view.show_notice("info", command_help.hint(f"/{topic} "))
        case NewChat():
            chats.new(view)
        case UseModel(name=name):
            controller.loader.load(name)
        case SetSystem(text=text):
            controller.set_system(text)
            view.show_notice("good", "system text set" if text else "system text removed")
        case ChangeSetting(setting=setting, value=value):
            return _set(view, setting, value)
        case UsePreset(name=name):
            return view.change(preset=name) and _said(view, f"preset {name}")
        case Regenerate():
            turns.regenerate(view)
        case ContinueReply():
            turns.continue_last(view)
        case EditMessage(text=text):
            return _edit(view, text)
        case ExportChat(path=path, overwrite=overwrite):
            _export(view, path, overwrite)
        case CopyReply(code=code):
            return _copy(view, code)
        case ShowSettings():
            settings.show_settings(view)
        case ShowStats():
            view.show_notice("info", stats(view))
        case TogglePlain():
            return _plain(view)
        case Quit():
            view.app.exit(0)
    return True


def _said(view: ChatView, text: str) -> bool:
    view.show_notice("good", text)
    return True


def _set(view: ChatView, setting: str, value: object) -> bool:
    if not view.change(**{setting: value}):
        return False
    name = setting.replace("_", "-")
    if isinstance(value, tuple):
        shown = " ".join(map(quote, value)) or "off"
    else:
        shown = "random" if value is None else setting_value(value)
    later = view.controller.acts_next_reply(setting)
    return _said(view, f"{name} {shown}{': from the next reply' if later else ''}")


def _export(view: ChatView, path: Path, overwrite: bool) -> None:
    tree = view.controller.chat.tree
    if not len(tree):
        view.show_notice("info", "there is nothing to export yet")
        return
    export(tree, path, overwrite=overwrite)
    view.show_notice("good", f"wrote {one_line(str(path))}")


def _plain(view: ChatView) -> bool:
    """Leave the TUI for the plain chat. A running reply is stopped."""
    controller = view.controller
    if controller.unsent:
        view.show_notice("info", "a message is still queued: Esc takes it back")
        return False
    controller.stop()
    chat = controller.chat
    view.app.exit(ContinuePlain(controller.settings, chat.tree, chat.saver))
    return True


def _edit(view: ChatView, text: str | None) -> bool:
    tree = view.controller.chat.tree
    last = next((k for k in reversed(tree.path()) if tree.node(k).role == "user"), None)
    if last is None:
        view.show_notice("info", "there is no message to edit yet")
        return True
    if refuse_if_busy(view):
        return False
    if text is None:
        view.prompt.accept("/edit")
        turns.edit(view, last)
        return False
    view.controller.edit(last, text)
    return True


def _copy(view: ChatView, code: bool) -> bool:
    tree = view.controller.chat.tree
    reply = tree.last_reply()
    if reply is None:
        view.show_notice("info", "there is no reply to copy yet")
    elif code:
        clipboard.copy_last_code(view, tree.node(reply).text)
    else:
        clipboard.copy(view, tree.node(reply).text, "the reply")
    return True


def stats(view: ChatView) -> str:
    """Summarise the chat in counts and rates, on one line."""
    controller = view.controller
    tree, numbers = controller.chat.tree, reply_numbers(controller)
    runs = [run for node in tree.nodes() for run in node.generations]
    parts = [
        f"{len(tree.path())} of {plural(len(tree), 'turn')}",
        plural(sum(run.tokens for run in runs), "token"),
    ]
    if numbers.tokens_per_s is not None:
        parts.append(token_rate(numbers.tokens_per_s))
    if numbers.first_token_s is not None:
        parts.append(f"first token {latency(numbers.first_token_s)}")
    if numbers.prompt is not None:
        reused, total = numbers.prompt
        parts.append(f"{reused} of {total} reused")
    info = controller.engine.info
    if info is not None and info.parameters:
        parts.append(parameter_count(info.parameters))
    return " · ".join(parts)

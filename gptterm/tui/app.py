"""The application: themes, keymap, palette, and the controller's life around the screen."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import App, SystemCommand
from textual.binding import BindingType
from textual.filter import LineFilter
from textual.screen import Screen
from textual.worker import Worker, WorkerFailed

from gptterm.config import Settings
from gptterm.engine.ipc.client import EngineClient
from gptterm.errors import GpttermError
from gptterm.paths import history_file
from gptterm.tui import keys, terminal_driver, themes
from gptterm.tui.no_color import NoColor
from gptterm.tui.screens.chat import ChatScreen
from gptterm.tui.screens.hints import GROUPS
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.engine_manager import Finder, find_model, new_client
from gptterm.tui.state.events import ControllerEvent
from gptterm.tui.state.reply import GoOnPlain
from gptterm.tui.terminal_driver import driver_class

if TYPE_CHECKING:
    from textual.command import Provider

WIDGET_STYLES = (
    "status", "transcript/transcript", "sampling", "distribution", "chats", "notice", "prompt",
    "keyline", "options",
)  # fmt: skip


LOOK_S = 2.0
"""So often it is looked whether another program wrote in the history."""


def _commands() -> "type[Provider]":
    # Not needed for the first frame.
    from gptterm.tui.palette import OrderedCommands

    return OrderedCommands


class GpttermApp(App[int | GoOnPlain]):
    """gptterm's TUI.

    Args:
        settings: The settings in effect.
        prompt: A first message, sent once the model is ready.
        client: The engine's process; None for a local one.
        find: How models are found.
        conversation: The chat to go on with: the beginning of its id, or `last`.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = [
        "screens/chat.tcss",
        *(f"widgets/{name}.tcss" for name in WIDGET_STYLES),
    ]
    TITLE = "gptterm"
    COMMANDS: ClassVar["set[type[Provider] | Callable[[], type[Provider]]]"] = {_commands}
    PAUSE_GC_ON_SCROLL = True
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012 (Textual reads it from the instance)
        (0, "-low"),
        (10, "-high"),
        (30, "-tall"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = list(keys.APP_KEYS)

    def __init__(
        self,
        settings: Settings,
        prompt: str | None = None,
        client: EngineClient | None = None,
        find: Finder = find_model,
        *,
        conversation: str | None = None,
    ) -> None:
        terminal_driver.register()
        super().__init__(driver_class=driver_class())
        self._first_prompt = prompt
        self._conversation = conversation
        self._save = settings.save
        self.refusal: GpttermError | None = None
        """Why the chat that was wanted could not be opened."""
        self._looking: Worker[None] | None = None
        self._early: list[events.Key | events.Paste] | None = []
        """What was typed before the first frame; None once that is drawn."""
        self.lost = ""
        """Why what was said last could not be kept, once the app has ended."""
        self.failure: Exception | None = None
        """What nobody expected, and ended the app."""
        self._tui = settings.tui
        self.controller = Controller(
            settings,
            self._show_event,
            client or new_client(settings),
            find,
            history=history_file(),
        )
        keymap, self._unusable_keys = keys.usable(settings.tui.keys, GROUPS)
        self.chat_screen = ChatScreen(self.controller, keys.Keymap(keymap))
        for theme in themes.OWN:
            self.register_theme(theme)
        name = themes.theme_name(settings.tui.theme, self.available_themes, os.environ)
        self.theme = name or themes.DARK.name
        self._no_color = NoColor(self.current_theme.dark)
        self._unknown_theme = "" if name else settings.tui.theme
        if settings.tui.reduced_motion:
            self.animation_level = "none"

    def get_line_filters(self) -> Sequence[LineFilter]:
        """With NO_COLOR, none at all: Textual's own way is greys, which are colours too."""
        return [self._no_color] if self.no_color else super().get_line_filters()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """What the styles need beside Textual's variables."""
        return themes.variables(self.current_theme)

    def get_default_screen(self) -> ChatScreen:
        """Chat mode."""
        return self.chat_screen

    def on_mount(self) -> None:
        """The engine is started when the first frame has been drawn."""
        self.set_keymap(self.chat_screen.keymap.mapping)
        for problem in self._unusable_keys:
            self.chat_screen.say("warning", f"[tui.keys] {problem}")
        if self._unknown_theme:
            self.chat_screen.say("warning", f"there is no theme {self._unknown_theme}")
        if self._tui.reduced_motion:
            self.chat_screen.prompt.cursor_blink = False
        # The terminal has forgotten the screen; Textual would draw what has changed since.
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        self.call_after_refresh(self._start)

    async def on_event(self, event: events.Event) -> None:
        """What is typed before there is a prompt waits for it."""
        if (
            self._early is not None
            and isinstance(event, events.Key | events.Paste)
            and not event.is_forwarded
        ):
            self._early.append(event)
        else:
            await super().on_event(event)

    async def _start(self) -> None:
        early, self._early = self._early or [], None
        for event in early:
            # Before the terminal was ours it turned Enter into a line feed.
            sent = isinstance(event, events.Key) and event.key == "ctrl+j"
            await self.on_event(events.Key("enter", "\r") if sent else event)
        self._watch_signals()
        # Keys are not kept waiting for a disk.
        self.run_worker(self._begin())

    async def _begin(self) -> None:
        wanted, prompt = self._conversation, self._first_prompt
        reopen = self._save and prompt is None
        if wanted is None:
            self.controller.load()
            if prompt is not None:
                self.chat_screen.send(prompt)
        self.set_interval(LOOK_S, self._look)
        try:
            await self.controller.open_history(wanted, reopen=reopen)
        except GpttermError as error:
            self.refusal = error
            self.exit(error.exit_code)
            return
        if wanted is not None:
            # Now that it is known which model wrote it.
            self.controller.load()
            if prompt is not None:
                self.chat_screen.send(prompt)

    def _look(self) -> None:
        # One at a time; a disk may be slow.
        if not self.chat_screen.editing and (self._looking is None or self._looking.is_finished):
            self._looking = self.run_worker(self.controller.look())

    def _show_event(self, change: ControllerEvent) -> None:
        if self.chat_screen.is_mounted:
            self.chat_screen.show_event(change)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:  # noqa: ARG002
        """Every action of the screen, a theme, and quit."""
        chat = self.chat_screen
        everywhere, *parts = GROUPS
        yield from self._commands_of(everywhere)
        yield SystemCommand("Preset", "Choose a preset of the samplers", chat.action_presets)
        yield SystemCommand("Theme", "ControllerEvent the colours", self.action_change_theme)
        for part in parts:
            yield from self._commands_of(part)

    def _commands_of(self, group: keys.Group) -> Iterator[SystemCommand]:
        chat = self.chat_screen
        for heading, does, where, action in chat.keymap.commands([group]):
            yield SystemCommand(
                does,
                where,
                lambda heading=heading, action=action: chat.perform(heading, action),
            )

    def action_interrupt(self) -> None:
        """As in the chat, whatever lies over it."""
        self.chat_screen.interrupt()

    # ------------------------------------------------------------------------------- ending

    def _watch_signals(self) -> None:
        """A closed terminal or a kill ends the program in order: the engine goes with it."""
        import asyncio

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.exit, 128 + number)

    def _handle_exception(self, error: Exception) -> None:
        """The first one is what the caller is told; all go to the log."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        if self.failure is None and isinstance(cause, Exception):
            self.failure = cause
        super()._handle_exception(error)

    async def on_unmount(self) -> None:
        """Nothing is left behind, and nothing that was said or typed is lost."""
        self.chat_screen.keep_draft()
        self.lost = await self.controller.close()

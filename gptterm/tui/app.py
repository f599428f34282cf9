"""The application: themes, keymap, palette, and the life of the controller."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events
from textual.app import SystemCommand
from textual.binding import BindingType
from textual.filter import LineFilter
from textual.screen import Screen
from textual.worker import Worker

from gptterm.config import Settings
from gptterm.engine.ipc.client import EngineClient
from gptterm.errors import GpttermError
from gptterm.format import plural
from gptterm.paths import history_file
from gptterm.tui import keys, themes
from gptterm.tui.attention import Attention
from gptterm.tui.no_color import NoColor
from gptterm.tui.result import ContinuePlain
from gptterm.tui.screens.chat import ChatScreen
from gptterm.tui.screens.chat_events import show_event
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.engine_manager import Finder, find_model, new_client
from gptterm.tui.state.events import ControllerEvent, ListChanged, Notified, ReplyEnded
from gptterm.tui.terminal_output import count_spacing_marks
from gptterm.tui.textual_compat import KEY_S, InputUnread, TerminalApp, add_key_sequence
from gptterm.tui.widgets.key_groups import CHAT_GROUPS, INSPECT_GROUPS, SCREENS, WRITE_GROUPS
from gptterm.tui.workers import start_worker

if TYPE_CHECKING:
    from gptterm.tui.screens.inspect import InspectScreen
    from gptterm.tui.screens.write import WriteScreen
    from gptterm.tui.state.subjects import Subject

WIDGET_STYLES = (
    "status", "transcript/transcript", "sampling", "presets", "distribution", "chats", "notice",
    "prompt", "text_field", "keyline", "options", "table_list", "document_area", "continuations",
    "version_map",
)  # fmt: skip

POLL_INTERVAL_S = 2.0
"""Time between two checks whether another program wrote to the history."""


class GpttermApp(TerminalApp[int | ContinuePlain]):
    """The TUI of gptterm.

    Args:
        settings: The settings in effect.
        prompt: A first message, sent once the model is ready.
        client: Client of the engine process; None for the default one.
        find: Finds models.
        conversation: The chat to open: the beginning of its id, or `last`; None: a new one.
        write: Begin in Write mode.
        file: The file of Write mode; None for the text that has none.
        document: Id of its document, if that has no file; empty: the last one.
        beside: Fields of its `DocumentSettings`, which replace those that are kept.
    """

    CSS_PATH: ClassVar[list[str | PurePath]] = [
        "screens/chat.tcss",
        "screens/write.tcss",
        "screens/inspect.tcss",
        *(f"widgets/{name}.tcss" for name in WIDGET_STYLES),
    ]
    TITLE = "gptterm"
    ENABLE_COMMAND_PALETTE = False
    """Ours is a list like any other."""
    PAUSE_GC_ON_SCROLL = True
    VERTICAL_BREAKPOINTS = [  # noqa: RUF012 (Textual reads it from the instance)
        (0, "-low"),
        (10, "-high"),
        (30, "-tall"),
        (45, "-very-tall"),
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
        write: bool = False,
        file: Path | None = None,
        document: str = "",
        beside: Mapping[str, object] | None = None,
    ) -> None:
        count_spacing_marks()
        # Terminals send Alt+Enter as ESC CR.
        add_key_sequence("\x1b\r", "alt+enter")
        super().__init__()
        self._first_prompt = prompt
        self._conversation = conversation
        self.refusal: GpttermError | None = None
        """Why the wanted chat could not be opened."""
        self.unsaved = ""
        """Why the last messages could not be saved, once the app has ended."""
        self._polling: Worker[None] | None = None
        self._early_input: list[events.Event] | None = []
        """Input before the first frame; None once that is drawn."""
        self._tui = settings.tui
        self.attention = Attention(self)
        self.controller = Controller(
            settings,
            self._show_event,
            client or new_client(settings),
            find,
            history=history_file(),
        )
        keymap, self._keymap_problems = keys.usable(settings.tui.keys, SCREENS)
        self.chat_screen = ChatScreen(self.controller, keys.Keymap(keymap), self.open_text)
        self._begins_writing = write
        self._written = file, document, beside
        self.write_screen: WriteScreen | None = None
        """Write mode, once it was opened."""
        self.inspect_screen: InspectScreen | None = None
        """Inspect mode, once it was opened."""
        for theme in themes.OWN:
            self.register_theme(theme)
        name = themes.theme_name(settings.tui.theme, self.available_themes, os.environ)
        self.theme = name or themes.DARK.name
        # Textual would parse all styles with its own theme first, and again for this one.
        dark = self.current_theme.dark
        self.add_class(f"-theme-{self.theme}", "-dark-mode" if dark else "-light-mode")
        self._styled_with = self.get_css_variables(), self.classes
        self.stylesheet.set_variables(self._styled_with[0])
        self._no_color_filter = NoColor(dark)
        self._unknown_theme = "" if name else settings.tui.theme
        if settings.tui.reduced_motion:
            self.animation_level = "none"

    def get_line_filters(self) -> Sequence[LineFilter]:
        """With NO_COLOR, remove all colours: Textual's own filter leaves greys."""
        return [self._no_color_filter] if self.no_color else super().get_line_filters()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the styles' variables that Textual does not have."""
        return themes.variables(self.current_theme)

    def refresh_css(self, animate: bool = True) -> None:
        """Parse the styles again, if the theme has changed."""
        styled_with = self.get_css_variables(), self.classes
        if styled_with != self._styled_with:
            self._styled_with = styled_with
            super().refresh_css(animate)

    def get_default_screen(self) -> ChatScreen:
        """Return the chat screen."""
        return self.chat_screen

    def on_load(self) -> None:
        """Handle signals, before the terminal is taken over."""
        self._watch_signals()

    def on_mount(self) -> None:
        """Apply the settings, and start the engine after the first frame."""
        self.set_keymap(self.chat_screen.keymap.mapping)
        for problem in self._keymap_problems:
            self.chat_screen.show_notice("warning", f"[tui.keys] {problem}")
        if self._unknown_theme:
            self.chat_screen.show_notice("warning", f"there is no theme {self._unknown_theme}")
        # The terminal has lost the screen, of which Textual would draw only what changed.
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))
        self.call_after_refresh(self._start)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """With reduced motion, stop the cursor of what was focused from blinking."""
        if self._tui.reduced_motion:
            # Loaded by whatever has one.
            from textual.widgets import Input, TextArea

            if isinstance(event.widget, Input | TextArea):
                event.widget.cursor_blink = False

    async def on_event(self, event: events.Event) -> None:
        """Hold input back until there is a prompt."""
        if (
            self._early_input is not None
            and isinstance(event, events.Key | events.Paste | InputUnread)
            and not event.is_forwarded
        ):
            self._early_input.append(event)
        else:
            if isinstance(event, events.Key):
                self.controller.engine.leave_core(KEY_S)
            await super().on_event(event)

    def key_drawn(self) -> None:
        """Give the engine back the core that the key's frame needed."""
        self.controller.engine.leave_core(0.0)

    def on_input_unread(self, event: InputUnread) -> None:
        """Say that another character stands for some of what was typed or pasted."""
        said = f"the input is not UTF-8 in {plural(event.places, 'place')}: � stands there"
        self._show_event(Notified("warning", said))

    async def _start(self) -> None:
        # Not needed for the first frame.
        from gptterm.tui.allocator import keep_little

        keep_little()
        # The start makes no garbage to speak of: what it made is counted as old, unseen.
        gc.freeze()
        gc.unfreeze()
        gc.set_threshold(700, 10, 10)
        early, self._early_input = self._early_input or [], None
        for event in early:
            # Before raw mode the terminal turned Enter into a line feed.
            is_enter = isinstance(event, events.Key) and event.key == "ctrl+j"
            await self.on_event(events.Key("enter", "\r") if is_enter else event)
        # A slow disk must not block the keys.
        start_worker(self, self._open_history)
        if self._begins_writing:
            self.action_write()

    async def _open_history(self) -> None:
        wanted = self._conversation
        if wanted is None:
            self._load_and_send()
        self.set_interval(POLL_INTERVAL_S, self._poll)
        try:
            await self.controller.open_history(wanted)
        except GpttermError as error:
            self.refusal = error
            self.exit(error.exit_code)
            return
        if wanted is not None:
            # Only now the model that wrote the chat is known.
            self._load_and_send()

    def _load_and_send(self) -> None:
        """Load the model and send the first message."""
        self.controller.loader.load()
        if self._first_prompt is not None:
            self.chat_screen.send(self._first_prompt)

    def _poll(self) -> None:
        # One at a time: a disk may be slow.
        is_polling = self._polling is not None and not self._polling.is_finished
        if not self.chat_screen.turn_editor and not is_polling:
            self._polling = start_worker(self, self.controller.poll_history)

    def _show_event(self, event: ControllerEvent) -> None:
        if self.chat_screen.is_mounted:
            show_event(self.chat_screen, event)
            self._show_title()
            if isinstance(event, ReplyEnded):
                self.attention.reply_ended(event.reply)
        if self.write_screen is not None and self.write_screen.is_mounted:
            self.write_screen.show_engine()
            if isinstance(event, ListChanged):
                self.write_screen.list_changed()
        if self.inspect_screen is not None and self.inspect_screen.is_mounted:
            self.inspect_screen.engine_changed()

    def _show_title(self) -> None:
        """Show the chat's title on the terminal, unless a text's is there."""
        if self.write_screen is None or self.write_screen not in self.screen_stack:
            self.attention.show_title(self.chat_screen.painter.title)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Return every action of the screen, presets, themes, and quit."""
        if screen is self.write_screen:
            yield from self._mode_commands(self.write_screen, WRITE_GROUPS)
            return
        if screen is self.inspect_screen:
            yield from self._mode_commands(self.inspect_screen, INSPECT_GROUPS)
            return
        everywhere, *areas = CHAT_GROUPS
        yield from self._commands_of(everywhere)
        yield SystemCommand(
            "Preset",
            "Choose a preset of the samplers",
            lambda: self.chat_screen.action_run("presets"),
        )
        yield SystemCommand(
            "Theme",
            "Change the colours",
            lambda: self.chat_screen.action_run("theme"),
        )
        for area in areas:
            yield from self._commands_of(area)

    def _mode_commands(
        self, screen: "WriteScreen | InspectScreen", groups: Sequence[keys.Group]
    ) -> Iterator[SystemCommand]:
        from gptterm.tui.actions.pickers import choose_theme

        for area, does, where, action in self.chat_screen.keymap.commands(groups):
            run = partial(screen.run_binding, area, action)
            yield SystemCommand(does, where, run)
        yield SystemCommand("Theme", "Change the colours", partial(choose_theme, screen))

    def _commands_of(self, group: keys.Group) -> Iterator[SystemCommand]:
        chat = self.chat_screen
        for area, does, where, action in chat.keymap.commands([group]):
            yield SystemCommand(
                does,
                where,
                lambda area=area, action=action: chat.run_binding(area, action),
            )

    def action_palette(self) -> None:
        """Choose one of all commands, unless a dialog is open already."""
        if not self.screen.is_modal:
            from gptterm.tui.actions.pickers import choose_command

            choose_command(self)

    def action_settings(self) -> None:
        """Show the settings of config.toml, unless a dialog is open already."""
        if not self.screen.is_modal:
            from gptterm.tui.actions.settings import show_settings

            show_settings(self.chat_screen)

    def action_interrupt(self) -> None:
        """Copy, stop or quit, in dialogs too."""
        if self.inspect_screen is not None and self.inspect_screen in self.screen_stack:
            self.inspect_screen.interrupt()
        elif self.write_screen is not None and self.write_screen in self.screen_stack:
            self.write_screen.interrupt()
        else:
            self.chat_screen.interrupt.press()

    def action_inspect(self) -> None:
        """Go to Inspect mode, with what the screen shows."""
        find: Callable[[], Subject | None]
        if self.screen is self.chat_screen:
            selected = self.chat_screen.transcript.selected_key
            find = partial(self.controller.tokens.subject, selected)
        elif self.screen is self.write_screen and self.write_screen is not None:
            find = self.write_screen.subject
        else:
            return
        if self.inspect_screen is None:
            from gptterm.tui.screens.inspect import InspectScreen

            self.inspect_screen = InspectScreen(self.controller, self.chat_screen.keymap)
            self.install_screen(self.inspect_screen, "inspect")
        self.inspect_screen.inspecting.open_when_ready(find)
        self.push_screen(self.inspect_screen)

    def action_write(self) -> None:
        """Go to Write mode."""
        if self.screen is self.inspect_screen:
            self.pop_screen()
        if self.write_screen is None:
            from gptterm.tui.screens.write import WriteScreen

            keymap = self.chat_screen.keymap
            show_title = self.attention.show_title
            self.write_screen = WriteScreen(self.controller, keymap, show_title, *self._written)
            self.install_screen(self.write_screen, "write")
        if self.screen is self.chat_screen:
            self.push_screen(self.write_screen)

    def open_text(self, document: str, path: str) -> None:
        """Go to Write mode with a document of the history."""
        file = Path(path) if path else None
        if self.write_screen is None:
            self._written = file, document, None
        else:
            start_worker(self.write_screen, partial(self.write_screen.switch, file, document))
        self.action_write()

    def action_chat(self) -> None:
        """Go from Write or Inspect mode to the chat."""
        if self.screen is self.inspect_screen:
            self.pop_screen()
        if self.screen is self.write_screen:
            self.write_screen.writing.stop()
            self.pop_screen()
            self._show_title()

    # ------------------------------------------------------------------------------- ending

    def _watch_signals(self) -> None:
        """Exit in order when a signal would end the process: the engine ends too."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, self.exit, 128 + number)

    async def on_unmount(self) -> None:
        """End all processes, and save what was written and typed."""
        self.attention.restore_title()
        self.chat_screen.save_draft()
        if self.write_screen is not None:
            await self.write_screen.writing.close()
            self.refusal = self.refusal or self.write_screen.refusal
        self.unsaved = await self.controller.close()

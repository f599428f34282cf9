"""Interface of the controller to its parts."""

from typing import Protocol

from gptterm.config import Settings
from gptterm.tui.state.chat import Chat
from gptterm.tui.state.downloads import Downloads
from gptterm.tui.state.engine_manager import EngineManager
from gptterm.tui.state.reply import Reply


class ControllerView(Protocol):
    """The parts of the controller that its other parts may use."""

    engine: EngineManager
    downloads: Downloads
    reply: Reply | None
    """The running generation, else the last one."""
    replying: Chat | None
    """The chat of the running generation."""

    @property
    def chat(self) -> Chat:
        """The open chat."""

    @property
    def settings(self) -> Settings:
        """The settings in effect."""

    def check_model(self) -> None:
        """Tell if another model than the loaded one wrote the open chat."""

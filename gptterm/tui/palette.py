"""The palette's commands, in the order of the help: what counts everywhere comes first."""

from textual.command import DiscoveryHit, Hits
from textual.system_commands import SystemCommandsProvider


class OrderedCommands(SystemCommandsProvider):
    """The application's commands; Textual's own provider sorts them by the alphabet."""

    async def discover(self) -> Hits:
        """All of them, for when nothing is typed yet."""
        for title, help_text, callback, discover in self.app.get_system_commands(self.screen):
            if discover:
                yield DiscoveryHit(title, callback, help=help_text)

"""Commands of the palette in the order of the help."""

from textual.command import DiscoveryHit, Hits
from textual.system_commands import SystemCommandsProvider


class OrderedCommands(SystemCommandsProvider):
    """The application's commands in their own order; Textual's provider sorts them by name."""

    async def discover(self) -> Hits:
        """Yield all commands, for the palette before anything is typed."""
        for title, help_text, callback, discover in self.app.get_system_commands(self.screen):
            if discover:
                yield DiscoveryHit(title, callback, help=help_text)

"""Side pane: the samplers with their presets and meanings, and the next token."""

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical

from gptterm.config import Settings
from gptterm.tui.actions.chat_view import ChatView
from gptterm.tui.state.presets import preset_in_use
from gptterm.tui.widgets.distribution import Distribution
from gptterm.tui.widgets.presets import Meaning, PresetChips
from gptterm.tui.widgets.sampling import SamplingPanel


class SidePane(Vertical):
    """Right of the transcript, or over it.

    Args:
        view: The chat screen.
        sampling: The samplers.
        distribution: The next token, which the stream painter fills.
    """

    def __init__(self, view: ChatView, sampling: SamplingPanel, distribution: Distribution) -> None:
        super().__init__(id="side")
        self._view = view
        self._sampling = sampling
        self._distribution = distribution
        self._presets = PresetChips()
        self._meaning = Meaning()

    def compose(self) -> ComposeResult:
        """Lay the widgets out."""
        yield self._sampling
        yield self._presets
        yield self._meaning
        yield self._distribution

    def show(self, settings: Settings) -> None:
        """Show settings."""
        self._sampling.show(settings)
        self._presets.show(tuple(settings.presets), preset_in_use(settings))

    @on(SamplingPanel.Selected)
    def _selected(self, event: SamplingPanel.Selected) -> None:
        self._meaning.show(event.help)
        if self.screen.classes.isdisjoint(("-tall", "-very-tall")):
            # The pane has no room for it.
            self._view.notice_line.show_hint(event.help)

    @on(SamplingPanel.Changed)
    def _changed(self, event: SamplingPanel.Changed) -> None:
        changed = self._view.change(**{event.name: event.value})
        if changed and self._view.controller.acts_next_reply(event.name):
            name = event.name.replace("_", " ")
            self._view.show_notice("info", f"{name}: from the next reply")

    @on(SamplingPanel.Refused)
    def _refused(self, event: SamplingPanel.Refused) -> None:
        self._view.show_notice("error", event.reason)

    @on(PresetChips.Chosen)
    def _preset_chosen(self, event: PresetChips.Chosen) -> None:
        self.post_message(SamplingPanel.Changed("preset", event.name))

    def on_descendant_blur(self, _event: events.DescendantBlur) -> None:
        """Hide the meaning of what was chosen."""
        self._meaning.show("")

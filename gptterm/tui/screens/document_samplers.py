"""Samplers of the document of Write mode, beside its text."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical

from gptterm.errors import GpttermError
from gptterm.terminal import one_line
from gptterm.tui.actions.write_view import WriteView
from gptterm.tui.dialogs.choice import ChoiceDialog
from gptterm.tui.state.presets import preset_details, preset_in_use
from gptterm.tui.widgets.presets import Meaning, PresetChips
from gptterm.tui.widgets.sampling import SamplingPanel
from gptterm.tui.widgets.table_list import row


class DocumentSamplers(Vertical):
    """The samplers with their presets and meanings; what is changed is kept with the document.

    Args:
        view: the write screen.
    """

    def __init__(self, view: WriteView) -> None:
        super().__init__(id="samplers")
        self._view = view
        self.panel = SamplingPanel(view.writing.settings)
        self._presets = PresetChips()
        self._meaning = Meaning()

    def compose(self) -> ComposeResult:
        """Lay the widgets out."""
        yield self.panel
        yield self._presets
        yield self._meaning

    def show(self) -> None:
        """Show the document's settings, where the pane is shown."""
        if self.display:
            settings = self._view.writing.settings
            self.panel.show(settings)
            self._presets.show(tuple(settings.presets), preset_in_use(settings))

    def toggle(self) -> bool:
        """Show the pane and focus it; from there, hide it. Return whether it is shown."""
        self.display = not self.panel.has_focus
        self.show()
        if self.display:
            self.call_after_refresh(self.panel.focus)
        return self.display

    def _change(self, name: str, value: object) -> None:
        try:
            self._view.writing.own.change(**{name: value})
            self._view.writing.use_samplers()
        except (GpttermError, ValueError) as error:
            self._view.show_notice("error", one_line(f"{name.replace('_', '-')} {error}"))
        self.show()

    @on(SamplingPanel.Selected)
    def _selected(self, event: SamplingPanel.Selected) -> None:
        self._meaning.show(event.help)

    @on(SamplingPanel.Changed)
    def _changed(self, event: SamplingPanel.Changed) -> None:
        self._change(event.name, event.value)

    @on(SamplingPanel.Refused)
    def _refused(self, event: SamplingPanel.Refused) -> None:
        self._view.show_notice("error", event.reason)

    @on(PresetChips.Chosen)
    def _preset_chosen(self, event: PresetChips.Chosen) -> None:
        self._change("preset", event.name)

    @on(SamplingPanel.PresetsRequested)
    def _choose_preset(self) -> None:
        settings = self._view.writing.settings
        rows = [row(name, name, preset_details(settings, name)) for name in settings.presets]

        def chosen(name: str | None) -> None:
            if name is not None:
                self._change("preset", name)

        self.app.push_screen(ChoiceDialog("preset of this text", rows), chosen)

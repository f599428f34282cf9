"""Key line of the write screen: the keys that matter where the focus is."""

from gptterm.tui.keys import WRITE_KEYS, Hints, Keymap
from gptterm.tui.widgets.continuations import Continuations
from gptterm.tui.widgets.distribution import Distribution
from gptterm.tui.widgets.key_groups import ALTERNATIVES, CONTINUATIONS, MAP, SAMPLING
from gptterm.tui.widgets.sampling import SamplingPanel
from gptterm.tui.widgets.version_map import DocumentMap, VersionMap

_BACK = ("write.stop", "to the text")


def hints(keymap: Keymap, area: str, *, streaming: bool) -> Hints:
    """Return the keys for an area of the `WRITE_GROUPS`."""
    if not streaming and area == CONTINUATIONS:
        own = [
            ("list.up list.down", "choose"),
            ("list.take", "take"),
            ("list.more", "more"),
            ("list.rank", "rank"),
            ("list.keep", "keep"),
            ("list.drop", "drop"),
            ("list.columns", "columns"),
        ]
        return (
            *keymap.line(Continuations.BINDINGS, *own),
            *keymap.line(WRITE_KEYS, _BACK),
        )
    if not streaming and area == MAP:
        own = [
            ("map.name", "name"),
            ("map.prune", "prune"),
            ("map.restore", "undo"),
            ("map.merge", "merge"),
        ]
        return (
            *keymap.line(VersionMap.BINDINGS, ("map.up map.down", "walk")),
            *keymap.line(DocumentMap.BINDINGS, *own),
            *keymap.line(WRITE_KEYS, _BACK, ("write.map", "hide the map")),
        )
    if not streaming and area == ALTERNATIVES:
        own = [
            ("next.up next.down", "choose"),
            ("next.previous next.next", "token"),
            ("next.grow", "swap"),
            ("next.ban", "ban"),
            ("next.more next.less", "bias"),
        ]
        return (
            *keymap.line(Distribution.BINDINGS, *own),
            *keymap.line(WRITE_KEYS, _BACK, ("write.alternatives", "hide")),
        )
    if not streaming and area == SAMPLING:
        own = [
            ("sampling.up sampling.down", "choose"),
            ("sampling.less sampling.more", "change"),
            ("sampling.presets", "presets"),
        ]
        return (
            *keymap.line(SamplingPanel.BINDINGS, *own),
            *keymap.line(WRITE_KEYS, _BACK, ("write.sampling", "hide")),
        )
    shown = [("write.continue", "continue"), ("write.stop", "continuations")]
    if streaming:
        shown = [("write.stop", "stop")]
    more = [
        ("write.tint", "tints"),
        ("write.alternatives", "tokens"),
        ("write.map", "map"),
        ("write.sampling", "sampling"),
        ("write.save", "save"),
        ("write.chat", "chat"),
    ]
    return keymap.line(WRITE_KEYS, *shown, *more)

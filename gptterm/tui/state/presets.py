"""Presets: the one in use, and what each changes."""

from gptterm.config import Settings
from gptterm.format import setting_value


def preset_in_use(settings: Settings) -> str:
    """Return the first preset all of whose values are in effect; empty for none."""
    for name, values in settings.presets.items():
        if all(settings.value(key) == value for key, value in values.items()):
            return name
    return ""


def preset_details(settings: Settings, name: str) -> str:
    """Describe a preset by its values that are not neutral."""
    neutral = settings.presets["neutral"]
    changed = (
        f"{key.replace('_', '-')} {setting_value(value)}"
        for key, value in settings.presets[name].items()
        if value != neutral.get(key)
    )
    return ", ".join(changed) or "every sampler off"

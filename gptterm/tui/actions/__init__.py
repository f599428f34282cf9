"""Actions that keys, commands and menus set off."""

"""Environment variables that are not settings. A blank one counts as unset."""

import os


def variable(name: str) -> str:
    """Return the value of an environment variable; empty where it is unset or blank."""
    value = os.environ.get(name, "")
    return value if value.strip() else ""


def editor() -> str:
    """Return the command line of the user's editor: $VISUAL, $EDITOR or vi."""
    return variable("VISUAL") or variable("EDITOR") or "vi"

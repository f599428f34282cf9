"""Typed access to untrusted JSON: a value of the wrong type reads as an empty one."""

from typing import Any

Object = dict[str, Any]


def as_object(value: object) -> Object:
    """Return an object; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """Return a list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def as_objects(value: object) -> list[Object]:
    """Return the objects in a list."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def as_text(value: object) -> str:
    """Return a string; an empty one for anything else."""
    return value if isinstance(value, str) else ""


def as_texts(value: object) -> list[str]:
    """Return the strings in a list."""
    return [item for item in as_list(value) if isinstance(item, str)]


def as_count(value: object) -> int:
    """Return a positive integer; 0 for anything else."""
    return value if type(value) is int and value > 0 else 0

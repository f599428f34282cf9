"""Widgets of Inspect mode."""

"""Inspection: what a model thinks of a text, and why."""

"""Transcript widget: turn views, Markdown, line wrapping, highlights."""

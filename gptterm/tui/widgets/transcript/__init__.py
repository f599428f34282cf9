"""The transcript: turns, Markdown, wrapping, highlights."""

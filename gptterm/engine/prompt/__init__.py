"""Prompts to ids: chat templates, transcripts, and the context budget."""

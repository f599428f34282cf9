"""Views: figures of what an engine's inspection has found."""

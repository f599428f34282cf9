"""Parsers of config.json, a module for each group of architectures."""

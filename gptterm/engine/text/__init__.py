"""Tokenizer, streaming detokenizer, stop strings."""

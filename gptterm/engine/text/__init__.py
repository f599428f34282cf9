"""Ids to text and back: the tokenizer, the streaming detokenizer, stop texts."""

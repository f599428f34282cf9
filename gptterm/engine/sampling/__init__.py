"""Sampling: token ids from logits, and the next-token distribution."""

"""Sampling: from a row of logits to a token id, and the distribution it is drawn from."""

"""Inspection: what a model thinks of a text, and why.

requests    the contract: requests, `InspectableEngine`
answers     the contract: what answers them
inspector   answers requests with a decoder, by
scores      log probability, rank and entropy of each token
attention   attention weights, and statistics of the heads
lens        what each layer would have said
token_view  the distribution at a position, before and after the samplers
text_cache  the KV cache of the text that was looked at last
"""

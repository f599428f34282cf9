"""Decoding in which the host only launches: one token's step, sampling included, reads and writes
fixed buffers on the device, so that on a GPU the whole of it is one CUDA graph.

The step is ordinary torch code that runs on any device. No GPU was at hand when it was written:
its arithmetic is tested on a CPU, where it runs eagerly; capture and replay are untested.
"""

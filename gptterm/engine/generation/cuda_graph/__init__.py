"""Decoding by CUDA graphs: one launch a token, sampling included, over fixed buffers on the device.

The step is ordinary torch code that runs on any device. Tests on the CPU compare it with the usual
decoding, and replay what was recorded of its operations over the same memory, as a CUDA graph does.
CUDA's own capture and replay have not been tested on a GPU. Therefore no graph is used unchecked:
its first replays are compared with the step itself, and where one differs or fails, the engine goes
on without graphs and logs it.
"""

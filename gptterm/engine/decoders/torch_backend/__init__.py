"""Native decoders on torch: CUDA, Apple's GPUs, and CPUs for which no kernels were built."""

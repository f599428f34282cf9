"""Native decoders on the C kernels: NumPy arrays and mapped files, on a CPU. Imports no torch."""

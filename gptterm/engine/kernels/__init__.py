"""A step's arithmetic on the CPU, in C: products with weights, attention, norms, activations.

A token at a time, a decoder's speed is that of reading its weights. Two cores of an AMD EPYC
(Zen 4) that read 37 GB/s, all matrices of one GPT-2 124M token, ms at 1, 4, 16 and 64 rows:

| weights | ms |
|---|---|
| float32 | 15, 23, 52, 125 (torch's `addmm` and `mv` or `linear`: 30, 66, 72, 148) |
| bfloat16, float16 | 6.8, 8.3, 21, 76 |
| int8 | 3.2, 4.2, 8.2, 27 |

The rest of a step is small, but torch's pool of threads and this one would be in each other's way
if it were left to torch: with attention, norms and activations here a step in int8 takes 5.6 ms
instead of 8.6.

Attention of 40 tokens to the 900 before them takes 14 ms in float32 (22 by one dot product after
the other), of which the sums must take 6 and the reading 2. With a past in float16 64 samples in
int8 went from 1,140 to 1,400 tokens a second.

What did not pay: prefetching (in, out) weights, half as many or twice as many streams of them, and
columns instead of parts of the inputs for each thread (11 % slower, twice as many pages read);
large pages for keys and values; five or seven rows at once in int8 instead of six.

`source/` is built when gptterm is installed, if there is a C compiler, and holds kernels for
several kinds of CPU; the best that this one runs are taken. Without it float32 and bfloat16 are
left to torch. It is opened by ctypes, which lets other threads run meanwhile.
"""

"""C kernels for the CPU: linear layers, attention, norms, activations, sums over logits.

Decoding one token at a time is bound by reading the weights. Two cores of an AMD EPYC (Zen 4) that
read 37 GB/s, all linear layers of one GPT-2 124M token, ms at 1, 4, 16 and 64 rows:

| weights | ms |
|---|---|
| float32 | 15, 23, 52, 125 (torch's `addmm` and `mv` or `linear`: 30, 66, 72, 148) |
| bfloat16, float16 | 6.8, 8.3, 21, 76 |
| int8 | 3.2, 4.2, 8.2, 27 |

The rest of a step is small, but if torch did it, its thread pool and this one would compete for the
cores: with attention, norms and activations here, a step in int8 takes 5.6 ms instead of 8.6.

Attention of 40 tokens to the 900 before them takes 14 ms in float32 (22 with one dot product after
the other), of which the arithmetic needs 6 and the reading 2. A float16 KV cache raised 64 samples
in int8 from 1,140 to 1,400 tokens a second.

Tried, and left: prefetching (in, out) weights, half and twice as many streams of them, splitting
the outputs instead of the inputs among threads (11 % slower, twice as many pages read), huge pages
for keys and values, five or seven rows in an int8 tile instead of six.

256 rows of 1,536 numbers to 576, one core of that kind, GFLOP/s: float32 (out, in) 50 (17 with
tiles of two outputs by three rows), bfloat16 215 (100 without dot products of it), Q4_1 280 (195
before the quantisation of the rows was vectorised). 256 rows on one core with AVX2, 768 numbers to
3,072, before and after tiles of three rows (two in bfloat16) whose sums and numbers fill the 16
registers: float32 (in, out) 56 and 70, float16 76 and 84, bfloat16 25 and 79; float32 (out, in),
768 numbers to 50,257, three outputs by four rows instead of two, 39 and 65.

A step of SmolLM2-135M (layers of 0.3 to 1.8 MB), ms of one core of an AMD EPYC with AVX2, in small
and in huge pages: F16 12.7 and 9.1, Q8_0 6.0 and 5.3, Q4_1 4.9 and 3.8. Huge pages take a virtual
machine 0.2 s longer to load 140 MB. Fewer instructions for a product (`dot4`, `dot4_small`, and
-fno-wrapv) took 256 tokens of a prompt from 1.06 to 0.81 s in Q8_0, from 1.13 to 0.68 in Q4_1.
Tiles of two rows in place of one, with AVX2: 8 and 64 rows of Q8_0 take 15 and 16 % less, of Q4_K
14 and 15, of Q6_K 24 and 25, of Q5_0 23, of Q4_1 6.
After 4,000 tokens a step in Q4_1 takes 25 ms with a float32 KV cache, 16 with float16, 18 with
int8. Tried, and left: two panels of float16 at once, which in cache is 1.4 times as fast, and from
memory up to a quarter slower. Of int8 with AVX2, where products of 16 bits bind eight rows and more
(50 of 61 billion a second that a core does from its L1): fetching the next panel while rows are
computed from the cache (5 % slower), activations widened once for all panels (64 rows 4 % faster,
two rows 6 to 15 % slower), |w| times x with the sign of w in 8 bits (a sixth slower).

`source/` is compiled when gptterm is installed, if there is a C compiler, for several instruction
sets; the fastest that this CPU supports is used. Without it torch computes in float32 and bfloat16.
ctypes opens it, and releases the GIL while it runs. Activations are NumPy arrays: allocating one
and taking its address costs 0.9 µs, of a torch tensor 2.8.
"""

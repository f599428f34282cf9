/* Weights in ggml's block formats (GGUF files): repacked when a model is loaded, their numbers and
   scales kept to the bit.

   A file holds (out, in / block) blocks, each a scale or more and the weights as small integers.
   Packed, a panel of PANEL outputs is read from its beginning to its end: for each span of inputs
   the scales of all its outputs, then for each QUANT_BLOCK inputs their integers in words of four
   bytes, (words, PANEL, 4):

     4 bits   word g = 0 … 3, byte i: input 4g + i in the low half, 16 + 4g + i in the high half
     5 bits   word 4 besides, byte i, bit g = 0 … 7: the fifth bit of input 4g + i
     6 bits   words 4 and 5 besides, byte i, bits 2g and 2g + 1: those of 4g + i, and of 16 + 4g + i
     8 bits   word g = 0 … 7, byte i: input 4g + i, plus 128

   Scales of a span of 32 inputs: float16 scales, then (Q4_1, Q5_1) float16 minima. Of a span of 256
   (Q4_K, Q5_K): float16 scales, float16 scales of the minima, then 8 bytes an output for the blocks'
   scales and 8 for their minima, in words of four. Q6_K: float16 scales, then 16 signed bytes an
   output for its half blocks. */
#ifndef GPTTERM_BLOCKS_H
#define GPTTERM_BLOCKS_H

#include "linear.h"

enum {
    SPAN_K = 8,       /* blocks of a span of 256 inputs */
    WORD = 4 * PANEL, /* bytes of a word of every output of a panel */
    QUANT_ZERO = 128, /* zero point of INT8, as in `compensation` */
};

static inline int has_minimum(int format)
{
    return format == Q4_1 || format == Q5_1 || format == Q4_K || format == Q5_K;
}

static inline int is_k(int format) { return format >= Q4_K; }

/* Words of a block. */
static inline int block_words(int format)
{
    switch (format) {
    case Q8_0:
        return 8;
    case Q5_0:
    case Q5_1:
    case Q5_K:
        return 5;
    case Q6_K:
        return 6;
    default:
        return 4;
    }
}

/* QUANT_BLOCKs of a span. */
static inline int span_blocks(int format) { return is_k(format) ? SPAN_K : 1; }

/* Bytes of a panel's scales, of one span. */
static inline int header_size(int format)
{
    int halves = has_minimum(format) ? 2 : 1;
    return 2 * PANEL * halves + (is_k(format) ? 4 * WORD : 0);
}

/* Bytes of a panel. */
static inline int64_t panel_size(int format, int inputs)
{
    int span = span_blocks(format);
    int64_t spans = inputs / QUANT_BLOCK / span;
    return spans * (header_size(format) + span * block_words(format) * WORD);
}

/* Bytes of a block of 32 or 256 weights in a file. */
int blocks_size(int format);

/* Bytes of a layer's packed weights. */
int64_t blocks_packed_size(const linear *l);

/* Packs a layer's weights from (outputs, in / block) blocks. `order`, (outputs), is the row of each
   output in the source; null for their own. */
void blocks_pack(const linear *l, void *packed, const uint8_t *source, const int32_t *order);

/* Rows of blocks to float32; `inputs` a row. */
void blocks_unpack(const linear *l, const uint8_t *source, int rows, float *y);

#endif

/* Products of float32 rows with matrices of weights that are kept in float32, 16 bits or 8.

   A row's product has the same bits alone and among other rows, on one thread and on many: every
   sum is made in an order of its own that depends on nothing else.

   Packed weights stand in panels of PANEL outputs, one after the other, each read from its
   beginning to its end; the last one is filled up with zeros. */
#ifndef GPTTERM_LINEAR_H
#define GPTTERM_LINEAR_H

#include <stdint.h>

enum {
    PANEL = 32,   /* outputs */
    BLOCK = 32,   /* numbers of a row that have a scale of their own in INT8 */
    FEW = 8,      /* rows for which (in, out) weights are read as they stand; more have panels */
    PARTS = 8,    /* of the inputs of (in, out) weights, each summed by itself, at least */
    DEPTH = 1024, /* inputs of a part, at most */
};

enum kind {
    FLOAT32_IN_OUT, /* (in, out), as they stand in OpenAI's files */
    FLOAT32_OUT_IN, /* (out, in) */
    BFLOAT16,       /* panels of (in, 16, 2): outputs i and i + 16 side by side */
    FLOAT16,        /* panels of (in, 32) */
    INT8            /* panels of (in / 4, 32, 4), each 128 more than the weight; `in` is filled up
                       with zeros to a multiple of BLOCK */
};

typedef struct {
    int32_t kind;
    int32_t inputs;
    int32_t outputs;
    int32_t threads;
    const void *weights;
    const float *scales; /* (outputs), of INT8 */
    const float *bias;   /* (outputs), or null */
} matrix;

/* One product, as the kernels see it. */
typedef struct {
    const matrix *weights;
    int rows;
    const float *x;    /* (rows, inputs) */
    const float *plus; /* (rows, outputs) to be added, or null */
    float *y;          /* (rows, outputs) */
    float *parts;      /* (parts, rows, outputs) sums of FLOAT32_IN_OUT, for few rows */
    /* Of INT8: the rows in blocks of BLOCK numbers, each with its scale. */
    const int8_t *numbers; /* (rows, blocks, BLOCK) */
    const float *steps;    /* (rows, blocks) */
    const int32_t *starts; /* (rows, blocks): −128 times a block's sum, for the weights' 128 */
} product;

static inline int parts_of(int inputs)
{
    return inputs <= PARTS * DEPTH ? PARTS : (inputs + DEPTH - 1) / DEPTH;
}

#endif

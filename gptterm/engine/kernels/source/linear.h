/* Linear layers: float32 activations times weights in float32, 16 bits or int8.

   A row's result has the same bits alone and among other rows, on one thread and on many: the order
   of every sum depends on nothing else.

   Packed weights are panels of PANEL outputs, one after the other, each read from its beginning to
   its end; the last one is padded with zeros. */
#ifndef GPTTERM_LINEAR_H
#define GPTTERM_LINEAR_H

#include <stdint.h>

enum {
    PANEL = 32,       /* outputs */
    QUANT_BLOCK = 32, /* activations that share a scale in INT8 */
    STREAM_ROWS = 8,  /* below this number of rows (in, out) weights are streamed, not packed */
    MIN_SPLITS = 8, /* split-K: (in, out) products are summed over at least so many splits of in */
    MAX_SPLIT = 1024, /* inputs of a split */
};

enum weight_format {
    FLOAT32_IN_OUT, /* (in, out), as in OpenAI's files */
    FLOAT32_OUT_IN, /* (out, in) */
    BFLOAT16, /* panels of (in / 2, 32, 2): two inputs after each other; `in` is padded with zeros
                       to an even number */
    FLOAT16,  /* panels of (in, 32) */
    INT8,     /* panels of (in / 4, 32, 4) unsigned bytes with zero point 128; `in` is padded
                       with zeros to a multiple of QUANT_BLOCK */
    Q8_0,     /* this one and the next: ggml's, packed as in blocks.h */
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q4_K,
    Q5_K,
    Q6_K,
    WEIGHT_FORMATS /* their number */
};

typedef struct {
    int32_t format;
    int32_t inputs;
    int32_t outputs;
    int32_t threads;
    const void *weights;
    const float *scales; /* (outputs), INT8 only */
    const float *bias;   /* (outputs), or null */
} linear;

/* One product, as the kernels see it. */
typedef struct {
    const linear *layer;
    int rows;
    const float *x;          /* (rows, inputs) */
    const float *x_by_lanes; /* FLOAT32_OUT_IN, many rows: see linear_many.inc; else null */
    const float *residual;   /* (rows, outputs) to be added, or null */
    float *y;                /* (rows, outputs) */
    float *partial;          /* (splits, rows, outputs) sums of FLOAT32_IN_OUT, for few rows */
    /* INT8 and what follows it: activations in blocks of QUANT_BLOCK, each with its own scale. */
    const int8_t *x_int8;        /* (rows, blocks, QUANT_BLOCK) */
    const float *x_scales;       /* (rows, blocks) */
    const int32_t *compensation; /* (rows, blocks): -128 times a block's sum, for the zero point */
    const int32_t *half_sums;    /* Q6_K: (rows, blocks, 2), of a block's halves */
    const uint16_t
        *x_bfloat16; /* BFLOAT16, where there are dot products of it: (rows, inputs), padded
                                    as the weights are */
} linear_job;

static inline int num_splits(int inputs)
{
    return inputs <= MIN_SPLITS * MAX_SPLIT ? MIN_SPLITS : (inputs + MAX_SPLIT - 1) / MAX_SPLIT;
}

/* Inputs of a panel of 16 bits. */
static inline int padded_inputs(int format, int inputs)
{
    return format == BFLOAT16 ? inputs + inputs % 2 : inputs;
}

static inline int num_panels(const linear *l) { return (l->outputs + PANEL - 1) / PANEL; }

/* y = x · W + b + residual for `rows` rows of float32; returns 0 if it cannot allocate memory. */
int linear_forward(const linear *l, const float *x, int rows, const float *residual, float *y);

/* `count` products with the same x, y[i] = x · W[i] + b[i]: the bits of one after the other. */
int linears_forward(const linear *const *layers, int count, const float *x, int rows,
                    float *const *y);

/* Packs (out, in) weights that have the layer's 16-bit format; strides are in elements. */
void linear_pack(const linear *l, void *packed, const void *source, int64_t out_stride,
                 int64_t in_stride);

/* Converts (out, in) float32 weights to the layer's format, BFLOAT16 or INT8, and packs them; strides
   are in elements. `scales`, (outputs), is written for INT8: a weight is its integer times that.
   Integers go from -127 to 127. The scale of an output with a NaN or an infinity is NaN. */
void linear_convert(const linear *l, void *packed, float *scales, const float *source,
                    int64_t out_stride, int64_t in_stride);

#endif

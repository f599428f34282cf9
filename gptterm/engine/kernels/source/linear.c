/* Products of the linear layers, and the quantisation of their activations. */

#include "kernels.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------ quantisation */

typedef struct {
    const float *x;
    int inputs;
    int8_t *x_int8;
    float *scales;
    int32_t *compensation;
    int32_t *half_sums;
} quantise_job;

/* Quantises QUANT_BLOCK activations with a scale of their own: a row has a few outliers thirty
   times the size of the rest, and only those in an outlier's block lose precision by it. */
static void quantise_block(const float *x, int8_t *x_int8, float *scale, int32_t *compensation,
                           int32_t half_sums[2])
{
    float max = 1e-30f;
    int finite = 1;
    for (int i = 0; i < QUANT_BLOCK; i++) {
        float size = fabsf(x[i]);
        max = size > max ? size : max;
        finite &= size <= FLT_MAX;
    }
    float inverse_scale = 127 / max;
    half_sums[0] = half_sums[1] = 0;
    for (int i = 0; i < QUANT_BLOCK; i++) {
        /* Adding 1.5 · 2²³ rounds to the nearest integer, and leaves it in the low bits. */
        union {
            float number;
            int32_t bits;
        } rounded = {.number = x[i] * inverse_scale + 12582912.0f};
        x_int8[i] = (int8_t)(rounded.bits - 0x4b400000);
        half_sums[i / (QUANT_BLOCK / 2)] += x_int8[i];
    }
    *scale = finite ? max / 127 : NAN; /* so that infinities and NaN reach the result */
    *compensation = -128 * (half_sums[0] + half_sums[1]);
}

static void quantise_rows(const void *job, int first, int last)
{
    const quantise_job *q = job;
    int blocks = (q->inputs + QUANT_BLOCK - 1) / QUANT_BLOCK;
    for (int row = first; row < last; row++)
        for (int b = 0; b < blocks; b++) {
            const float *x = q->x + (int64_t)row * q->inputs + b * QUANT_BLOCK;
            float padded[QUANT_BLOCK] = {0};
            int rest = q->inputs - b * QUANT_BLOCK;
            if (rest < QUANT_BLOCK)
                x = memcpy(padded, x, (size_t)rest * sizeof *x);
            int64_t block = (int64_t)row * blocks + b;
            quantise_block(x, q->x_int8 + block * QUANT_BLOCK, q->scales + block,
                           q->compensation + block, q->half_sums + 2 * block);
        }
}

/* Quantises the activations of a product; returns the memory that they take, or null. */
static void *quantise_activations(linear_job *p)
{
    const linear *l = p->layer;
    size_t blocks = (size_t)p->rows * (size_t)((l->inputs + QUANT_BLOCK - 1) / QUANT_BLOCK);
    float *scales = malloc(blocks * (sizeof(float) + 3 * sizeof(int32_t) + QUANT_BLOCK));
    if (!scales)
        return 0;
    int32_t *compensation = (int32_t *)(scales + blocks), *half_sums = compensation + blocks;
    quantise_job job = {
        p->x, l->inputs, (int8_t *)(half_sums + 2 * blocks), scales, compensation, half_sums,
    };
    pool_run(quantise_rows, &job, p->rows, l->threads, p->rows < 8 ? 1 : l->threads);
    p->x_scales = scales, p->compensation = compensation, p->x_int8 = job.x_int8;
    p->half_sums = half_sums;
    return scales;
}

/* ---------------------------------------------------------------------------- products */

/* Adds up the splits, and bias and residual to them, a row at a time so that it stays in cache. */
static void reduce_splits(const linear_job *p)
{
    int64_t outputs = p->layer->outputs, count = p->rows * outputs;
    for (int row = 0; row < p->rows; row++) {
        float *restrict y = p->y + row * outputs;
        memset(y, 0, (size_t)outputs * sizeof *y);
        for (int split = 0; split < num_splits(p->layer->inputs); split++) {
            const float *sums = p->partial + split * count + row * outputs;
            for (int64_t c = 0; c < outputs; c++)
                y[c] += sums[c];
        }
        const float *bias = p->layer->bias;
        const float *residual = p->residual ? p->residual + row * outputs : 0;
        for (int64_t c = 0; bias && c < outputs; c++)
            y[c] += bias[c];
        for (int64_t c = 0; residual && c < outputs; c++)
            y[c] += residual[c];
    }
}

static int stream_weights(linear_job *p)
{
    const linear *l = p->layer;
    int splits = num_splits(l->inputs);
    p->partial = malloc((size_t)splits * (size_t)p->rows * (size_t)l->outputs * sizeof(float));
    if (!p->partial)
        return 0;
    pool_run(kernels_selected()->stream, p, splits, splits, l->threads);
    reduce_splits(p);
    free(p->partial);
    return 1;
}

int linear_forward(const linear *l, const float *x, int rows, const float *residual, float *y)
{
    if (rows < 1)
        return 1;
    linear_job p = {.layer = l, .rows = rows, .x = x, .residual = residual, .y = y};
    void *memory = 0;
    if (l->format == FLOAT32_IN_OUT && rows < STREAM_ROWS)
        return stream_weights(&p);
    if (l->format >= INT8 && !(memory = quantise_activations(&p)))
        return 0;
    pool_run(kernels_selected()->multiply[l->format], &p, num_panels(l),
             CHUNKS_PER_THREAD * l->threads, l->threads);
    free(memory);
    return 1;
}

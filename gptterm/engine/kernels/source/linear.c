/* Products and packing: see matrix.h. */

#include "kernels.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int panels_of(const matrix *w) { return (w->outputs + PANEL - 1) / PANEL; }

/* ------------------------------------------------------------------------------- 8 bits */

typedef struct {
    const float *x;
    int inputs;
    int8_t *numbers;
    float *steps;
    int32_t *starts;
} rounding;

/* Rounds BLOCK numbers to 8 bits with a scale of their own: a row of activations has a few numbers
   thirty times the others' size, and only what shares their block loses by them. */
static void round_block(const float *x, int8_t *numbers, float *step, int32_t *start)
{
    float most = 1e-30f;
    int usable = 1;
    for (int i = 0; i < BLOCK; i++) {
        float size = fabsf(x[i]);
        most = size > most ? size : most;
        usable &= size <= FLT_MAX;
    }
    float scale = 127 / most;
    int32_t sum = 0;
    for (int i = 0; i < BLOCK; i++) {
        /* Adding 1.5 · 2²³ rounds to the nearest integer, and leaves it in the low bits. */
        union {
            float number;
            int32_t bits;
        } near = {.number = x[i] * scale + 12582912.0f};
        numbers[i] = (int8_t)(near.bits - 0x4b400000);
        sum += numbers[i];
    }
    *step = usable ? most / 127 : NAN; /* what is no number is not hidden */
    *start = -128 * sum;
}

static void round_rows(const void *job, int first, int last)
{
    const rounding *r = job;
    int blocks = (r->inputs + BLOCK - 1) / BLOCK;
    for (int row = first; row < last; row++)
        for (int b = 0; b < blocks; b++) {
            const float *x = r->x + (int64_t)row * r->inputs + b * BLOCK;
            float filled[BLOCK] = {0};
            int rest = r->inputs - b * BLOCK;
            if (rest < BLOCK)
                x = memcpy(filled, x, (size_t)rest * sizeof *x);
            int64_t block = (int64_t)row * blocks + b;
            round_block(x, r->numbers + block * BLOCK, r->steps + block, r->starts + block);
        }
}

/* Rounds the rows of a product; returns the memory that it takes, or null. */
static void *round_product(product *p)
{
    const matrix *w = p->weights;
    size_t blocks = (size_t)p->rows * (size_t)((w->inputs + BLOCK - 1) / BLOCK);
    float *steps = malloc(blocks * (sizeof(float) + sizeof(int32_t) + BLOCK));
    if (!steps)
        return 0;
    int32_t *starts = (int32_t *)(steps + blocks);
    rounding job = {p->x, w->inputs, (int8_t *)(starts + blocks), steps, starts};
    pool_run(round_rows, &job, p->rows, w->threads, p->rows < 8 ? 1 : w->threads);
    p->steps = steps, p->starts = starts, p->numbers = job.numbers;
    return steps;
}

/* ------------------------------------------------------------------------------ products */

/* Adds up the parts, some outputs at a time so that they stay near. */
static void add_parts(const product *p)
{
    int64_t outputs = p->weights->outputs, count = p->rows * outputs;
    for (int row = 0; row < p->rows; row++) {
        float *restrict y = p->y + row * outputs;
        memset(y, 0, (size_t)outputs * sizeof *y);
        for (int part = 0; part < parts_of(p->weights->inputs); part++) {
            const float *sums = p->parts + part * count + row * outputs;
            for (int64_t c = 0; c < outputs; c++)
                y[c] += sums[c];
        }
        const float *bias = p->weights->bias, *plus = p->plus ? p->plus + row * outputs : 0;
        for (int64_t c = 0; bias && c < outputs; c++)
            y[c] += bias[c];
        for (int64_t c = 0; plus && c < outputs; c++)
            y[c] += plus[c];
    }
}

static int stream_few(product *p)
{
    const matrix *w = p->weights;
    int parts = parts_of(w->inputs);
    p->parts = malloc((size_t)parts * (size_t)p->rows * (size_t)w->outputs * sizeof(float));
    if (!p->parts)
        return 0;
    pool_run(kernels_chosen()->stream, p, parts, parts, w->threads);
    add_parts(p);
    free(p->parts);
    return 1;
}

/* y = x · W + b + plus for `rows` rows of float32; returns 0 if there is no memory for it. */
int matrix_multiply(const matrix *w, const float *x, int rows, const float *plus, float *y)
{
    product p = {.weights = w, .rows = rows, .x = x, .plus = plus, .y = y};
    void *memory = 0;
    if (w->kind == FLOAT32_IN_OUT && rows < FEW)
        return stream_few(&p);
    if (w->kind == INT8 && !(memory = round_product(&p)))
        return 0;
    pool_run(kernels_chosen()->multiply[w->kind], &p, panels_of(w), CHUNKS_A_THREAD * w->threads, w->threads);
    free(memory);
    return 1;
}

/* ------------------------------------------------------------------------------- packing */

typedef struct {
    const matrix *target;
    uint16_t *packed;
    const uint16_t *source;
    int64_t out_stride, in_stride;
} packing;

static void pack_panels(const void *job, int first, int last)
{
    const packing *p = job;
    int inputs = p->target->inputs, outputs = p->target->outputs;
    for (int panel = first; panel < last; panel++) {
        uint16_t *to = p->packed + (int64_t)panel * inputs * PANEL;
        int end = outputs - panel * PANEL < PANEL ? outputs - panel * PANEL : PANEL;
        const uint16_t *from = p->source + (int64_t)panel * PANEL * p->out_stride;
        if (end < PANEL)
            memset(to, 0, (size_t)inputs * PANEL * sizeof *to);
        for (int k = 0; k < inputs; k++, to += PANEL, from += p->in_stride)
            for (int i = 0; i < end; i++) {
                int place = p->target->kind == FLOAT16 ? i : i < 16 ? 2 * i : 2 * (i - 16) + 1;
                to[place] = from[i * p->out_stride];
            }
    }
}

/* Packs weights that are in the target's 16 bits already, (out, in) by these strides in numbers. */
void matrix_pack(const matrix *target, void *packed, const void *source, int64_t out_stride, int64_t in_stride)
{
    packing job = {target, packed, source, out_stride, in_stride};
    pool_run(pack_panels, &job, panels_of(target), CHUNKS_A_THREAD * target->threads, target->threads);
}

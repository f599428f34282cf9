/* Packing of a linear layer's weights, when a model is loaded or converted. */

#include "kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct {
    const linear *layer;
    void *packed;
    float *scales; /* of INT8 */
    const void *source;
    int64_t out_stride, in_stride;
} pack_job;

/* Position in a panel. */
static int64_t place(const linear *l, int input, int output)
{
    if (l->format == FLOAT16)
        return (int64_t)input * PANEL + output;
    return (int64_t)(input / 2) * 2 * PANEL + 2 * output + input % 2;
}

static int panel_width(const linear *l, int panel)
{
    return l->outputs - panel * PANEL < PANEL ? l->outputs - panel * PANEL : PANEL;
}

/* ----------------------------------------------------------- weights that have the format */

static void pack_panels(const void *job, int first, int last)
{
    const pack_job *p = job;
    int inputs = p->layer->inputs, padded = padded_inputs(p->layer->format, inputs);
    for (int panel = first; panel < last; panel++) {
        uint16_t *to = (uint16_t *)p->packed + (int64_t)panel * padded * PANEL;
        int width = panel_width(p->layer, panel);
        const uint16_t *from = (const uint16_t *)p->source + (int64_t)panel * PANEL * p->out_stride;
        if (width < PANEL || inputs < padded)
            memset(to, 0, (size_t)padded * PANEL * sizeof *to);
        for (int k = 0; k < inputs; k++, from += p->in_stride)
            for (int i = 0; i < width; i++)
                to[place(p->layer, k, i)] = from[i * p->out_stride];
    }
}

void linear_pack(const linear *l, void *packed, const void *source, int64_t out_stride,
                 int64_t in_stride)
{
    pack_job job = {l, packed, 0, source, out_stride, in_stride};
    pool_run(pack_panels, &job, num_panels(l), CHUNKS_PER_THREAD * l->threads, l->threads);
}

/* ------------------------------------------------------------------------ float32 weights */

enum { DEPTH = QUANT_BLOCK };

/* Weights of DEPTH inputs and a panel's outputs. */
typedef union {
    float numbers[DEPTH][PANEL];
    uint32_t bits[DEPTH][PANEL];
} tile;

/* Copies a tile from input `k` on; beyond the layer's edges it is zero. */
static void read_tile(const pack_job *p, int panel, int k, tile *t)
{
    int width = panel_width(p->layer, panel);
    int depth = p->layer->inputs - k < DEPTH ? p->layer->inputs - k : DEPTH;
    const float *from =
        (const float *)p->source + (int64_t)panel * PANEL * p->out_stride + k * p->in_stride;
    if (width < PANEL || depth < DEPTH)
        memset(t, 0, sizeof *t);
    if (p->out_stride == 1)
        for (int j = 0; j < depth; j++)
            memcpy(t->numbers[j], from + j * p->in_stride, (size_t)width * sizeof *from);
    else
        for (int i = 0; i < width; i++)
            for (int j = 0; j < depth; j++)
                t->numbers[j][i] = from[i * p->out_stride + j * p->in_stride];
}

/* float32 to bfloat16, rounded to the nearest, ties to even. */
static uint16_t to_bfloat16(uint32_t bits)
{
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
}

static void round_panels(const void *job, int first, int last)
{
    const pack_job *p = job;
    int padded = padded_inputs(BFLOAT16, p->layer->inputs);
    for (int panel = first; panel < last; panel++)
        for (int k = 0; k < padded; k += DEPTH) {
            tile t;
            read_tile(p, panel, k, &t);
            uint16_t *to = (uint16_t *)p->packed + ((int64_t)panel * padded + k) * PANEL;
            for (int j = 0; j < DEPTH && k + j < padded; j++)
                for (int i = 0; i < PANEL; i++)
                    to[place(p->layer, j, i)] = to_bfloat16(t.bits[j][i]);
        }
}

/* One scale for each output, of a panel: 127 times that is the largest of its weights. */
static void find_scales(const pack_job *p, int panel, float scales[PANEL])
{
    int32_t finite[PANEL];
    for (int i = 0; i < PANEL; i++)
        scales[i] = 1e-30f, finite[i] = 1;
    for (int k = 0; k < p->layer->inputs; k += DEPTH) {
        tile t;
        read_tile(p, panel, k, &t);
        for (int j = 0; j < DEPTH; j++)
            for (int i = 0; i < PANEL; i++) {
                float size = fabsf(t.numbers[j][i]);
                scales[i] = size > scales[i] ? size : scales[i];
                finite[i] &= size <= FLT_MAX;
            }
    }
    for (int i = 0; i < PANEL; i++)
        scales[i] = finite[i] ? scales[i] / 127 : NAN;
}

static void quantise_panels(const void *job, int first, int last)
{
    const pack_job *p = job;
    int inputs = p->layer->inputs, padded = (inputs + QUANT_BLOCK - 1) / QUANT_BLOCK * QUANT_BLOCK;
    for (int panel = first; panel < last; panel++) {
        float scales[PANEL];
        find_scales(p, panel, scales);
        memcpy(p->scales + (int64_t)panel * PANEL, scales,
               (size_t)panel_width(p->layer, panel) * sizeof *scales);
        uint8_t *to = (uint8_t *)p->packed + (int64_t)panel * PANEL * padded;
        for (int k = 0; k < inputs; k += DEPTH) {
            tile t;
            read_tile(p, panel, k, &t);
            for (int j = 0; j < DEPTH; j++)
                for (int i = 0; i < PANEL; i++) /* adding 1.5 · 2²³ rounds, ties to even */
                    t.numbers[j][i] = t.numbers[j][i] / scales[i] + 12582912.0f;
            for (int j = 0; j < DEPTH; j += 4, to += 4 * PANEL)
                for (int i = 0; i < PANEL; i++)
                    for (int four = 0; four < 4; four++)
                        to[4 * i + four] = (uint8_t)(t.bits[j + four][i] - 0x4b400000 + 128);
        }
    }
}

void linear_convert(const linear *l, void *packed, float *scales, const float *source,
                    int64_t out_stride, int64_t in_stride)
{
    pack_job job = {l, packed, scales, source, out_stride, in_stride};
    pool_run(l->format == INT8 ? quantise_panels : round_panels, &job, num_panels(l),
             CHUNKS_PER_THREAD * l->threads, l->threads);
}

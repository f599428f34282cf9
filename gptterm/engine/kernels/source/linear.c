/* Products of the linear layers. */

#include "kernels.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------- activations */

static int is_quantised(int format) { return format >= INT8; }

static int is_rounded(int format)
{
    return format == BFLOAT16 && kernels_selected()->rounds_bfloat16;
}

/* Activations of a product in the forms that the layers' formats need; null for those they do not. */
typedef struct {
    float *quantised;
    uint16_t *rounded;
    float *by_lanes;
} activations;

static void free_activations(activations *a)
{
    free(a->quantised);
    free(a->rounded);
    free(a->by_lanes);
}

static int quantise(activations *a, const linear *l, const float *x, int rows, linear_job *p)
{
    size_t blocks = (size_t)rows * (size_t)((l->inputs + QUANT_BLOCK - 1) / QUANT_BLOCK);
    float *scales = malloc(blocks * (sizeof(float) + 3 * sizeof(int32_t) + QUANT_BLOCK));
    if (!(a->quantised = scales))
        return 0;
    int32_t *compensation = (int32_t *)(scales + blocks), *half_sums = compensation + blocks;
    quantise_job job = {
        x, l->inputs, (int8_t *)(half_sums + 2 * blocks), scales, compensation, half_sums,
    };
    pool_run(kernels_selected()->quantise_rows, &job, rows, l->threads, rows < 8 ? 1 : l->threads);
    p->x_scales = scales, p->compensation = compensation, p->x_int8 = job.x_int8;
    p->half_sums = half_sums;
    return 1;
}

static int round_activations(activations *a, const linear *l, const float *x, int rows,
                             linear_job *p)
{
    size_t inputs = (size_t)padded_inputs(BFLOAT16, l->inputs);
    if (!(a->rounded = malloc((size_t)rows * inputs * sizeof *a->rounded)))
        return 0;
    round_job job = {x, l->inputs, a->rounded};
    pool_run(kernels_selected()->round_rows, &job, rows, l->threads, rows < 8 ? 1 : l->threads);
    p->x_bfloat16 = a->rounded;
    return 1;
}

static int pack_activations(activations *a, const linear *l, const float *x, int rows,
                            linear_job *p)
{
    const kernels *k = kernels_selected();
    a->by_lanes = malloc((size_t)k->lanes_size(l, rows) * sizeof *a->by_lanes);
    if (!a->by_lanes)
        return 0;
    lanes_job job = {x, rows, l->inputs, a->by_lanes};
    int tiles = (rows + k->lanes_rows - 1) / k->lanes_rows;
    pool_run(k->pack_by_lanes, &job, tiles, l->threads, l->threads);
    p->x_by_lanes = a->by_lanes;
    return 1;
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

/* The products of all panels: those of the layers stand after each other. */
typedef struct {
    linear_job jobs[MOST_LINEARS];
    int count, panels_an_item;
} linears_job;

static int num_items(const linears_job *all, const linear *l)
{
    return (num_panels(l) + all->panels_an_item - 1) / all->panels_an_item;
}

static void multiply_panels(const void *job, int first, int last)
{
    const linears_job *all = job;
    int begin = 0;
    for (int i = 0; i < all->count && begin < last; i++) {
        const linear_job *p = all->jobs + i;
        int end = begin + num_items(all, p->layer), panels = num_panels(p->layer);
        int from = first > begin ? first : begin, to = last < end ? last : end;
        if (from < to) {
            int first_panel = (from - begin) * all->panels_an_item;
            int last_panel = (to - begin) * all->panels_an_item;
            kernels_selected()->multiply[p->layer->format](
                p, first_panel, last_panel < panels ? last_panel : panels);
        }
        begin = end;
    }
}

static int multiply_all(linears_job *all)
{
    activations a = {0};
    linear_job forms = {0};
    int items = 0, done = 1, threads = all->jobs[0].layer->threads;
    for (int i = 0; i < all->count && done; i++) {
        const linear_job *p = all->jobs + i;
        int format = p->layer->format;
        int panels = kernels_selected()->panels_at_once(p->layer, p->rows);
        all->panels_an_item = panels > all->panels_an_item ? panels : all->panels_an_item;
        if (kernels_selected()->lanes_size(p->layer, p->rows) && !a.by_lanes)
            done = pack_activations(&a, p->layer, p->x, p->rows, &forms);
        if (done && is_quantised(format) && !a.quantised)
            done = quantise(&a, p->layer, p->x, p->rows, &forms);
        if (done && is_rounded(format) && !a.rounded)
            done = round_activations(&a, p->layer, p->x, p->rows, &forms);
    }
    for (int i = 0; i < all->count && done; i++) {
        linear_job *p = all->jobs + i;
        p->x_int8 = forms.x_int8, p->x_scales = forms.x_scales;
        p->compensation = forms.compensation, p->half_sums = forms.half_sums;
        p->x_bfloat16 = forms.x_bfloat16;
        if (kernels_selected()->lanes_size(p->layer, p->rows))
            p->x_by_lanes = forms.x_by_lanes;
        items += num_items(all, p->layer);
    }
    /* Items of many rows take long: in chunks of one, no thread does more than it must. */
    int chunks = all->panels_an_item > 1 ? items : CHUNKS_PER_THREAD * threads;
    if (done)
        pool_run(multiply_panels, all, items, chunks, threads);
    free_activations(&a);
    return done;
}

int linears_forward(const linear *const *layers, int count, const float *x, int rows,
                    float *const *y)
{
    linears_job all = {.count = 0, .panels_an_item = 1};
    if (rows < 1)
        return 1;
    for (int i = 0; i < count; i++) {
        linear_job p = {.layer = layers[i], .rows = rows, .x = x, .y = y[i]};
        if (p.layer->format == FLOAT32_IN_OUT && rows < STREAM_ROWS) {
            if (!stream_weights(&p))
                return 0;
            continue;
        }
        all.jobs[all.count++] = p;
        if (all.count == MOST_LINEARS) {
            if (!multiply_all(&all))
                return 0;
            all.count = 0;
        }
    }
    return all.count == 0 || multiply_all(&all);
}

int linear_forward(const linear *l, const float *x, int rows, const float *residual, float *y)
{
    if (rows < 1)
        return 1;
    linear_job p = {.layer = l, .rows = rows, .x = x, .residual = residual, .y = y};
    if (l->format == FLOAT32_IN_OUT && rows < STREAM_ROWS)
        return stream_weights(&p);
    linears_job one = {.jobs = {p}, .count = 1, .panels_an_item = 1};
    return multiply_all(&one);
}

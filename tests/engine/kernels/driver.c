/* Calls every entry point of the kernels with odd shapes, from several threads at once, and
   compares the results with sums written out in double. Run by tools/check_c.py under the
   sanitizers: every buffer is allocated to its exact size. Prints a line for each wrong result;
   exits 1 if there was one. */

#include "attention.h"
#include "blocks.h"
#include "elementwise.h"
#include "kernels.h"
#include "linear.h"
#include "pool.h"
#include "program.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLERS = 4 };

static atomic_int failures;
static const char *kernels_in_use;

static void expect(int holds, const char *what, int a, int b, int c)
{
    if (!holds) {
        printf("%s: wrong %s (%d, %d, %d)\n", kernels_in_use, what, a, b, c);
        atomic_fetch_add(&failures, 1);
    }
}

static int is_close(double found, double exact, double bound)
{
    return fabs(found - exact) <= bound; /* false for NaN */
}

/* ---------------------------------------------------------------------------------- data */

typedef struct {
    uint64_t state;
    int threads;
} caller;

static uint32_t random_bits(caller *c)
{
    c->state = c->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(c->state >> 32);
}

/* In [-1, 1). */
static float random_number(caller *c) { return (float)(int32_t)random_bits(c) * 0x1p-31f; }

static void *allocate(size_t count, size_t size)
{
    void *memory = malloc(count * size);
    if (!memory)
        abort();
    return memory;
}

static float *random_numbers(caller *c, size_t count)
{
    float *numbers = allocate(count, sizeof *numbers);
    for (size_t i = 0; i < count; i++)
        numbers[i] = random_number(c);
    return numbers;
}

/* Finite binary16 numbers below 2. */
static uint16_t *random_halves(caller *c, size_t count)
{
    uint16_t *halves = allocate(count, sizeof *halves);
    for (size_t i = 0; i < count; i++)
        halves[i] = (uint16_t)(random_bits(c) & 0xbfff);
    return halves;
}

static double half_value(uint16_t half)
{
    int exponent = half >> 10 & 31;
    double fraction = half & 0x3ff;
    double size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return half & 0x8000 ? -size : size;
}

static double bfloat16_value(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return (double)value;
}

static size_t product(int a, int b) { return (size_t)a * (size_t)b; }

/* -------------------------------------------------------------------------------- linear */

/* A layer's weights in some format, and the same as numbers. */
typedef struct {
    linear layer;
    void *memory;
    double *numbers; /* (outputs, inputs) */
} weights;

static void make_float32(caller *c, weights *w)
{
    int inputs = w->layer.inputs, outputs = w->layer.outputs;
    float *memory = random_numbers(c, product(inputs, outputs));
    for (int o = 0; o < outputs; o++)
        for (int k = 0; k < inputs; k++)
            w->numbers[product(o, inputs) + (size_t)k] =
                (double)memory[w->layer.format == FLOAT32_IN_OUT ? product(k, outputs) + (size_t)o
                                                                 : product(o, inputs) + (size_t)k];
    w->memory = memory;
}

/* Packing float32 weights gives the same as packing the bfloat16 numbers that they are. */
static void compare_converted(const weights *w, int64_t out_stride, int64_t in_stride)
{
    int inputs = w->layer.inputs, outputs = w->layer.outputs;
    size_t size = product((outputs + PANEL - 1) / PANEL * PANEL, padded_inputs(BFLOAT16, inputs)) *
                  sizeof(uint16_t);
    float *source = allocate(product(inputs, outputs), sizeof *source);
    void *packed = allocate(size, 1);
    for (int o = 0; o < outputs; o++)
        for (int k = 0; k < inputs; k++)
            source[o * out_stride + k * in_stride] =
                (float)w->numbers[product(o, inputs) + (size_t)k];
    linear_convert(&w->layer, packed, 0, source, out_stride, in_stride);
    expect(!memcmp(packed, w->memory, size), "bfloat16 conversion", inputs, outputs, 0);
    free(source), free(packed);
}

/* Packs weights whose rows or whose columns are contiguous. */
static void make_16(caller *c, weights *w, int transposed)
{
    int inputs = w->layer.inputs, outputs = w->layer.outputs, half = w->layer.format == FLOAT16;
    size_t panels = (size_t)((outputs + PANEL - 1) / PANEL);
    uint16_t *source = random_halves(c, product(inputs, outputs));
    int64_t out_stride = transposed ? 1 : inputs, in_stride = transposed ? outputs : 1;
    w->memory =
        allocate(panels * product(padded_inputs(w->layer.format, inputs), PANEL), sizeof *source);
    for (int o = 0; o < outputs; o++)
        for (int k = 0; k < inputs; k++) {
            uint16_t *bits = source + o * out_stride + k * in_stride;
            if (!half)
                *bits = (uint16_t)(*bits & 0x8000) | (uint16_t)(0x3f00 + (*bits & 0xff));
            w->numbers[product(o, inputs) + (size_t)k] =
                half ? half_value(*bits) : bfloat16_value(*bits);
        }
    linear_pack(&w->layer, w->memory, source, out_stride, in_stride);
    if (!half)
        compare_converted(w, out_stride, in_stride);
    free(source);
}

/* Quantises weights whose rows or whose columns are contiguous. */
static void make_int8(caller *c, weights *w, int transposed)
{
    int inputs = w->layer.inputs, outputs = w->layer.outputs;
    int padded = (inputs + QUANT_BLOCK - 1) / QUANT_BLOCK * QUANT_BLOCK;
    int panels = (outputs + PANEL - 1) / PANEL;
    int64_t out_stride = transposed ? 1 : inputs, in_stride = transposed ? outputs : 1;
    float *source = random_numbers(c, product(inputs, outputs));
    uint8_t *memory = allocate(product(panels * PANEL, padded), 1);
    float *scales = allocate((size_t)outputs, sizeof *scales);
    linear_convert(&w->layer, memory, scales, source, out_stride, in_stride);
    for (int o = 0; o < panels * PANEL; o++)
        for (int k = 0; k < padded; k++) {
            size_t panel = product(o / PANEL, padded) * PANEL;
            int value = memory[panel + product(k / 4 * 4, PANEL) + product(o % PANEL, 4) +
                               (size_t)(k % 4)] -
                        128;
            if (o >= outputs || k >= inputs) {
                expect(value == 0, "int8 padding", o, k, value);
                continue;
            }
            double number = value * (double)scales[o];
            double exact = (double)source[o * out_stride + k * in_stride];
            expect(is_close(number, exact, 0.5001 * (double)scales[o]), "int8 weight", o, k, value);
            w->numbers[product(o, inputs) + (size_t)k] = number;
        }
    free(source);
    w->memory = memory;
    w->layer.scales = scales;
}

/* Random blocks whose scales are below 2; packed in their own order, or backwards. */
static void make_blocks(caller *c, weights *w, int backwards)
{
    int format = w->layer.format, inputs = w->layer.inputs, outputs = w->layer.outputs;
    int size = blocks_size(format), count = inputs / QUANT_BLOCK / span_blocks(format);
    uint8_t *source = allocate(product(outputs, count * size), 1);
    for (size_t i = 0; i < product(outputs, count * size); i++)
        source[i] = (uint8_t)random_bits(c);
    for (size_t i = 0; i < product(outputs, count); i++) {
        uint8_t *block = source + i * (size_t)size;
        block[format == Q6_K ? 209 : 1] &= 0xbf;
        block[3] &= has_minimum(format) ? 0xbf : 0xff;
    }
    float *numbers = allocate(product(outputs, inputs), sizeof *numbers);
    int32_t *order = allocate((size_t)outputs, sizeof *order);
    blocks_unpack(&w->layer, source, outputs, numbers);
    for (int o = 0; o < outputs; o++) {
        order[o] = backwards ? outputs - 1 - o : o;
        for (int k = 0; k < inputs; k++)
            w->numbers[product(o, inputs) + (size_t)k] =
                (double)numbers[product(order[o], inputs) + (size_t)k];
    }
    w->memory = allocate((size_t)blocks_packed_size(&w->layer), 1);
    blocks_pack(&w->layer, w->memory, source, backwards ? order : 0);
    free(source), free(numbers), free(order);
}

static void compare_product(const weights *w, const float *x, const float *residual, const float *y,
                            int row)
{
    int inputs = w->layer.inputs, outputs = w->layer.outputs;
    for (int o = 0; o < outputs; o++) {
        double exact = (double)w->layer.bias[o], size = fabs(exact), most = 0, rounding = 0;
        for (int k = 0; k < inputs; k++) {
            double weight = w->numbers[product(o, inputs) + (size_t)k];
            double number = (double)x[product(row, inputs) + (size_t)k];
            exact += weight * number;
            size += fabs(weight * number);
            most = fmax(most, fabs(number));
            rounding += fabs(weight);
        }
        size_t at = product(row, outputs) + (size_t)o;
        if (residual)
            exact += (double)residual[at];
        double bound = 3e-6 * (size + 1) + (w->layer.format >= INT8 ? rounding * most / 250 : 0);
        if (w->layer.format == BFLOAT16 && kernels_selected()->rounds_bfloat16)
            bound += size / 256;
        expect(is_close((double)y[at], exact, bound), "product", (int)w->layer.format, row, o);
    }
}

static weights make_weights(caller *c, int format, int inputs, int outputs, int transposed)
{
    weights w = {.layer = {format, inputs, outputs, c->threads, 0, 0, 0}};
    w.layer.bias = random_numbers(c, (size_t)outputs);
    w.numbers = allocate(product(outputs, inputs), sizeof *w.numbers);
    if (format == BFLOAT16 || format == FLOAT16)
        make_16(c, &w, transposed);
    else if (format == INT8)
        make_int8(c, &w, transposed);
    else if (format > INT8)
        make_blocks(c, &w, transposed);
    else
        make_float32(c, &w);
    w.layer.weights = w.memory;
    return w;
}

static void free_weights(weights *w)
{
    free(w->memory), free(w->numbers);
    free((void *)(uintptr_t)w->layer.bias), free((void *)(uintptr_t)w->layer.scales);
}

static void check_linear(caller *c, int format, int inputs, int outputs, int transposed)
{
    static const int row_counts[] = {0, 1, 2, 3, 7, 8, 13, 137};
    weights w = make_weights(c, format, inputs, outputs, transposed);
    size_t counts = sizeof row_counts / sizeof *row_counts;
    counts -= format > FLOAT16; /* for which that many rows are no other case */
    for (size_t i = 0; i < counts; i++) {
        int rows = row_counts[i];
        float *x = random_numbers(c, product(rows, inputs)),
              *y = allocate(product(rows, outputs), sizeof *y);
        float *residual = i % 2 ? random_numbers(c, product(rows, outputs)) : 0;
        expect(linear_forward(&w.layer, x, rows, residual, y), "return of linear_forward", rows, 0,
               0);
        for (int row = 0; row < rows; row++)
            compare_product(&w, x, residual, y, row);
        free(x), free(y), free(residual);
    }
    free_weights(&w);
}

/* Products of several layers with the same rows are those of one after the other. */
static void check_together(caller *c)
{
    static const int formats[] = {Q4_1,    FLOAT32_IN_OUT, BFLOAT16,      INT8,
                                  FLOAT16, Q8_0,           FLOAT32_OUT_IN};
    enum { COUNT = sizeof formats / sizeof *formats, INPUTS = 64 };
    weights all[COUNT];
    const linear *layers[COUNT];
    for (int i = 0; i < COUNT; i++) {
        all[i] = make_weights(c, formats[i], INPUTS, 40 * i + 7, 0);
        layers[i] = &all[i].layer;
    }
    for (int rows = 0; rows < 150; rows += rows < 18 ? 9 : 119) {
        float *x = random_numbers(c, product(rows, INPUTS)), *y[COUNT], *alone[COUNT];
        for (int i = 0; i < COUNT; i++) {
            y[i] = allocate(product(rows, layers[i]->outputs), sizeof *y[i]);
            alone[i] = allocate(product(rows, layers[i]->outputs), sizeof *alone[i]);
            linear_forward(layers[i], x, rows, 0, alone[i]);
        }
        expect(linears_forward(layers, COUNT, x, rows, y), "return of linears_forward", rows, 0, 0);
        for (int i = 0; i < COUNT; i++) {
            size_t size = product(rows, layers[i]->outputs) * sizeof *y[i];
            expect(!memcmp(y[i], alone[i], size), "product among others", formats[i], rows, i);
            free(y[i]), free(alone[i]);
        }
        free(x);
    }
    for (int i = 0; i < COUNT; i++)
        free_weights(all + i);
}

static void check_linears(caller *c)
{
    static const int shapes[][2] = {{1, 1},   {31, 33}, {32, 32}, {33, 65},
                                    {64, 31}, {300, 7}, {8300, 3}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int format = FLOAT32_IN_OUT; format <= INT8; format++)
            check_linear(c, format, shapes[i][0], shapes[i][1], (int)i % 2);
    check_together(c);
    for (int format = Q8_0; format < WEIGHT_FORMATS; format++) {
        int inputs = QUANT_BLOCK * span_blocks(format);
        check_linear(c, format, inputs, 1, 0);
        check_linear(c, format, 2 * inputs, 67, 1);
        check_linear(c, format, 3 * inputs, 32, 0);
    }
}

/* ----------------------------------------------------------------------------- attention */

typedef struct {
    attention a;
    int sequences;
    float *query, *key, *value, *y;
    int64_t *positions;
} attention_case;

/* A cache of `rows` keys or values. */
static void *random_cache(caller *c, kv_format kv, size_t rows, int head_dim)
{
    size_t width = (size_t)kv_width(kv, head_dim);
    if (kv == KV_FLOAT16)
        return random_halves(c, rows * width);
    if (kv == KV_FLOAT32)
        return random_numbers(c, rows * width);
    int8_t *cache = allocate(rows, width);
    for (size_t i = 0; i < rows * width; i++)
        cache[i] = (int8_t)(random_bits(c) % 255 - 127);
    for (size_t row = 0; row < rows; row++) {
        float scale = random_number(c) / 127;
        memcpy(cache + row * width + head_dim, &scale, sizeof scale);
    }
    return cache;
}

static double cached(const attention_case *t, const void *cache, int row, int head,
                     int64_t position, int d)
{
    kv_format kv = (kv_format)t->a.kv;
    int64_t at = row * t->a.sequence_stride + head * t->a.head_stride +
                 position * kv_width(kv, t->a.head_dim);
    if (kv == KV_FLOAT16)
        return half_value(((const uint16_t *)cache)[at + d]);
    if (kv == KV_FLOAT32)
        return (double)((const float *)cache)[at + d];
    float scale;
    memcpy(&scale, (const int8_t *)cache + at + t->a.head_dim, sizeof scale);
    return ((const int8_t *)cache)[at + d] * (double)scale;
}

static void compare_head(const attention_case *t, int row, int head)
{
    const attention *a = &t->a;
    int64_t last = a->positions[row],
            first = a->window && last >= a->window ? last + 1 - a->window : 0;
    int64_t count = last + 1 - first, query = row * a->query_stride + head * a->head_dim;
    int kv_head = head / (a->heads / a->kv_heads);
    double *scores = allocate((size_t)count, sizeof *scores), most = -INFINITY, total = 0;
    for (int64_t j = 0; j < count; j++) {
        scores[j] = 0;
        for (int d = 0; d < a->head_dim; d++)
            scores[j] +=
                (double)a->query[query + d] * cached(t, a->keys, row, kv_head, first + j, d);
        scores[j] *= (double)a->scale;
        if (a->soft_cap > 0)
            scores[j] = (double)a->soft_cap * tanh(scores[j] / (double)a->soft_cap);
        if (a->bias)
            scores[j] += (double)a->bias[head * a->bias_stride + first + j];
        most = fmax(most, scores[j]);
    }
    for (int64_t j = 0; j < count; j++)
        total += scores[j] = exp(scores[j] - most);
    for (int d = 0; d < a->head_dim; d++) {
        double exact = 0;
        for (int64_t j = 0; j < count; j++)
            exact += scores[j] / total * cached(t, a->values, row, kv_head, first + j, d);
        float found = a->y[((int64_t)row * a->heads + head) * a->head_dim + d];
        expect(is_close((double)found, exact, 3e-5), "attention", row, head, d);
    }
    free(scores);
}

static void compare_appended(const attention_case *t, int row, int head)
{
    const attention *a = &t->a;
    for (int d = 0; d < a->head_dim; d++) {
        int64_t from = row * a->kv_stride + head * a->head_dim + d;
        double key = (double)a->key[from], value = (double)a->value[from],
               bound = a->kv == KV_INT8      ? 0.5001 / 127
                       : a->kv == KV_FLOAT16 ? 5e-4
                                             : 0;
        int holds = is_close(cached(t, a->keys, row, head, a->positions[row], d), key, bound) &&
                    is_close(cached(t, a->values, row, head, a->positions[row], d), value, bound);
        expect(holds, "key or value", row, head, d);
    }
}

static void check_attention(caller *c, int rows, int heads, int kv_heads, int head_dim,
                            kv_format kv, int window, int same_sequence)
{
    int capacity = 75, sequences = same_sequence ? 1 : rows;
    int stride = (heads + 2 * kv_heads) * head_dim;
    size_t cached_rows = product(sequences * kv_heads, capacity);
    float *new = random_numbers(c, product(rows, stride));
    int64_t *positions = allocate((size_t)rows, sizeof *positions);
    int start = (int)(random_bits(c) % (uint32_t)(capacity - (same_sequence ? rows : 1) + 1));
    for (int row = 0; row < rows; row++)
        positions[row] = same_sequence ? start + row : (start + 11 * row) % capacity;
    attention_case t = {
        .a = {
            .rows = rows,
            .heads = heads,
            .kv_heads = kv_heads,
            .head_dim = head_dim,
            .threads = c->threads,
            .capacity = capacity,
            .window = window,
            .kv = (int32_t)kv,
            .scale = 0.3f,
            .soft_cap = window ? 2.0f : 0,
            .bias = kv ? random_numbers(c, product(heads, capacity)) : 0,
            .bias_stride = capacity,
            .query = new,
            .key = new + heads * head_dim,
            .value = new + (heads + kv_heads) * head_dim,
            .query_stride = stride,
            .kv_stride = stride,
            .keys = random_cache(c, kv, cached_rows, head_dim),
            .values = random_cache(c, kv, cached_rows, head_dim),
            .sequence_stride = same_sequence ? 0 : kv_heads * capacity * kv_width(kv, head_dim),
            .head_stride = capacity * kv_width(kv, head_dim),
            .positions = positions,
            .y = allocate(product(rows, heads * head_dim), sizeof(float)),
        }};
    expect(attention_forward(&t.a), "return of attention_forward", rows, heads, head_dim);
    for (int row = 0; row < rows; row++)
        for (int head = 0; head < heads; head++) {
            if (head < kv_heads)
                compare_appended(&t, row, head);
            compare_head(&t, row, head);
        }
    positions[rows - 1] = capacity;
    expect(!attention_forward(&t.a), "position beyond the capacity", rows, heads, head_dim);
    positions[rows - 1] = -1;
    expect(!attention_forward(&t.a), "position before the first", rows, heads, head_dim);
    t.a.rows = 0;
    expect(attention_forward(&t.a), "call without rows", rows, heads, head_dim);
    free(new), free(positions), free(t.a.keys), free(t.a.values), free(t.a.y);
    free((void *)(uintptr_t)t.a.bias);
}

static void check_attentions(caller *c)
{
    static const int row_counts[] = {1, 2, 5, 70}, head_dims[] = {1, 8, 25, 48, 64, 80, 300},
                     windows[] = {0, 1, 40};
    for (size_t r = 0; r < sizeof row_counts / sizeof *row_counts; r++)
        for (size_t d = 0; d < sizeof head_dims / sizeof *head_dims; d++)
            for (int kv = KV_FLOAT32; kv <= KV_INT8; kv++) {
                int window = windows[(r + d) % 3], half = kv == KV_FLOAT16, dim = head_dims[d];
                check_attention(c, row_counts[r], 2, 1 + half, dim, (kv_format)kv, window, 1);
                if (row_counts[r] < 70)
                    check_attention(c, row_counts[r], 6, 3 - half, dim, (kv_format)kv, window, 0);
            }
}

/* --------------------------------------------------------------------------- elementwise */

static void check_layer_norm(caller *c, int width, int rows)
{
    float *weight = random_numbers(c, (size_t)width), *bias = random_numbers(c, (size_t)width);
    float *x = random_numbers(c, product(rows, width)),
          *y = allocate(product(rows, width), sizeof *y);
    layer_norm n = {width, c->threads, 1e-5f, weight, bias};
    layer_norm_forward(&n, x, rows, y);
    for (int row = 0; row < rows; row++) {
        const float *from = x + product(row, width);
        double mean = 0, variance = 0;
        for (int i = 0; i < width; i++)
            mean += (double)from[i] / width;
        for (int i = 0; i < width; i++)
            variance += ((double)from[i] - mean) * ((double)from[i] - mean) / width;
        for (int i = 0; i < width; i++) {
            double exact = ((double)from[i] - mean) / sqrt(variance + 1e-5) * (double)weight[i] +
                           (double)bias[i];
            expect(is_close((double)y[product(row, width) + (size_t)i], exact, 1e-4), "layer norm",
                   width, row, i);
        }
    }
    free(weight), free(bias), free(x), free(y);
}

static double activated(int kind, double x)
{
    switch ((activation_kind)kind) {
    case GELU_TANH:
        return x / 2 * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    case GELU_ERF:
        return x / 2 * (1 + erf(x * 0.7071067811865476));
    case SILU:
        return x / (1 + exp(-x));
    case RELU:
        break;
    }
    return x > 0 ? x : 0;
}

static void check_activation(caller *c, int kind, int count)
{
    float *x = random_numbers(c, (size_t)count), *up = random_numbers(c, (size_t)count),
          *y = allocate((size_t)count, sizeof *y);
    for (int gated = 0; gated < 2; gated++) {
        for (int i = 0; i < count; i++)
            y[i] = gated ? x[i] : (x[i] *= 12);
        activation_forward(kind, y, gated ? up : 0, count, c->threads);
        for (int i = 0; i < count; i++) {
            double exact = activated(kind, (double)x[i]) * (gated ? (double)up[i] : 1);
            expect(is_close((double)y[i], exact, 1e-5), "activation", kind, count, i);
        }
    }
    free(x), free(up), free(y);
}

static void check_rms_norm(caller *c, int width, int rows)
{
    float *weight = random_numbers(c, (size_t)width), *x = random_numbers(c, product(rows, width)),
          *y = allocate(product(rows, width), sizeof *y);
    layer_norm n = {width, c->threads, 1e-5f, weight, 0};
    rms_norm_forward(&n, x, rows, y);
    for (int row = 0; row < rows; row++) {
        const float *from = x + product(row, width);
        double square = 0;
        for (int i = 0; i < width; i++)
            square += (double)from[i] * (double)from[i] / width;
        for (int i = 0; i < width; i++) {
            double exact = (double)from[i] / sqrt(square + 1e-5) * (double)weight[i];
            expect(is_close((double)y[product(row, width) + (size_t)i], exact, 1e-5), "RMS norm",
                   width, row, i);
        }
    }
    free(weight), free(x), free(y);
}

/* Of heads with `half` pairs, and `rest` numbers that stay. */
static void check_rotary(caller *c, int rows, int half, int rest, int neighbours)
{
    int heads = 3, head_dim = 2 * half + rest;
    size_t count = product(rows, heads * head_dim), angles = product(rows, half);
    float *x = random_numbers(c, count), *y = allocate(count, sizeof *y),
          *cosine = random_numbers(c, angles), *sine = random_numbers(c, angles);
    memcpy(y, x, count * sizeof *y);
    rotary_job job = {rows, heads, head_dim, half, neighbours, y, cosine, sine};
    rotary_forward(&job, c->threads);
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < heads * head_dim; i++) {
            size_t head = product(row, heads * head_dim) + product(i / head_dim, head_dim);
            int at = i % head_dim, pair = neighbours ? at / 2 : at % half,
                is_first = neighbours ? at % 2 == 0 : at < half;
            double exact = (double)x[head + (size_t)at];
            if (at < 2 * half) {
                double first = (double)x[head + (size_t)(neighbours ? 2 * pair : pair)],
                       second = (double)x[head + (size_t)(neighbours ? 2 * pair + 1 : pair + half)],
                       cos_ = (double)cosine[product(row, half) + (size_t)pair],
                       sin_ = (double)sine[product(row, half) + (size_t)pair];
                exact = is_first ? first * cos_ - second * sin_ : second * cos_ + first * sin_;
            }
            expect(is_close((double)y[head + (size_t)at], exact, 1e-6), "rotary embedding", row,
                   half, i);
        }
    free(x), free(y), free(cosine), free(sine);
}

static void check_logits(caller *c, int width, int rows)
{
    float *x = random_numbers(c, product(rows, width));
    int64_t *targets = allocate((size_t)rows, sizeof *targets);
    double *y = allocate(product(rows, 4), sizeof *y);
    for (int row = 0; row < rows; row++)
        targets[row] = (int64_t)(random_bits(c) % (uint32_t)width);
    logits_job job = {width, x, targets, y};
    logits_forward(&job, rows, c->threads);
    for (int row = 0; row < rows; row++) {
        const float *from = x + product(row, width);
        const double *found = y + product(row, 4);
        double largest = -2, sum = 0, products = 0, before = 0;
        for (int i = 0; i < width; i++)
            largest = (double)from[i] > largest ? (double)from[i] : largest;
        for (int i = 0; i < width; i++) {
            double below = (double)from[i] - largest;
            sum += exp(below), products += exp(below) * below;
            before += from[i] > from[targets[row]] ||
                      (i < targets[row] && !(from[i] < from[targets[row]]));
        }
        expect(is_close(found[0], largest, 0) && is_close(found[1], sum, 1e-5 * width) &&
                   is_close(found[2], products, 1e-5 * width) && is_close(found[3], before, 0),
               "sums of logits", width, rows, row);
    }
    free(x), free(targets), free(y);
}

static void check_elementwise(caller *c)
{
    static const int widths[] = {1, 15, 64, 77}, row_counts[] = {0, 1, 9, 40},
                     counts[] = {0, 1, 511, 513, 9999};
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (size_t r = 0; r < sizeof row_counts / sizeof *row_counts; r++)
            check_layer_norm(c, widths[w], row_counts[r]);
    for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
        for (size_t r = 0; r < sizeof row_counts / sizeof *row_counts; r++) {
            check_logits(c, widths[w], row_counts[r]);
            check_rms_norm(c, widths[w], row_counts[r]);
            check_rotary(c, row_counts[r], widths[w], (int)w % 3, (int)(w + r) % 2);
        }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (int kind = GELU_TANH; kind <= RELU; kind++)
            check_activation(c, kind, counts[i]);
}

/* ------------------------------------------------------------------------------- program */

/* A step of one layer with two heads, by a program and by one call after the other: the same bits. */
static void check_program(caller *c, int rows, int width)
{
    int head_dim = width / 2;
    size_t count = product(rows, width);
    float *matrices[3], *results[2][2],
        *x = random_numbers(c, count), *y[2][3], *norm = random_numbers(c, (size_t)width),
        *cosine = random_numbers(c, product(rows, 1)), *sine = random_numbers(c, product(rows, 1)),
        *caches[2][2];
    linear layers[3];
    for (int i = 0; i < 3; i++) {
        matrices[i] = random_numbers(c, product(width, width));
        layers[i] = (linear){FLOAT32_OUT_IN, width, width, c->threads, matrices[i], 0, 0};
    }
    int64_t *positions = allocate((size_t)rows, sizeof *positions);
    for (int i = 0; i < rows; i++)
        positions[i] = i;
    layer_norm plain = {width, c->threads, 1e-5f, norm, 0}, full = plain;
    full.bias = norm;
    const linear *pair[2] = {layers, layers + 1};
    for (int by = 0; by < 2; by++) {
        for (int i = 0; i < 3; i++)
            y[by][i] = allocate(count, sizeof(float));
        for (int i = 0; i < 2; i++) {
            results[by][i] = allocate(count, sizeof(float));
            caches[by][i] = allocate(count, sizeof(float));
        }
        float **r = results[by];
        rotary_job turn = {rows, 2, head_dim, 1, 0, r[0], cosine, sine};
        attention step = {.rows = rows,
                          .heads = 2,
                          .kv_heads = 2,
                          .head_dim = head_dim,
                          .threads = c->threads,
                          .capacity = rows,
                          .positions = positions,
                          .head_stride = (int64_t)rows * head_dim};
        attention own = {.scale = 0.5f,
                         .window = 2,
                         .query = r[0],
                         .key = r[1],
                         .value = y[by][0],
                         .query_stride = width,
                         .kv_stride = width,
                         .y = y[by][1]};
        operation all[] = {
            {.kind = OP_LAYER_NORM, .number = rows, .layer = &full, .x = x, .y = y[by][0]},
            {.kind = OP_RMS_NORM, .number = rows, .layer = &plain, .x = y[by][0], .y = y[by][1]},
            {.kind = OP_LINEARS, .number = 2, .layer = pair, .x = y[by][1], .results = r},
            {.kind = OP_ROTARY, .threads = c->threads, .layer = &turn},
            {.kind = OP_ATTENTION, .number = 0, .layer = &own},
            {.kind = OP_ACTIVATION,
             .number = SILU,
             .threads = c->threads,
             .count = (int64_t)count,
             .y = y[by][1],
             .other = r[0]},
            {.kind = OP_LINEAR, .layer = layers + 2, .x = y[by][1], .other = x, .y = y[by][2]},
        };
        void *kv[2] = {caches[by][0], caches[by][1]};
        int operations = (int)(sizeof all / sizeof *all), done = 1;
        for (int i = 0; i < (by ? operations : 1); i++)
            done &= program_run(all + i, by ? 1 : operations, rows, &step, kv) == 1;
        expect(done, "program's end", rows, width, by);
        step.capacity = rows - 1;
        expect(program_run(all, operations, rows, &step, kv) == -1, "bound", rows, width, by);
    }
    expect(!memcmp(y[0][2], y[1][2], count * sizeof(float)), "program", rows, width, 0);
    for (int i = 0; i < 3; i++)
        free(matrices[i]);
    for (int by = 0; by < 2; by++) {
        for (int i = 0; i < 3; i++)
            free(y[by][i]);
        for (int i = 0; i < 2; i++)
            free(results[by][i]), free(caches[by][i]);
    }
    free(x), free(norm), free(cosine), free(sine), free(positions);
}

/* ---------------------------------------------------------------------------------- main */

static void *call_everything(void *argument)
{
    caller *c = argument;
    check_linears(c);
    pool_leave_core(random_bits(c) % (1 << 20));
    check_attentions(c);
    check_elementwise(c);
    pool_leave_core(random_bits(c) % (1 << 20));
    check_program(c, 1, 8);
    check_program(c, 5, 34);
    pool_leave_core(0);
    return 0;
}

int main(void)
{
    static const int thread_counts[CALLERS] = {3, 2, 1, 5};
    for (int rank = 0; rank < 4; rank++) {
        kernels_in_use = kernels_name(rank);
        if (!kernels_in_use)
            continue;
        kernels_select(rank);
        pthread_t threads[CALLERS];
        caller callers[CALLERS];
        for (int i = 0; i < CALLERS; i++) {
            callers[i] = (caller){(uint64_t)i + 1, thread_counts[i]};
            if (pthread_create(threads + i, 0, call_everything, callers + i))
                abort();
        }
        for (int i = 0; i < CALLERS; i++)
            pthread_join(threads[i], 0);
        printf("%s: checked\n", kernels_in_use);
    }
    return atomic_load(&failures) > 0;
}

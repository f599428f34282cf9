/* Reading of ggml's block formats: packing when a model is loaded, and float32. The formats are those
   of ggml-common.h; a block begins with its scales, but for Q6_K, where they come last. */

#include "blocks.h"

#include "kernels.h"

#include <string.h>

enum { MOST_WORDS = 8 };

typedef struct {
    int blocks; /* QUANT_BLOCKs */
    int size;   /* bytes */
} file_block;

static file_block layout(int format)
{
    static const int sizes[WEIGHT_FORMATS] = {
        [Q8_0] = 34, [Q4_0] = 18,  [Q4_1] = 20,  [Q5_0] = 22,
        [Q5_1] = 24, [Q4_K] = 144, [Q5_K] = 176, [Q6_K] = 210,
    };
    return (file_block){span_blocks(format), sizes[format]};
}

int blocks_size(int format) { return layout(format).size; }

int64_t blocks_packed_size(const linear *l)
{
    return num_panels(l) * panel_size(l->format, l->inputs);
}

/* ------------------------------------------------------------------------ one block's bits */

static uint32_t word_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Byte i, bit g of the result is bit 4g + i of the argument. */
static uint32_t spread_bits(uint32_t bits)
{
    uint32_t result = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t every_fourth = bits >> i & 0x11111111;
        every_fourth = (every_fourth | every_fourth >> 3) & 0x03030303;
        every_fourth = (every_fourth | every_fourth >> 6) & 0x000f000f;
        result |= ((every_fourth | every_fourth >> 12) & 0xff) << 8 * i;
    }
    return result;
}

/* The words of a format without K. */
static void plain_words(int format, const uint8_t *block, uint32_t words[MOST_WORDS])
{
    const uint8_t *bytes = block + (has_minimum(format) ? 4 : 2);
    if (format == Q8_0) {
        for (int g = 0; g < 8; g++)
            words[g] = word_at(bytes + 4 * g) ^ 0x80808080;
        return;
    }
    if (block_words(format) == 5) {
        words[4] = spread_bits(word_at(bytes));
        bytes += 4;
    }
    for (int g = 0; g < 4; g++)
        words[g] = word_at(bytes + 4 * g);
}

/* The words of block `b` of a Q4_K or Q5_K: the low or the high halves of 32 bytes. */
static void words_k(int format, const uint8_t *block, int b, uint32_t words[MOST_WORDS])
{
    const uint8_t *high_bits = block + 16,
                  *bytes = high_bits + (format == Q5_K ? 32 : 0) + b / 2 * 32;
    for (int g = 0; g < 4; g++) {
        uint32_t first = word_at(bytes + 4 * g), second = word_at(bytes + 16 + 4 * g);
        words[g] = b % 2 ? (first >> 4 & 0x0f0f0f0f) | (second & 0xf0f0f0f0)
                         : (first & 0x0f0f0f0f) | (second & 0x0f0f0f0f) << 4;
    }
    if (format != Q5_K)
        return;
    words[4] = 0;
    for (int g = 0; g < 8; g++)
        words[4] |= (word_at(high_bits + 4 * g) >> b & 0x01010101) << g;
}

/* The words of block `b` of a Q6_K. */
static void words_6k(const uint8_t *block, int b, uint32_t words[MOST_WORDS])
{
    const uint8_t *low = block + b / 4 * 64 + b % 2 * 32, *high = block + 128 + b / 4 * 32;
    int low_shift = b % 4 / 2 * 4, high_shift = b % 4 * 2;
    words[4] = words[5] = 0;
    for (int g = 0; g < 4; g++) {
        words[g] = (word_at(low + 4 * g) >> low_shift & 0x0f0f0f0f) |
                   (word_at(low + 16 + 4 * g) >> low_shift & 0x0f0f0f0f) << 4;
        words[4] |= (word_at(high + 4 * g) >> high_shift & 0x03030303) << 2 * g;
        words[5] |= (word_at(high + 16 + 4 * g) >> high_shift & 0x03030303) << 2 * g;
    }
}

static void read_words(int format, const uint8_t *block, int b, uint32_t words[MOST_WORDS])
{
    if (format == Q6_K)
        words_6k(block, b, words);
    else if (is_k(format))
        words_k(format, block, b, words);
    else
        plain_words(format, block, words);
}

/* A span's scales: halves as bits, bytes as they are. */
typedef struct {
    uint16_t scale, minimum;
    uint8_t bytes[16];
} block_header;

static block_header read_header(int format, const uint8_t *block)
{
    block_header h = {0};
    if (format == Q6_K) {
        memcpy(h.bytes, block + 192, 16);
        memcpy(&h.scale, block + 208, sizeof h.scale);
        return h;
    }
    memcpy(&h.scale, block, sizeof h.scale);
    if (has_minimum(format))
        memcpy(&h.minimum, block + 2, sizeof h.minimum);
    if (!is_k(format))
        return h;
    const uint8_t *six = block + 4; /* bits each: 8 scales and 8 minima in 12 bytes */
    for (int b = 0; b < 4; b++) {
        h.bytes[b] = six[b] & 63;
        h.bytes[8 + b] = six[4 + b] & 63;
        h.bytes[4 + b] = (uint8_t)((six[8 + b] & 15) | six[b] >> 6 << 4);
        h.bytes[12 + b] = (uint8_t)(six[8 + b] >> 4 | six[4 + b] >> 6 << 4);
    }
    return h;
}

/* -------------------------------------------------------------------------------- packing */

typedef struct {
    const linear *layer;
    uint8_t *packed;
    const uint8_t *source;
    const int32_t *order;
} pack_job;

static void pack_header(int format, block_header h, uint8_t *header, int lane)
{
    memcpy(header + 2 * lane, &h.scale, sizeof h.scale);
    if (has_minimum(format))
        memcpy(header + 2 * PANEL + 2 * lane, &h.minimum, sizeof h.minimum);
    uint8_t *words = header + 2 * PANEL * (has_minimum(format) ? 2 : 1);
    for (int word = 0; is_k(format) && word < 4; word++)
        memcpy(words + word * WORD + 4 * lane, h.bytes + 4 * word, 4);
}

static void pack_panels(const void *job, int first, int last)
{
    const pack_job *p = job;
    int format = p->layer->format, inputs = p->layer->inputs, outputs = p->layer->outputs;
    file_block block = layout(format);
    int spans = inputs / QUANT_BLOCK / block.blocks, count = block_words(format);
    for (int panel = first; panel < last; panel++) {
        uint8_t *to = p->packed + panel * panel_size(format, inputs);
        int width = outputs - panel * PANEL < PANEL ? outputs - panel * PANEL : PANEL;
        if (width < PANEL)
            memset(to, 0, (size_t)panel_size(format, inputs));
        for (int lane = 0; lane < width; lane++) {
            int output = panel * PANEL + lane;
            int64_t row = p->order ? p->order[output] : output;
            const uint8_t *from = p->source + row * spans * block.size;
            uint8_t *span = to;
            for (int s = 0; s < spans; s++, from += block.size) {
                pack_header(format, read_header(format, from), span, lane);
                span += header_size(format);
                for (int b = 0; b < block.blocks; b++, span += count * WORD) {
                    uint32_t words[MOST_WORDS];
                    read_words(format, from, b, words);
                    for (int word = 0; word < count; word++)
                        memcpy(span + word * WORD + 4 * lane, words + word, 4);
                }
            }
        }
    }
}

void blocks_pack(const linear *l, void *packed, const uint8_t *source, const int32_t *order)
{
    pack_job job = {l, packed, source, order};
    pool_run(pack_panels, &job, num_panels(l), CHUNKS_PER_THREAD * l->threads, l->threads);
}

/* -------------------------------------------------------------------------------- float32 */

typedef struct {
    const linear *layer;
    const uint8_t *source;
    float *y;
} unpack_job;

/* binary16 (IEEE 754) to float32. */
static float half_value(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = (uint32_t)(half & 0x7fff) << 13;
    union {
        uint32_t bits;
        float number;
    } value, smallest = {.bits = (127 - 14) << 23};
    if (rest < 1024u << 13) { /* zero or subnormal: the subtraction is exact */
        value.bits = rest + smallest.bits;
        value.number -= smallest.number;
        value.bits |= sign;
        return value.number;
    }
    int is_finite = (half & 0x7c00) != 0x7c00;
    value.bits = sign | (rest + ((is_finite ? 127u - 15 : 255u - 31) << 23));
    return value.number;
}

/* Input j of a block, as its bits stand in the words. */
static int integer_at(int format, const uint32_t words[MOST_WORDS], int j)
{
    int group = j / 4, byte = j % 4 * 8;
    if (block_words(format) == 8)
        return (int)(words[group] >> byte & 255);
    uint32_t bits = words[group % 4] >> (byte + group / 4 * 4) & 15;
    if (block_words(format) == 5)
        bits |= (words[4] >> (byte + group) & 1) << 4;
    if (block_words(format) == 6)
        bits |= (words[4 + group / 4] >> (byte + group % 4 * 2) & 3) << 4;
    return (int)bits;
}

static int zero_of(int format)
{
    return format == Q8_0   ? 128
           : format == Q6_K ? 32
           : format == Q5_0 ? 16
           : format == Q4_0 ? 8
                            : 0;
}

static void unpack_rows(const void *job, int first, int last)
{
    const unpack_job *p = job;
    int format = p->layer->format, zero = zero_of(format);
    file_block block = layout(format);
    int spans = p->layer->inputs / QUANT_BLOCK / block.blocks;
    for (int row = first; row < last; row++) {
        const uint8_t *from = p->source + (int64_t)row * spans * block.size;
        float *y = p->y + (int64_t)row * p->layer->inputs;
        for (int s = 0; s < spans; s++, from += block.size) {
            block_header h = read_header(format, from);
            float scale = half_value(h.scale), minimum = half_value(h.minimum);
            for (int b = 0; b < block.blocks; b++, y += QUANT_BLOCK) {
                uint32_t words[MOST_WORDS];
                read_words(format, from, b, words);
                float low = scale, high, added = minimum;
                if (is_k(format) && format != Q6_K) {
                    low = scale * (float)h.bytes[b];
                    added = -(minimum * (float)h.bytes[8 + b]);
                }
                high = low;
                if (format == Q6_K) {
                    low = scale * (float)(int8_t)h.bytes[2 * b];
                    high = scale * (float)(int8_t)h.bytes[2 * b + 1];
                }
                for (int j = 0; j < QUANT_BLOCK; j++) {
                    float factor = j < QUANT_BLOCK / 2 ? low : high;
                    float value = factor * (float)(integer_at(format, words, j) - zero);
                    y[j] = has_minimum(format) ? value + added : value;
                }
            }
        }
    }
}

void blocks_unpack(const linear *l, const uint8_t *source, int rows, float *y)
{
    unpack_job job = {l, source, y};
    pool_run(unpack_rows, &job, rows, CHUNKS_PER_THREAD * l->threads, rows < 64 ? 1 : l->threads);
}

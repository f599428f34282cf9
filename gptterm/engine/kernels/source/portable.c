/* Any CPU: compiled for the baseline instruction set, such as SSE2 or NEON. */
#define LANES 4
#define KERNELS portable_kernels
#define NAME "portable"
#define ROW_TILE 2
#define INT8_ROW_TILE 1
#define BLOCK_ROW_TILE 1
#include "vectors.h"

/* binary16 (IEEE 754) to float32 in integer arithmetic: rebiases the exponent; subnormals and zero
   come from a subtraction that is exact. */
static inline vfloat load_half(const uint16_t *p)
{
    vint bits = {p[0], p[1], p[2], p[3]};
    vint sign = (bits & 0x8000) << 16;
    vint rest = (bits & 0x7fff) << 13;
    vint exponent = rest & (0x7c00 << 13);
    vint special = exponent == (0x7c00 << 13), small = exponent == 0;
    vint normal = rest + ((127 - 15) << 23) + (special & ((128 - 16) << 23));
    vint tiny =
        (vint)((vfloat)(rest + ((127 - 14) << 23)) - (vfloat)((vint){0} + ((127 - 14) << 23)));
    return (vfloat)(sign | (small & tiny) | (~small & normal));
}

static inline vfloat load_int8(const int8_t *p)
{
    vint integers = {p[0], p[1], p[2], p[3]};
    return __builtin_convertvector(integers, vfloat);
}

/* float32 to binary16 in integer arithmetic, rounded to even; subnormals are rounded by adding a
   number whose last place is that of the smallest one. */
static inline void store_half(uint16_t *p, vfloat values)
{
    vint sign = ((vint)values >> 16) & 0x8000, bits = (vint)values & 0x7fffffff;
    vint nan = values != values, overflow = bits > 0x477fe000;
    bits = (overflow & 0x477fe000) | (~overflow & bits);
    vint normal = ((bits + 0xfff + ((bits >> 13) & 1)) >> 13) - ((127 - 15) << 10);
    vfloat half = {0.5f, 0.5f, 0.5f, 0.5f};
    vint tiny = (vint)((vfloat)bits + half) - (vint)half;
    vint small = bits < ((127 - 14) << 23);
    vint result = (small & tiny) | (~small & normal);
    result = sign | (nan & 0x7e00) | (~nan & result);
    for (int lane = 0; lane < LANES; lane++)
        p[lane] = (uint16_t)result[lane];
}

static inline void transpose(vfloat rows[LANES])
{
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < i; j++) {
            float above = rows[j][i];
            rows[j][i] = rows[i][j];
            rows[i][j] = above;
        }
}

static inline vfloat sum_each(vfloat rows[LANES])
{
    transpose(rows);
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++)
            rows[i] += rows[i + half];
    return rows[0];
}

static inline vint dot4(vint sum, vint weights, uint32_t four)
{
    int8_t x[4];
    __builtin_memcpy(x, &four, 4);
    sum += (weights & 255) * x[0] + ((weights >> 8) & 255) * x[1];
    return sum + ((weights >> 16) & 255) * x[2] + ((weights >> 24) & 255) * x[3];
}

static inline vint dot4_small(vint sum, vint weights, uint32_t four)
{
    return dot4(sum, weights, four);
}

#include "kernels.inc"

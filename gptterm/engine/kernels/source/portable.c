/* Any CPU: the compiler makes of it what its first kind has, such as SSE2 or NEON. */
#define LANES 4
#define KERNELS portable_kernels
#define NAME "portable"
#define HALF_ROWS 2
#define BYTE_ROWS 1
#include "vectors.h"

/* Half precision (IEEE 754 binary16) in integers: the exponent is moved, and a number too small
   for its exponent, zero among them, is made by a subtraction that is exact. */
static inline floats halves(const uint16_t *p)
{
    ints bits = {p[0], p[1], p[2], p[3]};
    ints sign = (bits & 0x8000) << 16;
    ints rest = (bits & 0x7fff) << 13;
    ints exponent = rest & (0x7c00 << 13);
    ints special = exponent == (0x7c00 << 13), small = exponent == 0;
    ints normal = rest + ((127 - 15) << 23) + (special & ((128 - 16) << 23));
    ints tiny = (ints)((floats)(rest + ((127 - 14) << 23)) - (floats)((ints){0} + ((127 - 14) << 23)));
    return (floats)(sign | (small & tiny) | (~small & normal));
}

/* Rounded to even in integers; a number too small for an exponent of its own is rounded by adding
   one whose last place is that of the smallest. */
static inline void store_halves(uint16_t *p, floats values)
{
    ints sign = ((ints)values >> 16) & 0x8000, bits = (ints)values & 0x7fffffff;
    ints none = values != values, great = bits > 0x477fe000;
    bits = (great & 0x477fe000) | (~great & bits);
    ints normal = ((bits + 0xfff + ((bits >> 13) & 1)) >> 13) - ((127 - 15) << 10);
    floats half = {0.5f, 0.5f, 0.5f, 0.5f};
    ints tiny = (ints)((floats)bits + half) - (ints)half;
    ints small = bits < ((127 - 14) << 23);
    ints result = (small & tiny) | (~small & normal);
    result = sign | (none & 0x7e00) | (~none & result);
    for (int lane = 0; lane < LANES; lane++)
        p[lane] = (uint16_t)result[lane];
}

static inline void transpose(floats rows[LANES])
{
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < i; j++) {
            float above = rows[j][i];
            rows[j][i] = rows[i][j];
            rows[i][j] = above;
        }
}

static inline ints dot4(ints sum, ints weights, uint32_t four)
{
    int8_t x[4];
    __builtin_memcpy(x, &four, 4);
    sum += (weights & 255) * x[0] + ((weights >> 8) & 255) * x[1];
    return sum + ((weights >> 16) & 255) * x[2] + ((weights >> 24) & 255) * x[3];
}

#include "kernels.inc"

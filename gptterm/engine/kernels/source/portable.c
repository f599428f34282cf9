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

static inline ints dot4(ints sum, ints weights, uint32_t four)
{
    int8_t x[4];
    __builtin_memcpy(x, &four, 4);
    sum += (weights & 255) * x[0] + ((weights >> 8) & 255) * x[1];
    return sum + ((weights >> 16) & 255) * x[2] + ((weights >> 24) & 255) * x[3];
}

#include "kernels.inc"

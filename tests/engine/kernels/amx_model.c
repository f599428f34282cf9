/* The products by AMX on a CPU without it: the portable kernels, with tiles written out in C from the
   pseudocode of Intel's Software Developer's Manual, volume 2. It is compiled instead of portable.c. */

#define portable_kernels kernels_without_tiles
#include "portable.c"
#undef portable_kernels

#include "amx.h"

#include <stdlib.h>

static _Thread_local tile_shapes shapes;
static _Thread_local uint8_t registers[TILES][TILE_ROWS][TILE_BYTES];

/* What the CPU answers with a fault ends the process. */
static void require(int condition)
{
    if (!condition)
        abort();
}

static inline void _tile_loadconfig(const void *operand)
{
    memcpy(&shapes, operand, sizeof shapes);
    require(sizeof shapes == 64 && shapes.palette == 1);
    for (int tile = 0; tile < TILES; tile++)
        require(shapes.rows[tile] > 0 && shapes.rows[tile] <= TILE_ROWS &&
                shapes.row_bytes[tile] > 0 && shapes.row_bytes[tile] <= TILE_BYTES);
    memset(registers, 0, sizeof registers);
}

static inline void _tile_release(void) { memset(&shapes, 0, sizeof shapes); }

static inline void _tile_zero(int tile)
{
    require(shapes.rows[tile] > 0);
    memset(registers[tile], 0, sizeof registers[tile]);
}

static inline void _tile_loadd(int tile, const void *base, int64_t stride)
{
    _tile_zero(tile);
    for (int row = 0; row < shapes.rows[tile]; row++)
        memcpy(registers[tile][row], (const uint8_t *)base + row * stride, shapes.row_bytes[tile]);
}

static inline void _tile_stored(int tile, void *base, int64_t stride)
{
    require(shapes.rows[tile] > 0);
    for (int row = 0; row < shapes.rows[tile]; row++)
        memcpy((uint8_t *)base + row * stride, registers[tile][row], shapes.row_bytes[tile]);
}

static void require_product(int sums, int x, int weights)
{
    require(shapes.rows[sums] == shapes.rows[x]);
    require(shapes.row_bytes[sums] == shapes.row_bytes[weights]);
    require(shapes.row_bytes[x] == 4 * shapes.rows[weights]);
}

static inline void _tile_dpbsud(int sums, int x, int weights)
{
    require_product(sums, x, weights);
    for (int m = 0; m < shapes.rows[sums]; m++)
        for (int n = 0; n < shapes.row_bytes[sums] / 4; n++) {
            int32_t sum;
            memcpy(&sum, &registers[sums][m][4 * n], sizeof sum);
            for (int k = 0; k < shapes.row_bytes[x]; k++)
                sum += (int8_t)registers[x][m][k] * registers[weights][k / 4][4 * n + k % 4];
            memcpy(&registers[sums][m][4 * n], &sum, sizeof sum);
        }
}

/* A subnormal number counts as zero. */
static float flushed(float value)
{
    return value > -1.17549435e-38f && value < 1.17549435e-38f ? 0 : value;
}

static float bfloat16_at(const uint8_t *bytes)
{
    uint32_t bits = (uint32_t)bytes[1] << 24 | (uint32_t)bytes[0] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return flushed(value);
}

static inline void _tile_dpbf16ps(int sums, int x, int weights)
{
    require_product(sums, x, weights);
    for (int m = 0; m < shapes.rows[sums]; m++)
        for (int n = 0; n < shapes.row_bytes[sums] / 4; n++) {
            float of_two[2] = {0}, sum;
            for (int k = 0; k < shapes.row_bytes[x] / 2; k++) {
                float activation = bfloat16_at(&registers[x][m][2 * k]);
                const uint8_t *weight = &registers[weights][k / 2][4 * n + 2 * (k % 2)];
                of_two[k % 2] = flushed(of_two[k % 2] + activation * bfloat16_at(weight));
            }
            memcpy(&sum, &registers[sums][m][4 * n], sizeof sum);
            sum = flushed(flushed(sum) + flushed(of_two[0] + of_two[1]));
            memcpy(&registers[sums][m][4 * n], &sum, sizeof sum);
        }
}

#include "amx.inc"

const kernels portable_kernels =
    KERNEL_TABLE("portable BF16 AMX", bfloat16_tiles, 1, int8_tiles, q8_0_tiles);

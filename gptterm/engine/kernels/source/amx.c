/* Whether there is AMX, Linux lets this process use it, and it computes what it should. */

#include "amx.h"

#if COMPILES_AMX && defined(__linux__)
#pragma GCC target("amx-tile,amx-int8,amx-bf16")
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_reported(void)
{
    const unsigned bfloat16 = 1u << 22, tiles = 1u << 24, int8 = 1u << 25;
    const unsigned needed = bfloat16 | tiles | int8;
    unsigned a, b, c, features;
    return __get_cpuid_count(7, 0, &a, &b, &c, &features) && (features & needed) == needed;
}

/* Tiles are 8 KiB more that Linux keeps of each thread: a process asks for them, arch_prctl(2). */
static int is_permitted(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0;
}

static uint16_t bfloat16_of(int value)
{
    float number = (float)value;
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* A product of each kind, of small integers: every sum is exact. */
static int is_right(void)
{
    enum { INPUTS = TILE_BYTES / 2 };
    int8_t x[TILE_ROWS][INPUTS];
    uint8_t w[INPUTS / 4][TILE_BYTES];
    uint16_t halves[TILE_ROWS][INPUTS], w_halves[INPUTS / 2][INPUTS];
    int32_t sums[TILE_ROWS][TILE_ROWS], expected[TILE_ROWS][TILE_ROWS] = {0};
    float numbers[TILE_ROWS][TILE_ROWS];
    for (int k = 0; k < INPUTS; k++)
        for (int i = 0; i < TILE_ROWS; i++) {
            int activation = (5 * i + 3 * k) % 11 - 5, weight = (7 * i + 2 * k) % 13;
            x[i][k] = (int8_t)activation, w[k / 4][4 * i + k % 4] = (uint8_t)weight;
            halves[i][k] = bfloat16_of(activation);
            w_halves[k / 2][2 * i + k % 2] = bfloat16_of(weight);
        }
    for (int i = 0; i < TILE_ROWS; i++)
        for (int j = 0; j < TILE_ROWS; j++)
            for (int k = 0; k < INPUTS; k++)
                expected[i][j] += x[i][k] * w[k / 4][4 * j + k % 4];
    tile_shapes shapes = {.palette = 1};
    /* Sums, activations and weights of int8, and the same of bfloat16. */
    const int row_counts[] = {TILE_ROWS, TILE_ROWS, INPUTS / 4, TILE_ROWS, TILE_ROWS, INPUTS / 2};
    for (int tile = 0; tile < 6; tile++) {
        shapes.rows[tile] = (uint8_t)row_counts[tile];
        shapes.row_bytes[tile] = tile == 1 ? INPUTS : TILE_BYTES;
    }
    finish_stores();
    _tile_loadconfig(&shapes);
    _tile_zero(0);
    _tile_loadd(1, x, INPUTS);
    _tile_loadd(2, w, TILE_BYTES);
    _tile_dpbsud(0, 1, 2);
    _tile_stored(0, sums, TILE_BYTES);
    _tile_zero(3);
    _tile_loadd(4, halves, TILE_BYTES);
    _tile_loadd(5, w_halves, TILE_BYTES);
    _tile_dpbf16ps(3, 4, 5);
    _tile_stored(3, numbers, TILE_BYTES);
    _tile_release();
    int right = 1;
    for (int i = 0; i < TILE_ROWS; i++)
        for (int j = 0; j < TILE_ROWS; j++)
            right &= sums[i][j] == expected[i][j] && (int32_t)numbers[i][j] == expected[i][j];
    return right;
}

int amx_is_usable(void)
{
    static int usable = -1;
    if (usable < 0)
        usable = is_reported() && is_permitted() && is_right();
    return usable;
}
#else
int amx_is_usable(void) { return 0; }
#endif

/* x86-64 with AVX-512 and VNNI: Intel Ice Lake, AMD Zen 4 and later; where there are dot products of
   bfloat16 (Intel Cooper Lake, AMD Zen 4), with them; where there is AMX (Intel Sapphire Rapids), with
   it, too. */
#if defined(__x86_64__)
#pragma GCC target(                                                                                \
    "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,fma,f16c,avx2,prefer-vector-width=512")
#include <immintrin.h>

#define LANES 16
#define KERNELS avx512_kernels
#define NAME "AVX-512 VNNI"
#define ROW_TILE 12
#define INT8_ROW_TILE 6
#define BLOCK_ROW_TILE 6
#include "vectors.h"

static inline vfloat load_half(const uint16_t *p)
{
    return (vfloat)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline vfloat load_int8(const int8_t *p)
{
    return (vfloat)_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

static inline void store_half(uint16_t *p, vfloat values)
{
    /* In this order of operands NaN stays NaN. */
    __m512 bounded = _mm512_min_ps(_mm512_set1_ps(65504), (__m512)values);
    bounded = _mm512_max_ps(_mm512_set1_ps(-65504), bounded);
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(bounded, _MM_FROUND_TO_NEAREST_INT));
}

/* Of two vectors, the off-diagonal blocks of `half` columns swapped. */
static inline void swap_blocks(int half, vfloat *above, vfloat *below)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __mmask16 right = _mm512_test_epi32_mask(lane, _mm512_set1_epi32(half));
    __m512i lefts = _mm512_mask_add_epi32(lane, right, lane, _mm512_set1_epi32(LANES - half));
    __m512i rights = _mm512_add_epi32(lefts, _mm512_set1_epi32(half));
    __m512 first = (__m512)*above, second = (__m512)*below;
    *above = (vfloat)_mm512_permutex2var_ps(first, lefts, second);
    *below = (vfloat)_mm512_permutex2var_ps(first, rights, second);
}

static inline void transpose(vfloat rows[LANES])
{
#pragma GCC unroll 4
    for (int half = LANES / 2; half; half /= 2)
#pragma GCC unroll 16
        for (int i = 0; i < LANES; i++)
            if (!(i & half))
                swap_blocks(half, rows + i, rows + i + half);
}

/* A transposition whose halves are added as they come about. */
static inline vfloat sum_each(vfloat rows[LANES])
{
#pragma GCC unroll 4
    for (int half = LANES / 2; half; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; i++) {
            swap_blocks(half, rows + i, rows + i + half);
            rows[i] += rows[i + half];
        }
    return rows[0];
}

static inline vint dot4(vint sum, vint weights, uint32_t four)
{
    return (vint)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)weights, _mm512_set1_epi32((int)four));
}

static inline vint dot4_small(vint sum, vint weights, uint32_t four)
{
    return dot4(sum, weights, four);
}

#include "kernels.inc"

/* Sums of products of bfloat16 pairs: twice the arithmetic of float32 an instruction. */
INLINE void tile_pairs(const linear_job *p, int panel, int row, const int rows)
{
    int inputs = padded_inputs(BFLOAT16, p->layer->inputs);
    const uint16_t *weights = (const uint16_t *)p->layer->weights + (int64_t)panel * inputs * PANEL;
    const uint16_t *x = p->x_bfloat16 + (int64_t)row * inputs;
    vfloat sums[ROW_TILE][PANEL_VECTORS] = {0};
    for (int k = 0; k < inputs; k += 2, weights += 2 * PANEL) {
        __m512bh w[PANEL_VECTORS];
        for (int v = 0; v < PANEL_VECTORS; v++)
            w[v] = (__m512bh)load_int(weights + 2 * v * LANES);
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            int32_t pair;
            memcpy(&pair, x + (int64_t)r * inputs + k, sizeof pair);
#pragma GCC unroll 16
            for (int v = 0; v < PANEL_VECTORS; v++)
                sums[r][v] = (vfloat)_mm512_dpbf16_ps((__m512)sums[r][v], w[v],
                                                      (__m512bh)_mm512_set1_epi32(pair));
        }
    }
    for (int r = 0; r < rows; r++)
        store_panel(p, row + r, panel * PANEL, sums[r]);
}

static void bfloat16_pairs(const void *job, int first, int last)
{
    const linear_job *p = job;
    for (int panel = first; panel < last; panel++) {
        int row = 0;
        for (; row + ROW_TILE <= p->rows; row += ROW_TILE)
            tile_pairs(p, panel, row, ROW_TILE);
        for (; row + SMALL_TILE <= p->rows; row += SMALL_TILE)
            tile_pairs(p, panel, row, SMALL_TILE);
        for (; row < p->rows; row++)
            tile_pairs(p, panel, row, 1);
    }
}

const kernels avx512_bf16_kernels =
    KERNEL_TABLE("AVX-512 VNNI BF16", bfloat16_pairs, 1, int8, q8_0);

#if COMPILES_AMX
#pragma GCC target("amx-tile,amx-int8,amx-bf16")
#include "amx.inc"

const kernels amx_kernels =
    KERNEL_TABLE("AVX-512 VNNI BF16 AMX", bfloat16_tiles, 1, int8_tiles, q8_0_tiles);
#endif
#endif

/* x86-64 with AVX-512 and VNNI: Intel Ice Lake, AMD Zen 4 and later. */
#if defined(__x86_64__)
#pragma GCC target(                                                                                \
    "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c,avx2,prefer-vector-width=512")
#include <immintrin.h>

#define LANES 16
#define KERNELS avx512_kernels
#define NAME "AVX-512 VNNI"
#define ROW_TILE 12
#define INT8_ROW_TILE 6
#include "vectors.h"

static inline vfloat load_half(const uint16_t *p)
{
    return (vfloat)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
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

#include "kernels.inc"
#endif

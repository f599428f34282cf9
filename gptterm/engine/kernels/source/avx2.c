/* x86-64 with AVX2, FMA and F16C, from Intel's Haswell and AMD's Zen on. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma,f16c")
#include <immintrin.h>

#define LANES 8
#define KERNELS avx2_kernels
#define NAME "AVX2"
#define HALF_ROWS 2
#define BYTE_ROWS 1
#include "vectors.h"

static inline floats halves(const uint16_t *p)
{
    return (floats)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

/* In 16 bits, for the 8-bit instruction cuts sums of two products. */
static inline ints dot4(ints sum, ints weights, uint32_t four)
{
    int8_t x[4];
    __builtin_memcpy(x, &four, 4);
    __m256i even = _mm256_set1_epi32((int)((uint16_t)x[0] | (uint32_t)(uint16_t)x[2] << 16));
    __m256i odd = _mm256_set1_epi32((int)((uint16_t)x[1] | (uint32_t)(uint16_t)x[3] << 16));
    __m256i low = _mm256_set1_epi32(0x00ff00ff);
    __m256i w = (__m256i)weights;
    sum += (ints)_mm256_madd_epi16(_mm256_and_si256(w, low), even);
    return sum + (ints)_mm256_madd_epi16(_mm256_and_si256(_mm256_srli_epi16(w, 8), low), odd);
}

#include "kernels.inc"
#endif

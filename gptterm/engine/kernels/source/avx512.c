/* x86-64 with AVX-512 and its VNNI, from Intel's Ice Lake and AMD's Zen 4 on. */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma,f16c,avx2,prefer-vector-width=512")
#include <immintrin.h>

#define LANES 16
#define KERNELS avx512_kernels
#define NAME "AVX-512 VNNI"
#define HALF_ROWS 12
#define BYTE_ROWS 6
#include "vectors.h"

static inline floats halves(const uint16_t *p)
{
    return (floats)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline ints dot4(ints sum, ints weights, uint32_t four)
{
    return (ints)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)weights, _mm512_set1_epi32((int)four));
}

#include "kernels.inc"
#endif

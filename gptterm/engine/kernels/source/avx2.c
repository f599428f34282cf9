/* x86-64 with AVX2, FMA and F16C: Intel Haswell, AMD Zen and later. */
#if defined(__x86_64__)
#pragma GCC target("avx2,fma,f16c")
#include <immintrin.h>

#define LANES 8
#define KERNELS avx2_kernels
#define NAME "AVX2"
#define ROW_TILE 3
#define INT8_ROW_TILE 2
#define BLOCK_ROW_TILE 2
#include "vectors.h"

#include "linear.h"

static inline vfloat load_half(const uint16_t *p)
{
    return (vfloat)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline vfloat load_int8(const int8_t *p)
{
    return (vfloat)_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

static inline void store_half(uint16_t *p, vfloat values)
{
    /* In this order of operands NaN stays NaN. */
    __m256 bounded = _mm256_min_ps(_mm256_set1_ps(65504), (__m256)values);
    bounded = _mm256_max_ps(_mm256_set1_ps(-65504), bounded);
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(bounded, _MM_FROUND_TO_NEAREST_INT));
}

static inline void transpose(vfloat rows[LANES])
{
    __m256 ones[LANES], twos[LANES];
    for (int i = 0; i < LANES; i += 2) {
        ones[i] = _mm256_unpacklo_ps((__m256)rows[i], (__m256)rows[i + 1]);
        ones[i + 1] = _mm256_unpackhi_ps((__m256)rows[i], (__m256)rows[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4)
        for (int j = 0; j < 2; j++) {
            twos[i + 2 * j] = _mm256_shuffle_ps(ones[i + j], ones[i + j + 2], 0x44);
            twos[i + 2 * j + 1] = _mm256_shuffle_ps(ones[i + j], ones[i + j + 2], 0xee);
        }
    for (int i = 0; i < 4; i++) {
        rows[i] = (vfloat)_mm256_permute2f128_ps(twos[i], twos[i + 4], 0x20);
        rows[i + 4] = (vfloat)_mm256_permute2f128_ps(twos[i], twos[i + 4], 0x31);
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

static inline vint dot4_small(vint sum, vint weights, uint32_t four)
{
    __m256i pairs = _mm256_maddubs_epi16((__m256i)weights, _mm256_set1_epi32((int)four));
    return sum + (vint)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

/* GCC would move byte after byte. */
#define STORES_BYTES
static inline void store_bytes(int8_t *p, const vint integers[QUANT_BLOCK / LANES])
{
    const __m256i *n = (const __m256i *)integers;
    __m256i low = _mm256_packs_epi32(n[0], n[1]), high = _mm256_packs_epi32(n[2], n[3]);
    /* Each instruction packs the halves of 128 bits apart. */
    __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
    _mm256_storeu_si256((__m256i *)p, bytes);
}

/* In 16 bits: the 8-bit instruction (vpmaddubsw) saturates sums of two products of bytes. Weights and a
   row's block of activations, of four after each other the even ones apart from the odd, are widened
   once for all their products. */
#define WIDENS_INT8
typedef struct {
    __m256i even, odd;
} int8_weights;
typedef struct {
    int32_t even[QUANT_BLOCK / 4], odd[QUANT_BLOCK / 4]; /* pairs of 16 bits */
} int8_block;

static inline int8_weights unpack_weights(vint four)
{
    __m256i w = (__m256i)four;
    return (int8_weights){_mm256_and_si256(w, _mm256_set1_epi32(0x00ff00ff)),
                          _mm256_srli_epi16(w, 8)};
}

static inline void unpack_block(int8_block *block, const int8_t *x)
{
    __m256i all = _mm256_loadu_si256((const __m256i *)x);
    __m256i even = _mm256_srai_epi16(_mm256_slli_epi16(all, 8), 8);
    _mm256_storeu_si256((__m256i *)block->even, even);
    _mm256_storeu_si256((__m256i *)block->odd, _mm256_srai_epi16(all, 8));
    /* In memory, which broadcasts to all lanes: GCC would shuffle what it has in registers. */
    __asm__("" : "+m"(*block));
}

static inline vint add_int8(vint sum, int8_weights weights, const int8_block *block, int four)
{
    sum += (vint)_mm256_madd_epi16(weights.even, _mm256_set1_epi32(block->even[four]));
    sum += (vint)_mm256_madd_epi16(weights.odd, _mm256_set1_epi32(block->odd[four]));
    /* GCC would make all products before it adds the first: more than there are registers. */
    __asm__("" : "+x"(sum));
    return sum;
}

#include "kernels.inc"
#endif

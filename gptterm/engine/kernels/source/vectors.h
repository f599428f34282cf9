/* GCC vectors of LANES numbers; the `_unaligned` twins are for memory of smaller alignment. */
#include <stdint.h>

typedef float vfloat __attribute__((vector_size(4 * LANES)));
typedef int32_t vint __attribute__((vector_size(4 * LANES)));
typedef float vfloat_unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t vint_unaligned __attribute__((vector_size(4 * LANES), aligned(1), may_alias));
typedef int16_t vshort __attribute__((vector_size(2 * LANES)));
typedef int8_t vbyte __attribute__((vector_size(LANES)));
typedef float vfloat4 __attribute__((vector_size(16)));
typedef int32_t vint4 __attribute__((vector_size(16)));
typedef int32_t vint4_unaligned __attribute__((vector_size(16), aligned(4), may_alias));
typedef float vfloat4_unaligned __attribute__((vector_size(16), aligned(4), may_alias));

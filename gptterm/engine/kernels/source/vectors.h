/* Vectors of LANES numbers, and the same for memory that is aligned to single numbers. */
#include <stdint.h>

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef float loose_floats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t loose_ints __attribute__((vector_size(4 * LANES), aligned(1), may_alias));
typedef float fours __attribute__((vector_size(16)));
typedef int32_t ints_of_four __attribute__((vector_size(16)));
typedef float loose_fours __attribute__((vector_size(16), aligned(4), may_alias));

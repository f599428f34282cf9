/* The kernels of one instruction set: each does some items of a job (see pool.h). */
#ifndef GPTTERM_KERNELS_H
#define GPTTERM_KERNELS_H

#include "amx.h"
#include "linear.h"
#include "pool.h"

/* float32 activations to bfloat16, padded to an even number of inputs. */
typedef struct {
    const float *x;
    int inputs;
    uint16_t *y;
} round_job;

/* Rows packed by lanes: see linear_many.inc. */
typedef struct {
    const float *x;
    int rows, inputs;
    float *y;
} lanes_job;

/* float32 activations to int8: see `linear_job`. */
typedef struct {
    const float *x;
    int inputs;
    int8_t *x_int8;
    float *scales;
    int32_t *compensation;
    int32_t *half_sums;
} quantise_job;

typedef struct {
    const char *name;
    work_function
        multiply[WEIGHT_FORMATS]; /* by format; an item is PANEL outputs of a `linear_job` */
    int rounds_bfloat16;          /* whether BFLOAT16 is multiplied with rounded activations */
    int (*panels_at_once)(const linear *l, int rows); /* that `multiply` is best given */
    int64_t (*lanes_size)(const linear *l, int rows); /* numbers of rows packed by lanes, or 0 */
    int lanes_rows;                                   /* rows of a tile of a `lanes_job` */
    work_function pack_by_lanes;                      /* an item is a tile of a `lanes_job` */
    work_function round_rows;                         /* an item is a row of a `round_job` */
    work_function quantise_rows;                      /* an item is a row of a `quantise_job` */
    work_function stream;    /* FLOAT32_IN_OUT for few rows; an item is a split of the inputs */
    work_function append_kv; /* an item is a row's keys and values of an `attention` */
    work_function attend;    /* an item is a head of a group of rows of an `attention` */
    work_function layer_norm_rows; /* an item is a row of a `layer_norm_job` */
    work_function rms_norm_rows;   /* an item is a row of a `layer_norm_job` */
    work_function rotary_rows;     /* an item is a row of a `rotary_job` */
    work_function logits_rows;     /* an item is a row of a `logits_job` */
    work_function
        activation_chunks; /* an item is ACTIVATION_CHUNK numbers of an `activation_job` */
} kernels;

extern const kernels portable_kernels;
#if defined(__x86_64__)
extern const kernels avx2_kernels, avx512_kernels, avx512_bf16_kernels;
#if COMPILES_AMX
extern const kernels amx_kernels;
#endif
#endif

enum { MOST_LINEARS = 4 }; /* layers whose products are shared out together */

enum { CHUNKS_PER_THREAD = 4 }; /* so that a delayed thread leaves some chunks to the others */

/* Sizes and constants that the declarations in Python must agree with. */
extern const int32_t kernels_layout[10];

/* Raised where the meaning of a field or of a format changes, which no size tells. */
enum { REVISION = 3 };

/* The name of the kernels of a rank, or null if this CPU cannot run them. The fastest have rank 0;
   the last rank runs everywhere. Null, too, beyond the last. */
const char *kernels_name(int rank);

/* Selects the kernels of a rank, which this CPU must support, for all calls from now on. */
void kernels_select(int rank);
const char *kernels_selected_name(void);
const kernels *kernels_selected(void);

#endif

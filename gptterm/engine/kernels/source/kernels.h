/* The kernels of one instruction set: each does some items of a job (see pool.h). */
#ifndef GPTTERM_KERNELS_H
#define GPTTERM_KERNELS_H

#include "linear.h"
#include "pool.h"

typedef struct {
    const char *name;
    work_function multiply[WEIGHT_FORMATS]; /* by format; an item is PANEL outputs of a `linear_job` */
    work_function stream;    /* FLOAT32_IN_OUT for few rows; an item is a split of the inputs */
    work_function append_kv; /* an item is a row's keys and values of an `attention` */
    work_function attend;    /* an item is a head of a group of rows of an `attention` */
    work_function layer_norm_rows; /* an item is a row of a `layer_norm_job` */
    work_function rms_norm_rows;   /* an item is a row of a `layer_norm_job` */
    work_function rotary_rows;     /* an item is a row of a `rotary_job` */
    work_function activation_chunks; /* an item is ACTIVATION_CHUNK numbers of an `activation_job` */
} kernels;

extern const kernels portable_kernels;
#if defined(__x86_64__)
extern const kernels avx2_kernels, avx512_kernels;
#endif

enum { CHUNKS_PER_THREAD = 4 }; /* so that a delayed thread leaves some chunks to the others */

/* Sizes and constants that the declarations in Python must agree with. */
extern const int32_t kernels_layout[6];

/* The name of the kernels of a rank, or null if this CPU cannot run them. The fastest have rank 0;
   the last rank, 2 on x86-64 and 0 elsewhere, runs everywhere. */
const char *kernels_name(int rank);

/* Selects the kernels of a rank, which this CPU must support, for all calls from now on. */
void kernels_select(int rank);
const kernels *kernels_selected(void);

#endif

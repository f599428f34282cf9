/* The kernels for one kind of CPU: each does some pieces of a job. */
#ifndef GPTTERM_KERNELS_H
#define GPTTERM_KERNELS_H

#include "linear.h"
#include "pool.h"

typedef struct {
    const char *name;
    work multiply[INT8 + 1]; /* by kind: PANEL outputs of a `product` */
    work stream;             /* a part of the inputs FLOAT32_IN_OUT, for few rows */
    work keep;               /* a row's keys and values of an `attention` */
    work attend;             /* a head of the rows of an `attention` that go together */
    work normalise;          /* a row of a `norm` */
    work activate;           /* PIECE numbers of an `activation` */
} kernels;

extern const kernels portable_kernels;
#if defined(__x86_64__)
extern const kernels avx2_kernels, avx512_kernels;
#endif

enum { CHUNKS_A_THREAD = 4 }; /* so that a thread that is held up leaves some to the others */

/* The kernels taken. */
const kernels *kernels_chosen(void);

#endif

/* Programs: the calls of a forward pass in their order, recorded once. One call from Python makes them
   all: for few rows, Python's work between them takes as long as a small layer. */
#ifndef GPTTERM_PROGRAM_H
#define GPTTERM_PROGRAM_H

#include "attention.h"

typedef enum {
    OP_LAYER_NORM,
    OP_RMS_NORM,
    OP_LINEAR,
    OP_LINEARS,
    OP_ROTARY,
    OP_ATTENTION,
    OP_ACTIVATION,
} operation_kind;

/* One call; what it reads and writes lies where it lay before. */
typedef struct {
    int32_t kind;
    int32_t
        number; /* rows of a norm, layers of LINEARS, the layer of an ATTENTION, or the kind of an
                       ACTIVATION */
    int32_t threads;   /* of ROTARY and ACTIVATION */
    int64_t count;     /* of an ACTIVATION */
    const void *layer; /* `layer_norm`, `linear`, array of pointers to `linear`, `rotary_job`, or an
                          `attention`, of which window, scale, soft cap, query, key, value, their
                          strides and y count */
    const float *x, *other; /* `other`: residual of a LINEAR or `up` of an ACTIVATION, or null */
    float *y;
    float *const *results; /* of LINEARS */
} operation;

/* Makes `count` calls for `rows` rows. `step` is what all attentions of a pass share; `caches` are the
   keys and values of each layer, one after the other. Returns 0 if it cannot allocate memory, and -1
   if a position is beyond the cache's capacity. */
int program_run(const operation *operations, int count, int rows, const attention *step,
                void *const *caches);

#endif

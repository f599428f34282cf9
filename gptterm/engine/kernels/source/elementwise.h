/* Layer norm and GELU: each row, or each number, on its own. */
#ifndef GPTTERM_ELEMENTWISE_H
#define GPTTERM_ELEMENTWISE_H

#include <stdint.h>

/* (x - mean) / √(variance + epsilon) · weight + bias (Ba et al., 2016). */
typedef struct {
    int32_t width, threads;
    float epsilon;
    const float *weight, *bias; /* (width) */
} layer_norm;

/* One call, as the kernel sees it. */
typedef struct {
    const layer_norm *norm;
    const float *x; /* (rows, width) */
    float *y;       /* (rows, width) */
} layer_norm_job;

/* GELU's tanh approximation (Hendrycks and Gimpel, 2016), in place, GELU_CHUNK numbers an item. */
enum { GELU_CHUNK = 512 };
typedef struct {
    int64_t count;
    float *x;
} gelu_job;

void layer_norm_forward(const layer_norm *n, const float *x, int rows, float *y);

void gelu_forward(float *x, int64_t count, int threads);

#endif

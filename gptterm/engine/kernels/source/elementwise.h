/* Norms, activations and rotary embedding: each row, or each number, on its own. */
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

/* x / √(mean of x² + epsilon) · weight (Zhang and Sennrich, 2019): a `layer_norm` without a bias. */
void rms_norm_forward(const layer_norm *n, const float *x, int rows, float *y);

/* Rotary embedding (Su et al., 2021), in place: the numbers i and i + half of a head, for i < half,
   or 2i and 2i + 1 (`neighbours`), are turned by an angle as the components of a vector in a plane;
   the numbers from 2 · half on stay. */
typedef struct {
    int32_t rows, heads, head_dim, half, neighbours;
    float *x;                   /* (rows, heads, head_dim) */
    const float *cosine, *sine; /* (rows, half), of the angles */
} rotary_job;

/* GELU (Hendrycks and Gimpel, 2016) by its tanh approximation and exactly, SiLU (the same) and
   ReLU. */
typedef enum { GELU_TANH, GELU_ERF, SILU, RELU } activation_kind;

/* f(x), or f(x) · up (Shazeer, 2020), x in place, ACTIVATION_CHUNK numbers an item. */
enum { ACTIVATION_CHUNK = 512 };
typedef struct {
    activation_kind kind;
    int64_t count;
    float *x;
    const float *up; /* null for f(x) alone */
} activation_job;

/* Of each row of logits x: the largest, not a number if that is infinite or one of them is none; of
   the weights exp(x - largest) the sum, and the sum of weight times x - largest; how many logits come
   before the target's: greater ones, and equal ones to the left. */
typedef struct {
    int64_t width;
    const float *x;         /* (rows, width) */
    const int64_t *targets; /* (rows) */
    double *y;              /* (rows, 4) */
} logits_job;

void logits_forward(const logits_job *l, int rows, int threads);

void layer_norm_forward(const layer_norm *n, const float *x, int rows, float *y);

void rotary_forward(const rotary_job *r, int threads);

void activation_forward(int kind, float *x, const float *up, int64_t count, int threads);

#endif

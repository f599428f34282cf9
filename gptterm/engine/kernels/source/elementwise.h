/* What is done to every row of activations by itself. */
#ifndef GPTTERM_ELEMENTWISE_H
#define GPTTERM_ELEMENTWISE_H

#include <stdint.h>

/* (x - mean) / √(variance + epsilon) · weight + bias: a layer norm (Ba et al., 2016). */
typedef struct {
    int32_t width, threads;
    float epsilon;
    const float *weight, *bias; /* (width) */
    const float *x;             /* (rows, width) */
    float *y;                   /* (rows, width) */
} norm;

/* GELU's tanh approximation (Hendrycks and Gimpel, 2016), in place; a piece is PIECE numbers. */
enum { PIECE = 512 };
typedef struct {
    int64_t count;
    float *x;
} activation;

#endif

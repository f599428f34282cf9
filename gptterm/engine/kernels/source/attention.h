/* The attention of new tokens to those before them and themselves (Vaswani et al., 2017), in blocks
   of keys with a running maximum (Milakov and Gimelshein, 2018). */
#ifndef GPTTERM_ATTENTION_H
#define GPTTERM_ATTENTION_H

#include <stdint.h>

typedef struct {
    int32_t rows, heads, head_dim, threads;
    int32_t window; /* a token sees itself and the window - 1 before it; 0: all */
    int32_t half;   /* keys and values of the past are kept in float16, not in float32 */
    float scale;    /* what the scores are multiplied by */
    const float *query, *key, *value; /* (rows, heads, head_dim) of the new tokens */
    int64_t stride;                   /* numbers between two rows of each */
    void *keys, *values;              /* those of the past: (sequences, heads, capacity, head_dim) */
    int64_t sequence_stride, head_stride;
    const int64_t *positions; /* (rows): where the new tokens stand in their sequences */
    float *y;                 /* (rows, heads, head_dim) */
} attention;

/* Rows of one sequence that a thread takes at a time, so that their keys and values are read once. */
enum { TOGETHER = 64 };
static inline int attention_together(const attention *a)
{
    if (a->sequence_stride)
        return 1;
    int groups = (a->rows + TOGETHER - 1) / TOGETHER;
    return (a->rows + groups - 1) / groups;
}

#endif

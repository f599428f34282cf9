/* Attention of new tokens to a KV cache (Vaswani et al., 2017), in blocks of keys with an online
   softmax (Milakov and Gimelshein, 2018). */
#ifndef GPTTERM_ATTENTION_H
#define GPTTERM_ATTENTION_H

#include <stdint.h>

enum { KEY_BLOCK = 32 }; /* keys that are scored together, from multiples of it on */

/* What the cache holds. A head's key or value of KV_INT8 is head_dim signed bytes, then the float32
   number that they are multiplied with: a 127th of the largest one. */
typedef enum { KV_FLOAT32, KV_FLOAT16, KV_INT8 } kv_format;

/* Bytes of an element. */
static inline int kv_size(kv_format kv) { return kv == KV_INT8 ? 1 : kv == KV_FLOAT16 ? 2 : 4; }

/* Elements from position to position. */
static inline int64_t kv_width(kv_format kv, int head_dim)
{
    return kv == KV_INT8 ? head_dim + (int)sizeof(float) : head_dim;
}

/* A row is one new token. The rows are consecutive tokens of one sequence (sequence_stride is 0),
   or one token each of several. Grouped-query attention (Ainslie et al., 2023): heads / kv_heads
   consecutive query heads share the keys and values of a head of the cache. */
typedef struct {
    int32_t rows, heads, kv_heads, head_dim, threads;
    int32_t capacity;   /* positions of the cache */
    int32_t window;     /* a token attends to itself and the window - 1 before it; 0: to all */
    int32_t kv;         /* kv_format of the cache */
    float scale;        /* of the scores */
    float soft_cap;     /* scores s become soft_cap · tanh(s / soft_cap); 0: they stay */
    const float *query; /* (rows, heads, head_dim) of the new tokens */
    const float *key, *value;             /* (rows, kv_heads, head_dim) */
    int64_t query_stride, kv_stride;      /* from row to row, in elements */
    void *keys, *values;                  /* the cache: (sequences, kv_heads, capacity, kv_width) */
    int64_t sequence_stride, head_stride; /* in elements */
    const int64_t *positions;             /* (rows), of the new tokens */
    /* Of several sequences: the one that holds a row's first keys and values, (rows), and of how many
       positions, (rows), of which whole blocks are read there. Null: each holds its own. */
    const int64_t *sources, *shared;
    /* (heads, bias_stride) by position, or null: a token's score of a key is raised by the key's bias
       minus its own. */
    const float *bias;
    int64_t bias_stride;
    float *y; /* (rows, heads, head_dim) */
} attention;

/* Rows of one sequence that an item covers, so that their keys and values are read once. */
enum { MAX_GROUP = 64 };
static inline int attention_group_size(const attention *a)
{
    if (a->sequence_stride)
        return 1;
    int groups = (a->rows + MAX_GROUP - 1) / MAX_GROUP;
    return (a->rows + groups - 1) / groups;
}

/* Appends the new tokens' keys and values to the cache, and attends. Returns 0, with nothing
   written, if a position is beyond the cache's capacity or the biases. */
int attention_forward(const attention *a);

#endif

/* Choice of the instruction set, and the entry points that need no code of their own. */

#include "attention.h"
#include "elementwise.h"
#include "kernels.h"
#include "program.h"

static const kernels *const all_kernels[] = {
#if defined(__x86_64__)
#if COMPILES_AMX
    &amx_kernels,
#endif
    &avx512_bf16_kernels, &avx512_kernels, &avx2_kernels,
#endif
    &portable_kernels,
};
static const kernels *selected;

const int32_t kernels_layout[10] = {
    (int32_t)sizeof(linear),
    (int32_t)sizeof(layer_norm),
    (int32_t)sizeof(attention),
    (int32_t)sizeof(rotary_job),
    (int32_t)sizeof(logits_job),
    (int32_t)sizeof(operation),
    PANEL,
    QUANT_BLOCK,
    KEY_BLOCK,
    REVISION,
};

static int is_supported(const kernels *k)
{
#if defined(__x86_64__)
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (k == &avx2_kernels)
        return avx2; /* every such CPU has F16C */
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                 __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                 __builtin_cpu_supports("avx512vnni");
    int bfloat16 = avx512 && __builtin_cpu_supports("avx512bf16");
    if (k == &avx512_kernels)
        return avx512;
    if (k == &avx512_bf16_kernels)
        return bfloat16;
    if (k != &portable_kernels)
        return bfloat16 && amx_is_usable();
#endif
    (void)k;
    return 1;
}

const char *kernels_name(int rank)
{
    int count = (int)(sizeof all_kernels / sizeof *all_kernels);
    return rank < count && is_supported(all_kernels[rank]) ? all_kernels[rank]->name : 0;
}

void kernels_select(int rank) { selected = all_kernels[rank]; }

const char *kernels_selected_name(void) { return selected->name; }

const kernels *kernels_selected(void) { return selected; }

int attention_forward(const attention *a)
{
    for (int row = 0; row < a->rows; row++)
        if (a->positions[row] < 0 || a->positions[row] >= a->capacity ||
            (a->bias && a->positions[row] >= a->bias_stride))
            return 0;
    if (a->rows < 1)
        return 1;
    pool_run(selected->append_kv, a, a->rows, a->threads, a->rows < 16 ? 1 : a->threads);
    int size = attention_group_size(a), groups = (a->rows + size - 1) / size;
    /* Groups make few items that take long: in chunks of one, no thread does more than it must. */
    int items = groups * a->heads, chunks = size > 1 ? items : CHUNKS_PER_THREAD * a->threads;
    pool_run(selected->attend, a, items, chunks, a->threads);
    return 1;
}

/* Few rows are not worth a second thread. */
void layer_norm_forward(const layer_norm *n, const float *x, int rows, float *y)
{
    layer_norm_job job = {n, x, y};
    pool_run(selected->layer_norm_rows, &job, rows, n->threads, rows < 8 ? 1 : n->threads);
}

void rms_norm_forward(const layer_norm *n, const float *x, int rows, float *y)
{
    layer_norm_job job = {n, x, y};
    pool_run(selected->rms_norm_rows, &job, rows, n->threads, rows < 16 ? 1 : n->threads);
}

void rotary_forward(const rotary_job *r, int threads)
{
    pool_run(selected->rotary_rows, r, r->rows, threads, r->rows < 16 ? 1 : threads);
}

void logits_forward(const logits_job *l, int rows, int threads)
{
    pool_run(selected->logits_rows, l, rows, threads, rows < 2 ? 1 : threads);
}

void activation_forward(int kind, float *x, const float *up, int64_t count, int threads)
{
    activation_job job = {(activation_kind)kind, count, x, up};
    int items = (int)((count + ACTIVATION_CHUNK - 1) / ACTIVATION_CHUNK);
    pool_run(selected->activation_chunks, &job, items, threads, items < 16 ? 1 : threads);
}

/* Which kernels this CPU runs, and the entry points of those that need no more than that. */

#include "attention.h"
#include "kernels.h"
#include "elementwise.h"

static const kernels *const all_kernels[] = {
#if defined(__x86_64__)
    &avx512_kernels,
    &avx2_kernels,
#endif
    &portable_kernels,
};
static const kernels *chosen;

static int runs_here(const kernels *k)
{
#if defined(__x86_64__)
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (k == &avx2_kernels)
        return avx2; /* all of which have F16C */
    if (k == &avx512_kernels)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vnni");
#endif
    (void)k;
    return 1;
}

/* The name of the kernels of a rank, or null if this CPU cannot run them; the fastest come first,
   those of the last rank, 2 on x86-64 and 0 elsewhere, run everywhere. */
const char *kernels_name(int rank)
{
    int count = (int)(sizeof all_kernels / sizeof *all_kernels);
    return rank < count && runs_here(all_kernels[rank]) ? all_kernels[rank]->name : 0;
}

/* Takes the kernels of a rank, which this CPU can run, from now on. */
void kernels_choose(int rank) { chosen = all_kernels[rank]; }

const kernels *kernels_chosen(void) { return chosen; }

/* Stores the new tokens' keys and values, and attends. */
void attention_run(const attention *a)
{
    pool_run(chosen->keep, a, a->rows, a->threads, a->rows < 16 ? 1 : a->threads);
    int together = attention_together(a), groups = (a->rows + together - 1) / together;
    /* Many rows of a sequence make a few pieces that take long: no thread is to end up with one more
       than it need. */
    int pieces = groups * a->heads, chunks = together > 1 ? pieces : CHUNKS_A_THREAD * a->threads;
    pool_run(chosen->attend, a, pieces, chunks, a->threads);
}

/* A layer norm of `rows` rows; few are not worth the help of others. */
void norm_run(const norm *n, int rows)
{
    pool_run(chosen->normalise, n, rows, n->threads, rows < 8 ? 1 : n->threads);
}

/* GELU of `count` numbers, in place. */
void activation_run(float *x, int64_t count, int threads)
{
    activation a = {count, x};
    int pieces = (int)((count + PIECE - 1) / PIECE);
    pool_run(chosen->activate, &a, pieces, threads, pieces < 16 ? 1 : threads);
}

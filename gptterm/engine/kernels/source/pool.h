/* Thread pool: parallel for over the items of one job. */
#ifndef GPTTERM_POOL_H
#define GPTTERM_POOL_H

#include <stdint.h>

/* Does items first, first + 1, …, last - 1 of a job. */
typedef void (*work_function)(const void *job, int first, int last);

/* Runs `items` items of a job on up to `threads` threads, the caller's included, and returns when
   all are done. A thread takes one chunk of consecutive items at a time. If the pool is busy with
   another caller's job, the calling thread does all items itself. */
void pool_run(work_function function, const void *job, int items, int chunks, int threads);

/* Has jobs run on one thread less for some nanoseconds, MAX_LEAVE at most, so that another process
   gets a core; 0 ends it. The caller of a job always computes: nothing changes where it is alone. */
void pool_leave_core(int64_t nanoseconds);

#endif

/* A pool of threads that share the work of one call. */
#ifndef GPTTERM_POOL_H
#define GPTTERM_POOL_H

/* Does the pieces first, first + 1, …, last - 1 of a job. */
typedef void (*work)(const void *job, int first, int last);

/* Runs `count` pieces of a job on up to `threads` threads, the caller's among them, and returns
   when all are done. A thread takes a chunk of neighbouring pieces at a time. A call that finds the
   pool at work for another does its work alone. */
void pool_run(work function, const void *job, int count, int chunks, int threads);

#endif

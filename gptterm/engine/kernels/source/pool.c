/* Between two matrices of a decoder's step lie some ten microseconds of other work, and waking a
   sleeping thread takes longer than that: so a worker that has nothing to do looks for more for a
   while before it sleeps. Nobody waits for a worker that has taken no piece: if the system gives
   its core to another process, the rest of the pieces are done by those that run. */

#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>

#if defined(__x86_64__) || defined(__i386__)
#define relax() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define relax() __asm__ volatile("yield")
#else
#define relax() ((void)0)
#endif

enum { MOST_WORKERS = 255, MOST_CHUNKS = 0x7fff, LOOKS = 4000 };

/* What the workers do now. Written before `next` is, and not again before all chunks are done. */
static work function;
static const void *job;
static int pieces;
static atomic_int chunks_done;
/* The job's number, its chunks and the next chunk, in one word: so a worker that comes late takes
   a chunk of the present job or none, never one of a job that is over. */
static _Atomic uint64_t next;
static atomic_int allowed; /* workers that may take part */

static pthread_mutex_t in_use = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t sleeping = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static atomic_int sleepers;
static int workers;
static int watches_forks;

static uint64_t number_of(uint64_t ticket) { return ticket >> 32; }
static int chunks_of(uint64_t ticket) { return (int)(ticket >> 16 & 0xffff); }
static int chunk_of(uint64_t ticket) { return (int)(ticket & 0xffff); }

/* Takes chunks until none is left. */
static void take_part(void)
{
    for (;;) {
        /* Looked at first, so that idle looks do not count the chunks up. */
        uint64_t ticket = atomic_load_explicit(&next, memory_order_acquire);
        if (chunk_of(ticket) >= chunks_of(ticket))
            return;
        ticket = atomic_fetch_add_explicit(&next, 1, memory_order_acq_rel);
        int chunk = chunk_of(ticket), chunks = chunks_of(ticket);
        if (chunk >= chunks)
            return;
        int64_t all = pieces;
        function(job, (int)(all * chunk / chunks), (int)(all * (chunk + 1) / chunks));
        atomic_fetch_add_explicit(&chunks_done, 1, memory_order_release);
    }
}

static void *worker(void *argument)
{
    int own = (int)(intptr_t)argument;
    uint64_t last = 0;
    for (;;) {
        int looks = 0;
        while (number_of(atomic_load_explicit(&next, memory_order_acquire)) == last) {
            if (++looks < LOOKS) {
                relax();
                continue;
            }
            pthread_mutex_lock(&sleeping);
            atomic_fetch_add(&sleepers, 1);
            while (number_of(atomic_load(&next)) == last)
                pthread_cond_wait(&wake, &sleeping);
            atomic_fetch_sub(&sleepers, 1);
            pthread_mutex_unlock(&sleeping);
        }
        last = number_of(atomic_load(&next));
        if (own < atomic_load(&allowed))
            take_part();
    }
    return 0;
}

/* The child of a fork has the memory, but none of the threads. */
static void forget_workers(void)
{
    workers = 0;
    atomic_store(&sleepers, 0);
    pthread_mutex_init(&in_use, 0);
    pthread_mutex_init(&sleeping, 0);
    pthread_cond_init(&wake, 0);
}

static void start_workers(int wanted)
{
    if (!watches_forks) {
        pthread_atfork(0, 0, forget_workers);
        watches_forks = 1;
    }
    while (workers < wanted && workers < MOST_WORKERS) {
        pthread_t thread;
        if (pthread_create(&thread, 0, worker, (void *)(intptr_t)workers))
            return; /* no more to be had: those that are there do it */
        pthread_detach(thread);
        workers++;
    }
}

void pool_run(work wanted_function, const void *wanted_job, int count, int chunks, int threads)
{
    if (threads < 2 || count < 2 || pthread_mutex_trylock(&in_use)) {
        wanted_function(wanted_job, 0, count);
        return;
    }
    start_workers(threads - 1);
    function = wanted_function;
    job = wanted_job;
    pieces = count;
    chunks = chunks < count ? chunks : count;
    chunks = chunks < MOST_CHUNKS ? chunks : MOST_CHUNKS;
    atomic_store(&chunks_done, 0);
    atomic_store(&allowed, threads - 1);
    uint64_t number = number_of(atomic_load(&next)) + 1;
    atomic_store(&next, number << 32 | (uint64_t)chunks << 16);
    if (atomic_load(&sleepers)) {
        pthread_mutex_lock(&sleeping);
        pthread_cond_broadcast(&wake);
        pthread_mutex_unlock(&sleeping);
    }
    take_part();
    for (int looks = 0; atomic_load_explicit(&chunks_done, memory_order_acquire) < chunks; looks++)
        looks < LOOKS ? relax() : (void)sched_yield();
    pthread_mutex_unlock(&in_use);
}

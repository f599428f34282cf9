/* Between two linear layers of a decoding step lie some ten microseconds of other work, and waking
   a sleeping thread takes longer than that: an idle worker therefore spins for a while before it
   sleeps. No one waits for a worker that has taken no chunk: if the system gives its core to
   another process, the running threads do the remaining chunks. */

#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#if defined(__x86_64__) || defined(__i386__)
#define relax() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define relax() __asm__ volatile("yield")
#else
#define relax() ((void)0)
#endif

enum {
    MAX_WORKERS = 255,
    MAX_CHUNKS = 0x7fff,
    CALLER = -2, /* in place of a worker's index */
    SPINS = 4000,
    SECOND = 1000000000, /* in nanoseconds */
    MAX_LEAVE = SECOND / 20,
    MAX_SLEEP = SECOND / 500, /* until a worker sees that it may come back sooner */
    STACK_BYTES = 4 << 20     /* kernels keep up to 1 MiB there: more than macOS gives by itself */
};

/* The current job. Written before `ticket` is, and not again before all chunks are done. */
static work_function function;
static const void *job;
static int items;
static atomic_int chunks_done;
/* The job's number, its chunk count and its next chunk, in one word: a late worker takes a chunk of
   the current job or none, never one of a finished job. */
static _Atomic uint64_t ticket;
static atomic_int max_helpers; /* workers that may take chunks of the current job */
/* When the last of them may take chunks again, by `clock_now`. */
static _Atomic int64_t core_left_until;

static pthread_mutex_t in_use = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t sleeping = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static atomic_int sleepers;
static int workers;
static int atfork_registered;

static uint64_t job_number(uint64_t t) { return t >> 32; }
static int chunk_count(uint64_t t) { return (int)(t >> 16 & 0xffff); }
static int next_chunk(uint64_t t) { return (int)(t & 0xffff); }

static int64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * SECOND + now.tv_nsec;
}

/* Nanoseconds for which a worker leaves its core to others. */
static int64_t time_away(int index)
{
    int64_t until = atomic_load_explicit(&core_left_until, memory_order_relaxed);
    if (!until || index != atomic_load_explicit(&max_helpers, memory_order_relaxed) - 1)
        return 0;
    int64_t left = until - clock_now();
    if (left <= 0) /* unless it is another time by now */
        atomic_compare_exchange_strong(&core_left_until, &until, 0);
    return left > 0 ? left : 0;
}

/* Does chunks until none is left, or the worker of this index is to leave its core. */
static void run_chunks(int index)
{
    while (!time_away(index)) {
        /* Read before it is incremented, so that idle polls do not use up chunk numbers. */
        uint64_t t = atomic_load_explicit(&ticket, memory_order_acquire);
        if (next_chunk(t) >= chunk_count(t))
            return;
        t = atomic_fetch_add_explicit(&ticket, 1, memory_order_acq_rel);
        int chunk = next_chunk(t), chunks = chunk_count(t);
        if (chunk >= chunks)
            return;
        int64_t all = items;
        function(job, (int)(all * chunk / chunks), (int)(all * (chunk + 1) / chunks));
        atomic_fetch_add_explicit(&chunks_done, 1, memory_order_release);
    }
}

static void *worker(void *argument)
{
    int index = (int)(intptr_t)argument;
    uint64_t last = 0;
    for (;;) {
        int spins = 0;
        while (job_number(atomic_load_explicit(&ticket, memory_order_acquire)) == last) {
            if (++spins < SPINS) {
                relax();
                continue;
            }
            pthread_mutex_lock(&sleeping);
            atomic_fetch_add(&sleepers, 1);
            while (job_number(atomic_load(&ticket)) == last)
                pthread_cond_wait(&wake, &sleeping);
            atomic_fetch_sub(&sleepers, 1);
            pthread_mutex_unlock(&sleeping);
        }
        last = job_number(atomic_load(&ticket));
        if (index < atomic_load(&max_helpers))
            run_chunks(index);
        int64_t away = time_away(index);
        if (away)
            nanosleep(&(struct timespec){.tv_nsec = away < MAX_SLEEP ? (long)away : MAX_SLEEP}, 0);
    }
    return 0;
}

/* A forked child has the memory of its parent but none of its threads. */
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
    if (!atfork_registered) {
        pthread_atfork(0, 0, forget_workers);
        atfork_registered = 1;
    }
    if (workers >= wanted)
        return;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    while (workers < wanted && workers < MAX_WORKERS) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, worker, (void *)(intptr_t)workers))
            break; /* no more threads: those that run do the job */
        pthread_detach(thread);
        workers++;
    }
    pthread_attr_destroy(&attributes);
}

void pool_run(work_function new_function, const void *new_job, int new_items, int chunks,
              int threads)
{
    if (threads < 2 || new_items < 2 || pthread_mutex_trylock(&in_use)) {
        new_function(new_job, 0, new_items);
        return;
    }
    start_workers(threads - 1);
    function = new_function;
    job = new_job;
    items = new_items;
    chunks = chunks < new_items ? chunks : new_items;
    chunks = chunks < MAX_CHUNKS ? chunks : MAX_CHUNKS;
    atomic_store(&chunks_done, 0);
    atomic_store(&max_helpers, threads - 1);
    uint64_t number = job_number(atomic_load(&ticket)) + 1;
    atomic_store(&ticket, number << 32 | (uint64_t)chunks << 16);
    if (atomic_load(&sleepers)) {
        pthread_mutex_lock(&sleeping);
        pthread_cond_broadcast(&wake);
        pthread_mutex_unlock(&sleeping);
    }
    run_chunks(CALLER);
    for (int spins = 0; atomic_load_explicit(&chunks_done, memory_order_acquire) < chunks; spins++)
        spins < SPINS ? relax() : (void)sched_yield();
    pthread_mutex_unlock(&in_use);
}

void pool_leave_core(int64_t nanoseconds)
{
    int64_t bounded = nanoseconds < MAX_LEAVE ? nanoseconds : MAX_LEAVE;
    atomic_store(&core_left_until, bounded > 0 ? clock_now() + bounded : 0);
}

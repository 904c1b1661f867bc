// A pool of threads: an epoch counter wakes them, an index counter hands out the work, a countdown ends it.
// They spin for a short while before they sleep, because the loops of a decode step follow each other within microseconds.
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels_prelude.h"

struct fv_pool {
  int32_t threads;
  pthread_t *handles;
  void (*body)(void *, int64_t, int64_t);
  void *context;
  int64_t count;
  _Alignas(64) _Atomic uint32_t epoch;
  _Alignas(64) _Atomic int64_t next;
  _Alignas(64) _Atomic int32_t busy;
  _Atomic int32_t stop;
};

enum { spins = 2000 };

static void relax(void) {
#if defined(__x86_64__)
  _mm_pause();
#else
  sched_yield();
#endif
}

// Denormals are flushed, rounding is to nearest: the mode that the kernels define. Returns the mode before.
static unsigned long enter_mode(void) {
#if defined(__x86_64__)
  const unsigned before = _mm_getcsr();
  _mm_setcsr(0x1F80 | 0x8040);
  return before;
#elif defined(__aarch64__)
  unsigned long before;
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" ::"r"(1ul << 24));
  return before;
#else
  return 0;
#endif
}

static void leave_mode(unsigned long before) {
#if defined(__x86_64__)
  _mm_setcsr((unsigned)before);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" ::"r"(before));
#else
  (void)before;
#endif
}

static void work(fv_pool *pool, int64_t thread) {
  for (;;) {
    const int64_t index = atomic_fetch_add(&pool->next, 1);
    if (index >= pool->count) return;
    pool->body(pool->context, index, thread);
  }
}

typedef struct {
  fv_pool *pool;
  int64_t thread;
} thread_argument;

static void *thread_main(void *argument) {
  fv_pool *pool = ((thread_argument *)argument)->pool;
  const int64_t thread = ((thread_argument *)argument)->thread;
  free(argument);
  enter_mode();
  uint32_t seen = 0;
  for (;;) {
    int spun = 0;
    while (atomic_load(&pool->epoch) == seen) {
      if (spun++ < spins) relax();
      else syscall(SYS_futex, &pool->epoch, FUTEX_WAIT_PRIVATE, seen, 0, 0, 0);
    }
    seen++;
    if (atomic_load(&pool->stop)) return 0;
    work(pool, thread);
    if (atomic_fetch_sub(&pool->busy, 1) == 1) syscall(SYS_futex, &pool->busy, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
  }
}

static void wake(fv_pool *pool) {
  atomic_fetch_add(&pool->epoch, 1);
  syscall(SYS_futex, &pool->epoch, FUTEX_WAKE_PRIVATE, pool->threads, 0, 0, 0);
}

fv_pool *fv_pool_create(int32_t threads) {
  fv_pool *pool = aligned_alloc(64, (sizeof(fv_pool) + 63) & ~63ul);
  if (!pool) return 0;
  memset(pool, 0, sizeof *pool);
  pool->threads = 1;
  pool->handles = calloc((size_t)(threads > 1 ? threads : 1), sizeof(pthread_t));
  for (int32_t i = 0; pool->handles && i + 1 < threads; i++) {
    thread_argument *argument = malloc(sizeof *argument);
    if (!argument) break;
    *argument = (thread_argument){pool, i + 1};
    if (pthread_create(&pool->handles[i], 0, thread_main, argument)) {
      free(argument);
      break;
    }
    pool->threads++;
  }
  if (!pool->handles || pool->threads < threads) {
    fv_pool_destroy(pool);
    return 0;
  }
  return pool;
}

void fv_pool_destroy(fv_pool *pool) {
  atomic_store(&pool->stop, 1);
  wake(pool);
  for (int32_t i = 0; i + 1 < pool->threads; i++) pthread_join(pool->handles[i], 0);
  free(pool->handles);
  free(pool);
}

void fv_pool_run(fv_pool *pool, int64_t count, void (*body)(void *, int64_t, int64_t), void *context) {
  const unsigned long mode = enter_mode();
  if (pool->threads == 1 || count <= 1) {
    for (int64_t i = 0; i < count; i++) body(context, i, 0);
  } else {
    pool->body = body;
    pool->context = context;
    pool->count = count;
    atomic_store(&pool->next, 0);
    atomic_store(&pool->busy, pool->threads - 1);
    wake(pool);
    work(pool, 0);
    int spun = 0;
    for (int32_t busy; (busy = atomic_load(&pool->busy)) > 0;) {
      if (spun++ < spins) relax();
      else syscall(SYS_futex, &pool->busy, FUTEX_WAIT_PRIVATE, busy, 0, 0, 0);
    }
  }
  leave_mode(mode);
}

// A pool of threads. Every thread owns a range of the loop's indices: it takes them from the front, so that it walks
// neighbouring weights, and when it has none left it takes from the back of another's. A loop is over when all of its
// calls are, so a thread that other processes keep from running delays no other, except by the one call that it may be
// in.
//
// Threads spin for a short while before they sleep, because the loops of a decode step follow each other within
// microseconds; only a thread that sleeps is woken by a system call.
#define _GNU_SOURCE
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels_prelude.h"

// The share of one thread: the indices begin ..< end of its range that no thread has taken yet, as begin | end << 32,
// and, in a cache line that no other thread touches, how many it took itself, from any range.
typedef struct {
  _Alignas(64) _Atomic uint64_t indices;
  _Alignas(64) uint32_t taken;
} share;

struct fv_pool {
  int32_t threads;
  pthread_t *handles;
  share *shares;
  void (*body)(void *, int64_t, int64_t);
  void *context;
  // Grows with every loop, and is what threads wait for between loops.
  _Alignas(64) _Atomic uint32_t epoch;
  _Atomic int32_t sleepers;
  _Atomic int32_t stop;
  // Indices of this loop whose calls have not returned, and whether the caller sleeps until there are none.
  _Alignas(64) _Atomic uint32_t open;
  _Atomic int32_t caller_sleeps;
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

static uint64_t pack(uint32_t begin, uint32_t end) { return begin | (uint64_t)end << 32; }

// Takes an index from the front or the back; -1 when there is none. A thread that takes one keeps the loop from ending,
// so body and context, read afterwards, are that loop's, however long ago the thread looked at the range before.
static int64_t take(share *share, int from_front) {
  uint64_t seen = atomic_load_explicit(&share->indices, memory_order_acquire);
  for (;;) {
    const uint32_t begin = (uint32_t)seen, end = (uint32_t)(seen >> 32);
    if (begin >= end) return -1;
    const uint64_t rest = from_front ? pack(begin + 1, end) : pack(begin, end - 1);
    if (atomic_compare_exchange_weak_explicit(
          &share->indices, &seen, rest, memory_order_acq_rel, memory_order_acquire))
      return from_front ? begin : end - 1;
  }
}

int64_t fv_pool_next(fv_pool *pool, int64_t thread) {
  for (int32_t i = 0; i < pool->threads; i++) {
    const int64_t index = take(&pool->shares[(thread + i) % pool->threads], i == 0);
    if (index < 0) continue;
    pool->shares[thread].taken++;
    return index;
  }
  return -1;
}

// Calls the body until no range has an index left, then says how many indices it took.
static void work(fv_pool *pool, int64_t thread) {
  for (int64_t index; (index = fv_pool_next(pool, thread)) >= 0;) pool->body(pool->context, index, thread);
  const uint32_t taken = pool->shares[thread].taken;
  pool->shares[thread].taken = 0;
  if (taken && atomic_fetch_sub(&pool->open, taken) == taken && atomic_load(&pool->caller_sleeps))
    syscall(SYS_futex, &pool->open, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
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
      if (spun++ < spins) {
        relax();
      } else {
        atomic_fetch_add(&pool->sleepers, 1);
        syscall(SYS_futex, &pool->epoch, FUTEX_WAIT_PRIVATE, seen, 0, 0, 0);
        atomic_fetch_sub(&pool->sleepers, 1);
      }
    }
    seen = atomic_load(&pool->epoch);
    if (atomic_load(&pool->stop)) return 0;
    work(pool, thread);
  }
}

// A thread counts itself asleep before the kernel compares the epoch: it is woken, or does not fall asleep.
static void wake(fv_pool *pool) {
  atomic_fetch_add(&pool->epoch, 1);
  if (atomic_load(&pool->sleepers) > 0)
    syscall(SYS_futex, &pool->epoch, FUTEX_WAKE_PRIVATE, pool->threads, 0, 0, 0);
}

fv_pool *fv_pool_create(int32_t threads) {
  const size_t most = (size_t)(threads > 1 ? threads : 1);
  fv_pool *pool = aligned_alloc(64, (sizeof(fv_pool) + 63) & ~63ul);
  if (!pool) return 0;
  memset(pool, 0, sizeof *pool);
  pool->threads = 1;
  pool->handles = calloc(most, sizeof(pthread_t));
  pool->shares = aligned_alloc(64, most * sizeof(share));
  if (pool->shares) memset(pool->shares, 0, most * sizeof(share));
  // threads that start look at all shares: their number is set before
  if (pool->handles && pool->shares) pool->threads = (int32_t)most;
  int32_t started = 1;
  for (; started < pool->threads; started++) {
    thread_argument *argument = malloc(sizeof *argument);
    if (!argument) break;
    *argument = (thread_argument){pool, started};
    if (pthread_create(&pool->handles[started - 1], 0, thread_main, argument)) {
      free(argument);
      break;
    }
  }
  if (!pool->handles || !pool->shares || started < pool->threads) {
    pool->threads = started;
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
  free(pool->shares);
  free(pool);
}

void fv_pool_run(fv_pool *pool, int64_t count, void (*body)(void *, int64_t, int64_t), void *context) {
  const unsigned long mode = enter_mode();
  if (pool->threads == 1 || count <= 1 || count > UINT32_MAX) {
    for (int64_t i = 0; i < count; i++) body(context, i, 0);
  } else {
    pool->body = body;
    pool->context = context;
    atomic_store(&pool->open, (uint32_t)count);
    for (int64_t t = 0; t < pool->threads; t++)
      atomic_store_explicit(
        &pool->shares[t].indices,
        pack((uint32_t)(count * t / pool->threads), (uint32_t)(count * (t + 1) / pool->threads)), memory_order_release);
    wake(pool);
    work(pool, 0);
    int spun = 0;
    for (uint32_t open; (open = atomic_load(&pool->open)) > 0;) {
      if (spun++ < spins) {
        relax();
      } else {
        atomic_store(&pool->caller_sleeps, 1);
        syscall(SYS_futex, &pool->open, FUTEX_WAIT_PRIVATE, open, 0, 0, 0);
        atomic_store(&pool->caller_sleeps, 0);
      }
    }
  }
  leave_mode(mode);
}

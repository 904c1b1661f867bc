// Many short loops on pools of several sizes, for the thread sanitizer (deploy/sanitize): each index is called once,
// and what a call writes is seen by the caller and by the next loop, without an atomic in the body.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fovea_pool.h"

enum { COUNT_MAX = 97, LOOPS = 3000 };

typedef struct {
  fv_pool *pool;
  int64_t values[COUNT_MAX];
  int64_t by_thread[8];
} work;

static void add_one(void *context, int64_t index, int64_t thread) {
  work *w = context;
  w->values[index]++;
  w->by_thread[thread]++;
}

// Takes the rest of its thread's indices itself.
static void take_all(void *context, int64_t index, int64_t thread) {
  work *w = context;
  do add_one(w, index, thread);
  while ((index = fv_pool_next(w->pool, thread)) >= 0);
}

int main(void) {
  for (int32_t threads = 1; threads <= 5; threads++) {
    work w = {.pool = fv_pool_create(threads)};
    if (!w.pool) return fprintf(stderr, "no pool of %d threads\n", threads), 1;
    int64_t expected[COUNT_MAX] = {0}, total = 0;
    for (int loop = 0; loop < LOOPS; loop++) {
      const int64_t count = loop * 31 % (COUNT_MAX + 1);
      fv_pool_run(w.pool, count, loop % 3 || threads == 1 || count <= 1 ? add_one : take_all, &w);
      for (int64_t i = 0; i < count; i++) expected[i]++;
      total += count;
      if (memcmp(w.values, expected, sizeof expected))
        return fprintf(stderr, "loop %d of %d threads\n", loop, threads), 1;
    }
    int64_t sum = 0;
    for (int t = 0; t < threads; t++) sum += w.by_thread[t];
    if (sum != total) return fprintf(stderr, "%d threads made %ld calls of %ld\n", threads, (long)sum, (long)total), 1;
    fv_pool_destroy(w.pool);
  }
  printf("pools of 1 to 5 threads: %d loops each\n", LOOPS);
  return 0;
}

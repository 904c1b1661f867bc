// A pool of threads for data-parallel loops.
#pragma once
#include <stdint.h>

typedef struct fv_pool fv_pool;

// Starts threads - 1 threads; the caller of fv_pool_run is the last one. NULL when threads cannot be started.
fv_pool *fv_pool_create(int32_t threads);
void fv_pool_destroy(fv_pool *pool);
// Calls body(context, i, thread) once for every i in 0 ..< count, on all threads, and returns when all calls have;
// thread is in 0 ..< threads, for scratch space. A thread begins with a run of neighbouring i, but which thread runs
// which i is not fixed, so no result may depend on it. Every call runs with denormals flushed to zero and rounding to
// nearest; the caller's own mode is restored at the end. Not reentrant; one caller at a time.
void fv_pool_run(
    fv_pool *pool, int64_t count, void (*body)(void *context, int64_t index, int64_t thread), void *context);
// For a body that makes all calls of its thread in one: takes another index for it; -1 when there is none left.
int64_t fv_pool_next(fv_pool *pool, int64_t thread);

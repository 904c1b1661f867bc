// Reports to the thread sanitizer the edges of Swift's Mutex that it cannot trace. Loaded before the tests (deploy/sanitize).
//
// An uncontended mutex is locked and unlocked by atomic operations in the caller's code, which is instrumented. A contended
// one is handed over by the kernel inside the standard library, which is not instrumented: without this file, everything that
// the former holder wrote would look like a race.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>

// Synchronization._MutexHandle._lockSlow(_: UInt32) and _unlockSlow(); self is the address of the mutex's word.
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

#define SWIFT_SELF __attribute__((swift_context))
typedef __attribute__((swiftcall)) void lock_slow(uint32_t thread, SWIFT_SELF void *word);
typedef __attribute__((swiftcall)) void unlock_slow(SWIFT_SELF void *word);

lock_slow seen_lock_slow __asm__(LOCK_SLOW);
unlock_slow seen_unlock_slow __asm__(UNLOCK_SLOW);

// Absent in the processes that start the tests.
__attribute__((weak)) void __tsan_acquire(void *word);
__attribute__((weak)) void __tsan_release(void *word);

__attribute__((swiftcall)) void seen_lock_slow(uint32_t thread, SWIFT_SELF void *word) {
  static _Atomic(lock_slow *) original;
  if (!original) original = (lock_slow *)dlsym(RTLD_NEXT, LOCK_SLOW);
  original(thread, word);
  if (__tsan_acquire) __tsan_acquire(word);
}

__attribute__((swiftcall)) void seen_unlock_slow(SWIFT_SELF void *word) {
  static _Atomic(unlock_slow *) original;
  if (!original) original = (unlock_slow *)dlsym(RTLD_NEXT, UNLOCK_SLOW);
  if (__tsan_release) __tsan_release(word);
  original(word);
}

#pragma once
// Calls that Swift cannot make itself: glibc declares them variadic, or in a header that Swift's Glibc leaves out.
#include <linux/falloc.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Takes room on the disk for a file's first bytes; its length stays. 0, or -1 with errno. glibc has this for 64-bit
/// systems as `fallocate`, which it declares for GNU sources only.
static inline int fovea_reserve(int descriptor, long byteCount) {
  return (int)syscall(SYS_fallocate, descriptor, FALLOC_FL_KEEP_SIZE, 0L, byteCount);
}

/// Asks the kernel to send `signal` to this process when the thread that started it ends. 0, or -1 with errno.
static inline int fovea_signal_at_parent_death(int signal) { return prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0); }

/// Gives free memory of the allocator back to the system.
static inline void fovea_release_free_memory(void) { malloc_trim(0); }

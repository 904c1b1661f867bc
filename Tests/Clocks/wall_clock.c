// A wall clock that somebody sets: loaded into a process (LD_PRELOAD), it moves CLOCK_REALTIME by the seconds that the
// file named by FOVEA_WALL_CLOCK holds at that moment. Every other clock, and the kernel's timers, stay true, as on a
// machine whose clock is set by hand or by NTP. (Debian's libfaketime moves the deadlines of monotonic timers too,
// which no such jump does.)
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long offset(void) {
  const char *path = getenv("FOVEA_WALL_CLOCK");
  int before = errno;
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  char text[32] = "";
  if (file >= 0) {
    if (read(file, text, sizeof text - 1) < 0) text[0] = 0;
    close(file);
  }
  errno = before;
  return atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  int status = (int)syscall(SYS_clock_gettime, clock, now);
  if (status == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset();
  return status;
}

time_t time(time_t *result) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (result) *result = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec fine;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &fine);
  now->tv_sec = fine.tv_sec;
  now->tv_usec = fine.tv_nsec / 1000;
  return 0;
}

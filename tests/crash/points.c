// Preloaded into the server by tests/crash/run: ends it with SIGKILL, or fails its writes, at a chosen point
// of the store's work. What to do is in a file that both map (CRASH_POINTS names it; points.py has the other
// side).
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum Point { kNone, kWrite, kWritten, kCommitted, kAcknowledge };

struct Control {
  atomic_int point;      // where
  atomic_int countdown;  // how often it is passed before
  atomic_int failures;   // 0: the process dies there; else so many calls fail from there on
};

static struct Control* control;

__attribute__((constructor)) static void open_control(void) {
  const char* path = getenv("CRASH_POINTS");
  if (path == NULL) return;
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) abort();
  void* memory = mmap(NULL, sizeof(struct Control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) abort();
  close(fd);
  control = memory;
}

// 1 if the call that is made there has to fail.
static int reach(int point) {
  if (control == NULL || atomic_load(&control->point) != point) return 0;
  if (atomic_fetch_sub(&control->countdown, 1) > 1) return 0;
  if (atomic_load(&control->failures) == 0) kill(getpid(), SIGKILL);
  if (atomic_fetch_sub(&control->failures, 1) > 1) return 1;
  atomic_store(&control->point, kNone);  // this is the last
  return 1;
}

static ssize_t write_at(const char* name, int fd, const void* bytes, size_t size, off_t offset) {
  ssize_t (*real)(int, const void*, size_t, off_t) = dlsym(RTLD_NEXT, name);
  if (reach(kWrite)) {
    errno = ENOSPC;
    return -1;
  }
  return real(fd, bytes, size, offset);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
  return write_at("pwrite", fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void* bytes, size_t size, off_t offset) {
  return write_at("pwrite64", fd, bytes, size, offset);
}

static int synchronize(const char* name, int fd) {
  int (*real)(int) = dlsym(RTLD_NEXT, name);
  if (reach(kWritten)) {
    errno = EIO;
    return -1;
  }
  const int result = real(fd);
  reach(kCommitted);
  return result;
}

int fsync(int fd) { return synchronize("fsync", fd); }
int fdatasync(int fd) { return synchronize("fdatasync", fd); }

ssize_t send(int fd, const void* bytes, size_t size, int flags) {
  static const char kAnswer[] = "<a xmlns='urn:xmpp:sm:3'";
  static ssize_t (*real)(int, const void*, size_t, int);
  if (real == NULL) real = dlsym(RTLD_NEXT, "send");
  if (control != NULL && atomic_load(&control->point) == kAcknowledge &&
      memmem(bytes, size, kAnswer, sizeof kAnswer - 1) != NULL)
    reach(kAcknowledge);
  return real(fd, bytes, size, flags);
}

#pragma once
// The system calls of one connected socket, and OpenSSL's view of it. Not for use outside this room.
#include <cstddef>
#include <string_view>

#include <sys/types.h>

struct bio_st;

namespace starling::net {

struct Socket {
  int fd = -1;
  // Set while a level-triggered watcher tells when more has come: a short read then means that the socket is
  // empty, and the next one answers "would block" without asking the kernel.
  bool watched = false;
  bool drained = false;
  bool ended = false;  // the peer's FIN was read
  int error = 0;       // errno of the last call that failed for good

  // As recv(2) and send(2): -1 with errno, EINTR handled; never SIGPIPE.
  ssize_t receive(char* into, std::size_t size);
  ssize_t send(const char* bytes, std::size_t size);
};

// The kernel's reason, of static storage.
std::string_view socket_error(int error);

// A BIO over `socket`, which outlives it. nullptr when memory is out.
bio_st* make_bio(Socket& socket);

}  // namespace starling::net

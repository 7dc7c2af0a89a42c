#include "net/socket.h"

#include <cerrno>

#include <openssl/bio.h>
#include <sys/socket.h>

namespace starling::net {
namespace {

bool transient(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

Socket& socket_of(BIO* bio) { return *static_cast<Socket*>(BIO_get_data(bio)); }

int bio_read(BIO* bio, char* into, std::size_t size, std::size_t* taken) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = socket_of(bio).receive(into, size);
  *taken = got > 0 ? static_cast<std::size_t>(got) : 0;
  if (got < 0 && transient(errno)) BIO_set_retry_read(bio);
  return got > 0 ? 1 : 0;
}

int bio_write(BIO* bio, const char* bytes, std::size_t size, std::size_t* taken) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent = socket_of(bio).send(bytes, size);
  *taken = sent > 0 ? static_cast<std::size_t>(sent) : 0;
  if (sent < 0 && transient(errno)) BIO_set_retry_write(bio);
  return sent > 0 ? 1 : 0;
}

long bio_control(BIO* bio, int command, long, void*) {
  switch (command) {
    case BIO_CTRL_FLUSH:
      return 1;
    case BIO_CTRL_EOF:
      return socket_of(bio).ended ? 1 : 0;
    default:
      return 0;
  }
}

int bio_create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL; this one cannot raise SIGPIPE.
const BIO_METHOD* method() {
  static const BIO_METHOD* const instance = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without signals");
    if (made != nullptr) {
      BIO_meth_set_read_ex(made, bio_read);
      BIO_meth_set_write_ex(made, bio_write);
      BIO_meth_set_ctrl(made, bio_control);
      BIO_meth_set_create(made, bio_create);
    }
    return made;
  }();
  return instance;
}

}  // namespace

ssize_t Socket::receive(char* into, std::size_t size) {
  if (drained) {
    errno = EAGAIN;
    return -1;
  }
  ssize_t got = 0;
  do got = ::recv(fd, into, size, 0);
  while (got < 0 && errno == EINTR);
  if (got == 0 && size > 0) ended = true;
  if (got < 0 && !transient(errno)) error = errno;
  drained = watched && (got < 0 || (got > 0 && static_cast<std::size_t>(got) < size));
  return got;
}

ssize_t Socket::send(const char* bytes, std::size_t size) {
  ssize_t sent = 0;
  do sent = ::send(fd, bytes, size, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0 && !transient(errno)) error = errno;
  return sent;
}

std::string_view socket_error(int error) {
  switch (error) {
    case ECONNRESET:
      return "connection reset by the peer";
    case EPIPE:
      return "the connection is closed";
    case ETIMEDOUT:
      return "the connection timed out";
    case ECONNREFUSED:
      return "connection refused";
    case EHOSTUNREACH:
    case ENETUNREACH:
      return "the peer cannot be reached";
    case ENOBUFS:
    case ENOMEM:
      return "the kernel is out of memory for sockets";
    default:
      return "the socket failed";
  }
}

bio_st* make_bio(Socket& socket) {
  if (method() == nullptr) return nullptr;
  BIO* const bio = BIO_new(method());
  if (bio != nullptr) BIO_set_data(bio, &socket);
  return bio;
}

}  // namespace starling::net

#pragma once
// The admin interface on a Unix socket in the data directory, mode 0600: whoever can open it is the operator.
// One JSON object a line: {"command":"user.add","params":{...}} is answered by {"result":...} or
// {"error":{"code","message"}}, in order. Lives on one reactor's thread.
#include <memory>
#include <string>

#include "base/error.h"
#include "net/reactor.h"
#include "server/admin.h"

namespace starling::server {

inline constexpr std::size_t kControlLineBytes = 65536;  // of a request; a longer one closes the connection
inline constexpr std::size_t kControlClients = 64;

class ControlSocket {
 public:
  // Replaces a socket that a dead server left; the caller holds the directory's lock.
  static Result<std::unique_ptr<ControlSocket>> listen(net::Reactor& reactor, Admin& admin, std::string path);
  ~ControlSocket();  // closes every connection and removes the file

 private:
  struct State;
  explicit ControlSocket(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A connected Unix socket, or an error: not_found when nobody listens at `path`. Blocking; the caller closes
// it.
Result<int> connect_control_socket(const std::string& path);

}  // namespace starling::server

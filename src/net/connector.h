#pragma once
// From targets to a connection: looks up both families of a target's addresses at once and races connections
// to them (RFC 8305, "happy eyeballs"), target by target in their order.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "net/finder.h"
#include "net/resolver.h"
#include "net/tcp.h"

namespace starling::net {

struct Connected {
  std::unique_ptr<TcpStream> stream;  // not attached yet
  Target target;
  Endpoint endpoint;
};

// On the Reactor's thread; the Reactor and the Resolver outlive it, and it outlives the Task of next(), which
// runs one at a time. Destroying either closes everything that is in flight.
class Connector {
 public:
  // `attempt_timeout` is for one connection to one address.
  Connector(Reactor& loop, Resolver& resolver, std::vector<Target> targets, Observer observer,
            Milliseconds attempt_timeout = Milliseconds{10'000});

  // The next target that takes a connection; called again when that one turned out to be useless. After the
  // last: Errc::unavailable, and the message names everything that was tried since a connection was made.
  Task<Result<Connected>> next();
  [[nodiscard]] bool exhausted() const { return position_ == targets_.size(); }

 private:
  Reactor& loop_;
  Resolver& resolver_;
  std::vector<Target> targets_;
  Observer observer_;
  Milliseconds attempt_timeout_;
  std::size_t position_ = 0;
  std::vector<std::string> failures_;
};

}  // namespace starling::net

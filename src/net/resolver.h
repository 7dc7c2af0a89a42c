#pragma once
// DNS lookups that hold up nobody: libunbound works on a thread of its own, and its answers come through the
// Reactor. It forwards to the system's name servers and keeps their answers for as long as they say.
//
// Everything here is for the Reactor's thread, and lookups are awaited inside of its turns. The Reactor
// outlives the Resolver; a Resolver that is destroyed first ends what still waits with Errc::unavailable. A
// Task that is destroyed while it waits takes its query with it.
//
// Gaps: answers are not validated by DNSSEC and their status is not told; addresses keep the order that the
// name servers gave them (no RFC 6724); the settings of the system are read once, so a program that follows
// a machine from network to network makes a new Resolver; search domains are not used.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "net/reactor.h"

namespace starling::net {

// RFC 2782. Targets are without the final dot; "." stays ".".
struct SrvRecord {
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
  std::uint16_t port = 0;
  std::string target;
  bool operator==(const SrvRecord&) const = default;
};

enum class Family { ipv4, ipv6 };

class Resolver {
 public:
  struct Options {
    std::string server;      // "127.0.0.1:5353" or "127.0.0.1": ask only this one; empty: /etc/resolv.conf
    bool hosts_file = true;  // /etc/hosts goes before the name servers
    Milliseconds timeout{5000};  // of one lookup
  };

  // Errc::invalid: the server is no address; io: the library cannot be set up.
  static Result<std::unique_ptr<Resolver>> make(Reactor& loop, Options options);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Names are ASCII (A-labels), a final dot is allowed. Errc::not_found: the name has no such records;
  // unavailable: the lookup failed or took too long, and the message says why; invalid: this is no name.
  Task<Result<std::vector<SrvRecord>>> srv(std::string name);  // as the server ordered them
  // As texts. An IP address (also "[::1]") answers itself; localhost and the names below it are loopback (RFC
  // 6761 6.3).
  Task<Result<std::vector<std::string>>> addresses(std::string name, Family family);

 private:
  struct State;
  explicit Resolver(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace starling::net

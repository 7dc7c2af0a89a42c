#pragma once
// A real name server for tests: Debian's `unbound` on a free port of 127.0.0.1, with the records it is given.
// It knows nothing else (every other name is NXDOMAIN) and asks nobody.
#include <cstdint>
#include <string>
#include <vector>

#include <sys/types.h>

#include "support/temporary_directory.h"

namespace starling {

class DnsServer {
 public:
  struct Zones {
    std::vector<std::string> records;  // "example.org. IN A 127.0.0.1", as in a zone file
    std::vector<std::string> silent;   // queries for these names and all below them are not answered
    std::vector<std::string> refused;  // ... are answered with REFUSED
  };

  // Returns when it answers; throws std::runtime_error with its last words when it does not start.
  explicit DnsServer(const Zones& zones);
  ~DnsServer();  // ends it
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  [[nodiscard]] std::string address() const;  // "127.0.0.1:PORT"

 private:
  bool try_port(std::string& words);
  void stop();
  TemporaryDirectory directory_;
  std::string configuration_;
  std::uint16_t port_ = 0;
  pid_t process_ = -1;
  int log_ = -1;  // its log: open, since it does not survive a broken one
};

}  // namespace starling

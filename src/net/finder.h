#pragma once
// Where a domain's service is to be found: RFC 6120 3.2 (SRV, then the domain itself), RFC 2782 (the order of
// records), XEP-0368 (direct TLS and STARTTLS records are one set).
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "net/resolver.h"
#include "net/service.h"

namespace starling::net {

struct Target {
  std::string host;  // a name or an IP address
  std::uint16_t port = 0;
  bool direct_tls = false;
  // XEP-0487 2.1: sent as SNI instead of the domain, and a name that the certificate may prove instead of it;
  // empty but for what host-meta told.
  std::string tls_name;
  bool operator==(const Target&) const = default;
};

// Told what is being done, for a log that a person reads: "Querying example.org for AAAA records.",
// "Connecting to 127.0.1.1:5222". A lookup that failed says `dns_failed`: nobody knows what there is. May be
// empty.
enum class Step { dns, dns_failed, connecting, warning };
using Observer = std::function<void(Step, std::string_view line)>;

// A target as its record ranks it (RFC 2782, XEP-0487 2.1).
struct Candidate {
  Target target;
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
};

// A number from 0 to `highest`, that included, all equally likely.
using Random = std::function<std::uint64_t(std::uint64_t highest)>;
std::uint64_t random_number(std::uint64_t highest);

// The order in which to try them (RFC 2782): by priority, and within one by lot, weighted.
std::vector<Target> order(std::vector<Candidate> candidates, const Random& random = random_number);

// The targets of `domain` (ASCII form, or an IP address), best first: at least one. Without SRV records, or
// when they cannot be looked up (a warning to the observer), it is the domain with the service's own port;
// for an IP address or localhost nothing is asked. Errc::not_found: the domain says that it has no such
// service. The resolver outlives the Task.
Task<Result<std::vector<Target>>> find_targets(Resolver& resolver, std::string domain, Service service,
                                               Observer observer);

}  // namespace starling::net

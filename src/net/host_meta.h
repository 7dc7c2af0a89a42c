#pragma once
// What a domain's host-meta document tells of ways to its service (XEP-0156 over RFC 6415, XEP-0487): the
// last resort, for when everything that DNS told has failed (XEP-0156 2.2). It is fetched over HTTPS only,
// with the domain's certificate checked.
//
// Gaps: "ttl" (nothing is kept), "public-key-pins-sha-256", "ech", QUIC and WebSocket between servers.
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "net/finder.h"
#include "net/resolver.h"
#include "net/service.h"
#include "net/worker_pool.h"

namespace starling::net {

struct HostMeta {
  std::vector<Target> targets;         // direct TLS, best first, to IP addresses (XEP-0487)
  std::vector<std::string> websocket;  // "wss://..." (RFC 7395)
  std::vector<std::string> bosh;       // "https://..." (XEP-0206)
  bool operator==(const HostMeta&) const = default;
  [[nodiscard]] bool empty() const { return targets.empty() && websocket.empty() && bosh.empty(); }
};

// The links of a document: relation and URL.
using Links = std::vector<std::pair<std::string, std::string>>;
// Reads the XML form, which this room does not know: payload::read_xrd. Any thread.
using ReadXrd = Result<Links> (*)(std::string_view text);

struct HostMetaOptions {
  std::string ca_file;         // trusted beside the system's
  std::string connect_to;      // "127.0.0.1:8443": ask there instead of the domain's port 443, for tests
  Milliseconds timeout{5000};  // for all of it
};

// Asks for host-meta.json, then for the XML form. Errc::not_found: there is none, or nothing of XMPP in it,
// or the name cannot have one (an address, localhost, a single label); unavailable: it could not be fetched;
// invalid: it cannot be read. The resolver and the pool outlive the Task; destroying the Task ends the fetch
// at once.
Task<Result<HostMeta>> host_meta(Resolver& resolver, WorkerPool& pool, std::string domain, Service service,
                                 ReadXrd read_xrd, HostMetaOptions options = {});

// The two forms, from their texts. What is malformed in a link costs that link.
Result<HostMeta> read_host_meta_json(std::string_view text, Service service);
HostMeta from_links(const Links& links);  // for clients: the XML form has nothing for servers

}  // namespace starling::net

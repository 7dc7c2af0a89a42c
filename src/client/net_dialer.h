#pragma once
// The Dialer of real connections: DNS, then TCP, and host-meta when all that DNS told has failed. Internal to
// this room.
#include "client/core.h"
#include "net/reactor.h"

namespace starling::client {

// `host`: "host:port", past DNS records; a host alone: what DNS says of that one (RFC 6120 4.9.3.19); empty:
// of the domain of options.jid, and what its host-meta says. `options` outlives it. `host_meta_at` is for
// tests: HostMetaOptions::connect_to.
Result<std::unique_ptr<Dialer>> make_net_dialer(net::Reactor& reactor, const Options& options,
                                                std::string host, Tracer trace,
                                                std::string host_meta_at = {});

}  // namespace starling::client

#pragma once
// The Dialer of real connections: DNS, then TCP. Internal to this room.
#include "client/core.h"
#include "net/reactor.h"

namespace starling::client {

// `host`: "host:port", past DNS records; empty: what DNS says of the domain of options.jid. `options`
// outlives it.
Result<std::unique_ptr<Dialer>> make_net_dialer(net::Reactor& reactor, const Options& options,
                                                std::string host, Tracer trace);

}  // namespace starling::client

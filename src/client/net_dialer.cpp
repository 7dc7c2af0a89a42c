#include "client/net_dialer.h"

#include <optional>

#include "net/connector.h"
#include "net/finder.h"
#include "net/host_meta.h"
#include "net/resolver.h"
#include "net/worker_pool.h"
#include "payload/xrd.h"

namespace starling::client {
namespace {

// Where to look: a domain (A-labels), or past its DNS records.
struct Place {
  std::string domain;
  std::optional<net::Target> target{};
};

class NetDialer final : public Dialer {
 public:
  // `host_meta`: how it is asked for, if it is.
  NetDialer(net::Reactor& reactor, std::unique_ptr<net::Resolver> resolver, Place place,
            std::optional<net::HostMetaOptions> host_meta, net::Observer observer)
      : reactor_(reactor),
        resolver_(std::move(resolver)),
        place_(std::move(place)),
        host_meta_(std::move(host_meta)),
        observer_([this, tell = std::move(observer)](net::Step step, std::string_view line) {
          dns_failed_ = dns_failed_ || step == net::Step::dns_failed;
          tell(step, line);
        }) {}

  Task<Result<Dialled>> next() override {
    if (!connector_) {
      std::vector<net::Target> targets;
      if (place_.target) {
        targets.push_back(*place_.target);
      } else {
        auto found = co_await net::find_targets(*resolver_, place_.domain, net::Service::client, observer_);
        if (!found) co_return std::unexpected(std::move(found.error()));
        targets = *std::move(found);
      }
      connector_.emplace(reactor_, *resolver_, std::move(targets), observer_);
    }
    auto connected = co_await connector_->next();
    // The last resort (XEP-0156 2.2), once; without name servers nobody finds a web server either.
    if (!connected && host_meta_ && !pool_ && !dns_failed_) {
      pool_.emplace(1, 1);
      observer_(net::Step::dns, "Asking host-meta of " + place_.domain + ".");
      const auto meta = co_await net::host_meta(*resolver_, *pool_, place_.domain, net::Service::client,
                                                payload::read_xrd, *host_meta_);
      if (meta && !meta->targets.empty()) {
        connector_.emplace(reactor_, *resolver_, meta->targets, observer_);
        connected = co_await connector_->next();
      } else if (!meta && meta.error().code != Errc::not_found) {
        observer_(net::Step::warning, meta.error().message);
      }
    }
    if (!connected) co_return std::unexpected(std::move(connected.error()));
    co_return Dialled{std::move(connected->stream), connected->target.direct_tls, connected->target.tls_name};
  }

 private:
  net::Reactor& reactor_;
  std::unique_ptr<net::Resolver> resolver_;
  Place place_;
  std::optional<net::HostMetaOptions> host_meta_;
  bool dns_failed_ = false;
  net::Observer observer_;
  std::optional<net::WorkerPool> pool_;  // for host-meta, once it was asked for
  std::optional<net::Connector> connector_;
};

Trace kind_of(net::Step step) {
  switch (step) {
    case net::Step::dns_failed:
    case net::Step::warning:
      return Trace::warning;
    case net::Step::dns:
      return Trace::dns;
    case net::Step::connecting:
      break;
  }
  return Trace::info;
}

Result<Place> parse_place(const std::string& host, const Options& options) {
  if (const auto endpoint = net::Endpoint::parse(host))
    return Place{.domain = endpoint->host,
                 .target = net::Target{.host = endpoint->host,
                                       .port = endpoint->port,
                                       .direct_tls = options.direct_tls,
                                       .tls_name = {}}};
  const auto domain = host.empty() ? Result<std::string>(options.jid.domain()) : prepare_domain(host);
  if (!domain) return fail(Errc::invalid, fmt::format("'{}' is no host:port and no host", host));
  auto ascii = domain_to_ascii(*domain);
  if (!ascii) return std::unexpected(std::move(ascii.error()));
  return Place{.domain = *std::move(ascii)};
}

}  // namespace

Result<std::unique_ptr<Dialer>> make_net_dialer(net::Reactor& reactor, const Options& options,
                                                std::string host, Tracer trace, std::string host_meta_at) {
  auto resolver = net::Resolver::make(reactor, {.server = options.dns_server});
  if (!resolver) return std::unexpected(resolver.error());
  auto place = parse_place(host, options);
  if (!place) return std::unexpected(place.error());
  std::optional<net::HostMetaOptions> host_meta;
  if (host.empty())
    host_meta = net::HostMetaOptions{.ca_file = options.ca_file, .connect_to = std::move(host_meta_at)};
  auto observer = [trace = std::move(trace)](net::Step step, std::string_view line) {
    trace(kind_of(step), line);
  };
  return std::make_unique<NetDialer>(reactor, *std::move(resolver), *std::move(place), std::move(host_meta),
                                     std::move(observer));
}

}  // namespace starling::client

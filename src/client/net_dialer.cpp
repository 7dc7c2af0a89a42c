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

constexpr std::uint16_t kPort = 5222, kDirectTlsPort = 5223;

class NetDialer final : public Dialer {
 public:
  NetDialer(net::Reactor& reactor, std::unique_ptr<net::Resolver> resolver, std::string domain,
            std::optional<net::Target> target, std::string ca_file, net::Observer observer)
      : reactor_(reactor),
        resolver_(std::move(resolver)),
        domain_(std::move(domain)),
        target_(std::move(target)),
        ca_file_(std::move(ca_file)),
        observer_([this, tell = std::move(observer)](net::Step step, std::string_view line) {
          dns_failed_ = dns_failed_ || step == net::Step::warning;
          tell(step, line);
        }) {}

  Task<Result<Dialled>> next() override {
    if (!connector_) {
      std::vector<net::Target> targets;
      if (target_) {
        targets.push_back(*target_);
      } else {
        auto found = co_await net::find_targets(*resolver_, domain_, net::Service::client, observer_);
        if (!found) co_return std::unexpected(std::move(found.error()));
        targets = *std::move(found);
      }
      connector_.emplace(reactor_, *resolver_, std::move(targets), observer_);
    }
    auto connected = co_await connector_->next();
    // The last resort (XEP-0156 2.2), once; without name servers nobody finds a web server either.
    if (!connected && !target_ && !pool_ && !dns_failed_) {
      pool_.emplace(1, 1);
      observer_(net::Step::dns, "Asking host-meta of " + domain_ + ".");
      const auto meta = co_await net::host_meta(*resolver_, *pool_, domain_, net::Service::client,
                                                payload::read_xrd, {.ca_file = ca_file_});
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
  std::string domain_;                 // A-labels
  std::optional<net::Target> target_;  // past DNS records
  std::string ca_file_;
  bool dns_failed_ = false;
  net::Observer observer_;
  std::optional<net::WorkerPool> pool_;  // for host-meta, once it was asked for
  std::optional<net::Connector> connector_;
};

Trace kind_of(net::Step step) {
  switch (step) {
    case net::Step::warning:
      return Trace::warning;
    case net::Step::dns:
      return Trace::dns;
    case net::Step::connecting:
      break;
  }
  return Trace::info;
}

// "host:port", or a host alone (see-other-host allows it; so does a person in a hurry).
Result<net::Target> parse_place(const std::string& place, bool direct_tls) {
  auto endpoint = net::Endpoint::parse(place);
  if (!endpoint) {
    const auto port = direct_tls ? kDirectTlsPort : kPort;
    endpoint = net::Endpoint::parse(place + ':' + std::to_string(port));
  }
  if (!endpoint) return std::unexpected(endpoint.error());
  return net::Target{.host = endpoint->host, .port = endpoint->port, .direct_tls = direct_tls};
}

}  // namespace

Result<std::unique_ptr<Dialer>> make_net_dialer(net::Reactor& reactor, const Options& options,
                                                std::string host, Tracer trace) {
  auto resolver = net::Resolver::make(reactor, {.server = options.dns_server});
  if (!resolver) return std::unexpected(resolver.error());
  auto domain = domain_to_ascii(options.jid.domain());
  if (!domain) return std::unexpected(domain.error());
  std::optional<net::Target> target;
  if (!host.empty()) {
    auto place = parse_place(host, options.direct_tls);
    if (!place) return std::unexpected(place.error());
    target = *std::move(place);
  }
  auto observer = [trace = std::move(trace)](net::Step step, std::string_view line) {
    trace(kind_of(step), line);
  };
  return std::make_unique<NetDialer>(reactor, *std::move(resolver), *std::move(domain), std::move(target),
                                     options.ca_file, std::move(observer));
}

}  // namespace starling::client

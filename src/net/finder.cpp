#include "net/finder.h"

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "base/running.h"
#include "net/address.h"

namespace starling::net {
namespace {

void tell(const Observer& observer, Step step, std::string_view line) {
  if (observer) observer(step, line);
}

// What the SRV records of one name come to.
struct Lookup {
  std::vector<Candidate> candidates;
  bool refused = false;  // RFC 2782: a target "." says that the service is not there
  bool failed = false;   // nobody knows whether there are records
};

Task<Lookup> look_up(Resolver& resolver, std::string name, bool direct_tls, Observer observer) {
  tell(observer, Step::dns, fmt::format("Querying {} for SRV records.", name));
  const auto records = co_await resolver.srv(name);
  Lookup lookup;
  if (!records) {
    lookup.failed = records.error().code != Errc::not_found;
    if (lookup.failed) tell(observer, Step::dns_failed, records.error().message);
    co_return lookup;
  }
  for (const SrvRecord& record : *records) {
    if (record.target == ".")
      lookup.refused = true;
    else
      lookup.candidates.push_back(
          {{record.target, record.port, direct_tls, {}}, record.priority, record.weight});
  }
  co_return lookup;
}

}  // namespace

std::uint64_t random_number(std::uint64_t highest) {
  // A lot between servers is no secret.
  thread_local std::mt19937_64 engine{std::random_device{}()};
  return std::uniform_int_distribution<std::uint64_t>(0, highest)(engine);
}

std::vector<Target> order(std::vector<Candidate> candidates, const Random& random) {
  // Those of weight 0 go before their equals, so that they have a small chance (RFC 2782).
  std::map<std::uint16_t, std::vector<Candidate>> by_priority;
  for (Candidate& candidate : candidates) {
    auto& group = by_priority[candidate.priority];
    const auto place = candidate.weight != 0
                           ? group.end()
                           : std::ranges::find_if(group, [](const Candidate& c) { return c.weight != 0; });
    group.insert(place, std::move(candidate));
  }
  std::vector<Target> ordered;
  for (auto& [priority, group] : by_priority) {
    while (!group.empty()) {
      std::uint64_t sum = 0;
      for (const Candidate& candidate : group) sum += candidate.weight;
      const std::uint64_t drawn = random(sum);
      std::uint64_t running = 0;
      const auto chosen =
          std::ranges::find_if(group, [&](const Candidate& c) { return (running += c.weight) >= drawn; });
      ordered.push_back(std::move(chosen->target));
      group.erase(chosen);
    }
  }
  return ordered;
}

Task<Result<std::vector<Target>>> find_targets(Resolver& resolver, std::string domain, Service service,
                                               Observer observer) {
  const std::vector<Target> itself{{domain, default_port(service), false, {}}};
  if (ip_literal(domain) || is_local_name(domain)) co_return itself;

  const auto name = [&](std::string_view label) { return fmt::format("_{}._tcp.{}", label, domain); };
  auto running_direct = start(look_up(resolver, name(direct_service_name(service)), true, observer));
  auto running_plain = start(look_up(resolver, name(service_name(service)), false, observer));
  Lookup direct = co_await running_direct;
  Lookup plain = co_await running_plain;

  std::vector<Candidate> all = std::move(direct.candidates);
  std::ranges::move(plain.candidates, std::back_inserter(all));
  if (!all.empty()) co_return order(std::move(all));
  // One of the two says that there is nothing, so the domain has SRV records, and it itself is not to be
  // tried (RFC 6120 3.2.1, XEP-0368 5).
  if (direct.refused || plain.refused) {
    if (!plain.refused && plain.failed)
      co_return fail(Errc::unavailable,
                     fmt::format("{} has no direct TLS, and whether it has {} cannot be found out", domain,
                                 service_name(service)));
    co_return fail(Errc::not_found, fmt::format("{} offers no XMPP service for {}s: so its SRV records say",
                                                domain, service == Service::client ? "client" : "server"));
  }
  if (direct.failed || plain.failed)
    tell(observer, Step::warning,
         fmt::format("The SRV lookup failed; trying {} itself, port {}.", domain, default_port(service)));
  co_return itself;
}

}  // namespace starling::net

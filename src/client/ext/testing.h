#pragma once
// For the tests of extensions: two clients whose stanzas to each other are carried across, and shorthands for
// one that talks to a server that the test plays.
#include <string>
#include <string_view>
#include <utility>

#include "client/testing.h"

namespace starling::client {

inline Jid jid(std::string_view text) { return Jid::parse(text).value(); }

// What the client has sent since, and forgets it.
inline std::vector<std::string> sent(Bench& bench) {
  return std::exchange(bench.servers.back()->stanzas, {});
}

inline std::string attribute_of(std::string_view xml, std::string_view name) {
  const auto start = fmt::format(" {}='", name);
  const auto from = xml.find(start);
  if (from == std::string_view::npos) return {};
  const auto rest = xml.substr(from + start.size());
  return std::string(rest.substr(0, rest.find('\'')));
}

// Answers the request that the client has sent.
inline void answer(Bench& bench, std::string_view request, std::string_view type,
                   std::string_view payload = {}) {
  bench.server_sends(fmt::format("<iq type='{}' from='{}' id='{}'>{}</iq>", type, attribute_of(request, "to"),
                                 attribute_of(request, "id"), payload));
}
inline std::string error_xml(std::string_view type, std::string_view condition) {
  return fmt::format("<error type='{}'><{} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>", type,
                     condition);
}

// What the client answers to a request of `from`.
inline std::string ask(Bench& bench, std::string_view from, std::string_view type, std::string_view payload) {
  sent(bench);
  bench.server_sends(fmt::format("<iq type='{}' from='{}' to='{}' id='asked'>{}</iq>", type, from,
                                 bench.client->jid().text(), payload));
  for (const auto& stanza : bench.servers.back()->stanzas)
    if (attribute_of(stanza, "id") == "asked") return stanza;
  return {};
}

// alice@example.org/balcony and bob@example.org/orchard.
struct Pair {
  Bench alice, bob{of("bob@example.org/orchard")};

  void log_in() {
    alice.log_in();
    bob.log_in();
  }
  // Until neither has anything to say. `stanzas` counts what was carried.
  void settle() {
    while (carry(alice, bob) || carry(bob, alice)) {
    }
  }
  std::size_t stanzas = 0;
  std::vector<std::string> carried;  // the last ones, if kept
  bool keep = false;

 private:
  static Options of(std::string_view address) {
    Options options;
    options.jid = jid(address);
    return options;
  }
  bool carry(Bench& from, Bench& to) {
    const auto stanzas_of = sent(from);
    for (const auto& stanza : stanzas_of) {
      if (attribute_of(stanza, "to") != to.client->jid().text()) continue;
      ++stanzas;
      if (keep) carried.push_back(stanza);
      auto across = stanza;
      across.insert(across.find_first_of(" >"), fmt::format(" from='{}'", from.client->jid().text()));
      to.server_sends(across);
    }
    return !stanzas_of.empty();
  }
};

}  // namespace starling::client

#include "client/ext/caps.h"

#include "base/crypto.h"
#include "xml/namespaces.h"

namespace starling::client {
namespace {

constexpr std::size_t kMostAnnounced = 5000, kMostProved = 1000;
constexpr std::size_t kLongestText = 1024;         // bytes of each attribute
constexpr std::size_t kLargestRemembered = 16384;  // bytes of what is hashed

std::optional<crypto::Hash> parse_hash(std::string_view name) {  // the IANA's names
  if (name == "sha-1") return crypto::Hash::sha1;
  if (name == "sha-256") return crypto::Hash::sha256;
  if (name == "sha-512") return crypto::Hash::sha512;
  return std::nullopt;
}

// Whether it is what the hash stands for; `key` as of Announced.
bool proves(const Disco::Answer& answer, std::string_view key) {
  const auto space = key.find(' ');
  const auto hash = parse_hash(key.substr(0, space));
  return answer.well_formed && hash &&
         crypto::base64_encode(crypto::digest(*hash, payload::caps_string(answer.info))) ==
             key.substr(space + 1);
}

}  // namespace

Caps::Caps(Client& client)
    : client_(client), disco_(client.use<Disco>()), announced_(kMostAnnounced), proved_(kMostProved) {
  client.on_own_presence([this](xml::Writer& writer) {
    writer.open("c", ns::caps)
        .attribute("hash", "sha-1")
        .attribute("node", kNode)
        .attribute("ver", payload::caps_hash(disco_.own()))
        .close();
  });
  disco_.on_node([this](const Jid&, std::string_view node) -> std::optional<Disco::Node> {
    auto own = disco_.own();
    if (node != std::string(kNode) + '#' + payload::caps_hash(own)) return std::nullopt;
    return Disco::Node{std::move(own)};
  });
  client.on.session_start([this] {  // the server's own are a stream feature (6.3)
    const auto& features = client_.stream_features();
    if (!features.empty()) announced(client_.jid().to_domain(), features.root().child("c", ns::caps));
  });
  client.on.presence_available(
      [this](const Stanza& presence) { announced(presence.from(), presence.child("c", ns::caps)); });
  client.on.presence_unavailable(
      [this](const Stanza& presence) { announced_.erase(presence.from().text()); });
  client.on_session_over([this] { announced_.clear(); });
}

Extension::Info Caps::info() const {
  return {"XEP-0115",
          "Entity Capabilities",
          {ns::caps},
          "1.6.0",
          "announces our capabilities as a hash, and learns those of contacts from theirs"};
}

void Caps::announced(const Jid& who, const xml::Element* c) {
  if (c == nullptr) return;  // says nothing new (8.4)
  Announced now{std::string(c->attribute("node").value_or("")),
                std::string(c->attribute("hash").value_or("")), std::string(c->attribute("ver").value_or("")),
                nullptr};
  const auto* before = announced_.find(who.text());
  if (before != nullptr && before->key() == now.key()) return;
  disco_.forget(who);
  const bool usable = !now.hash.empty() && !now.ver.empty() && now.node.size() <= kLongestText &&
                      now.hash.size() <= kLongestText && now.ver.size() <= kLongestText;
  if (usable) {
    announced_.put(who.text(), std::move(now));
  } else {
    announced_.erase(who.text());
  }
}

const payload::DiscoInfo* Caps::known(const Jid& full) const {
  const auto* announced = announced_.find(full.text());
  if (announced == nullptr) return nullptr;
  const auto* proved = proved_.find(announced->key());
  return proved != nullptr ? proved->get() : announced->info.get();
}

Request<payload::DiscoInfo> Caps::info_of(const Jid& full) {
  const auto* announced = announced_.find(full.text());
  if (announced == nullptr) return disco_.info(full);
  Request<payload::DiscoInfo> request;
  if (const auto* info = known(full)) {
    request.resolver()(*info);
    return request;
  }
  const std::string key = announced->key();
  auto& waiting = waiting_[key];
  waiting.push_back({full, announced->node + '#' + announced->ver, request.resolver()});
  if (waiting.size() == 1) ask(key);
  return request;
}

void Caps::ask(const std::string& key) {
  const auto& first = waiting_.at(key).front();
  disco_.ask(first.whom, first.node).then([this, key](Outcome<Disco::Answer> answer) {
    answered(key, std::move(answer));
  });
}

void Caps::answered(const std::string& key, Outcome<Disco::Answer> outcome) {
  const bool proved = outcome && proves(*outcome, key);
  const bool over = !outcome && outcome.error().kind == RequestError::Kind::disconnected;
  std::vector<Waiting> told, others;  // another one that announces the same may do better (5.4, step 3.9)
  auto waited = waiting_.extract(key);
  for (auto& one : waited.mapped())
    (proved || over || told.empty() || one.whom == told.front().whom ? told : others)
        .push_back(std::move(one));

  Outcome<payload::DiscoInfo> result = malformed({});
  if (outcome) {
    result = std::move(outcome->info);
    remember(told.front().whom, key, *result, proved);
  } else {
    result = std::unexpected(std::move(outcome.error()));
  }
  if (!others.empty()) {
    waiting_.emplace(key, std::move(others));
    ask(key);
  }
  for (const auto& one : told) client_.guarded([&] { one.resolve(result); });
}

void Caps::remember(const Jid& whom, const std::string& key, const payload::DiscoInfo& info, bool proved) {
  if (payload::caps_string(info).size() > kLargestRemembered) return;
  auto shared = std::make_shared<const payload::DiscoInfo>(info);
  auto* announced = announced_.find(whom.text());
  if (proved) {
    proved_.put(key, std::move(shared));
  } else if (announced != nullptr && announced->key() == key) {
    announced->info = std::move(shared);
  }
}

}  // namespace starling::client

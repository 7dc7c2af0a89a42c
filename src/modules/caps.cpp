// XEP-0115 Entity Capabilities: the domain's own hash as a stream feature (6.3); clients' hashes are taken
// from their presence, asked about once, proved by computing them again (5.4), and remembered for every
// client that has the same. Nothing unproved is remembered beyond its session: a hash that does not match
// (9.3) and the format without hash (section 13), which cannot be proved, are ignored. Known gaps: a hash
// other than SHA-1 is not asked about; no caps optimisation (8.4).
#include "modules/caps.h"

#include "base/log.h"
#include "modules/host_info.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;

constexpr std::size_t kHashSize = 28;          // of SHA-1 in Base64
constexpr std::size_t kLargestAnswer = 16384;  // bytes; a thousand of them are remembered
constexpr Milliseconds kPatience{60000};

std::string question(std::string_view node, std::string_view hash) {
  std::string query;
  xml::Writer(query, ns::client)
      .open("query", ns::disco_info)
      .attribute("node", fmt::format("{}#{}", node, hash))
      .close();
  return query;
}

// The capabilities in the answer, if they are what the hash says.
Capabilities proved(const Stanza& answer, std::string_view hash) {
  const xml::Element* query = answer.payload();
  if (query == nullptr || !query->is("query", ns::disco_info) || query->bytes().size() > kLargestAnswer)
    return nullptr;
  auto info = payload::parse_disco_info(*query);
  if (!info || payload::caps_hash(*info) != hash) return nullptr;
  info->forms = {};  // nothing asks for them, and a field takes many times its bytes
  return std::make_shared<const payload::DiscoInfo>(std::move(*info));
}

}  // namespace

Capabilities CapsCache::find(std::string_view hash) {
  const auto found = by_hash_.find(hash);
  if (found == by_hash_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return found->second->second;
}

void CapsCache::insert(std::string hash, Capabilities capabilities) {
  if (find(hash) != nullptr) return;
  order_.emplace_front(std::move(hash), std::move(capabilities));
  by_hash_.emplace(order_.front().first, order_.begin());
  if (order_.size() > limit_) {
    by_hash_.erase(order_.back().first);
    order_.pop_back();
  }
}

ModuleInfo Caps::info() const {
  return {.name = "caps",
          .summary = "announces the domain's capabilities as a hash and learns those of clients",
          .specifications = {{"XEP-0115", "1.6.0"}},
          .host_features = {ns::caps},
          .account_features = {}};
}

void Caps::attach(Registry& registry) {
  context_ = &registry.context();
  own_hash_ = payload::caps_hash(host_info(context_->modules()));
  registry.stream_feature({.name = "caps",
                           .advertise =
                               [hash = own_hash_](const stream::View& view, xml::Writer& writer) {
                                 if (!view.authenticated) return;
                                 writer.open("c", ns::caps)
                                     .attribute("hash", "sha-1")
                                     .attribute("node", kCapsNode)
                                     .attribute("ver", hash)
                                     .close();
                               },
                           .claims = {}});
  registry.on_session({.bound = {},
                       .available = [this](Account&, Session& session) { presence_seen(session); },
                       .unavailable = [this](Account&, Session& session) { announced_.erase(&session); },
                       .closed = [this](Account&, Session& session) { announced_.erase(&session); }});
}

Capabilities Caps::capabilities_of(const Session& session) const {
  const auto found = announced_.find(&session);
  return found == announced_.end() ? nullptr : found->second.capabilities;
}

void Caps::presence_seen(const Session& session) {
  const xml::Element* c = session.presence()->child("c", ns::caps);
  if (c == nullptr) return;  // says nothing new (8.4)
  const std::string_view hash = c->attribute("ver").value_or("");
  if (c->attribute("hash") != "sha-1" || hash.size() != kHashSize) return;
  Announced& announced = announced_[&session];
  if (announced.hash == hash) return;
  announced = {std::string(hash), cache_.find(hash)};
  if (announced.capabilities == nullptr)
    spawn(learn(session.jid(), std::string(c->attribute("node").value_or("")), announced.hash));
}

Task<void> Caps::learn(Jid session, std::string node, std::string hash) {
  const auto answer = co_await context_->ask(session, question(node, hash), kPatience);
  if (!answer) co_return;
  Capabilities capabilities = proved(**answer, hash);
  if (capabilities == nullptr) {
    log::debug("caps jid={} hash={}: the answer does not match the hash", session.text(), hash);
    co_return;
  }
  cache_.insert(hash, capabilities);
  // The session may have gone or announced something else meanwhile.
  Account* account = context_->loaded(session.to_bare());
  const Session* asked = account != nullptr ? account->session(session.resource()) : nullptr;
  const auto found = announced_.find(asked);
  if (found != announced_.end() && found->second.hash == hash)
    found->second.capabilities = std::move(capabilities);
}

std::unique_ptr<Module> caps() { return std::make_unique<Caps>(); }

}  // namespace starling::modules

#include "server/shard.h"

#include "base/crypto.h"
#include "base/log.h"
#include "server/connection/connection.h"
#include "server/core.h"
#include "xml/namespaces.h"

namespace starling::server {
namespace {

constexpr Milliseconds kTick{5000};
// What a shard may have waiting for a store that stands still.
constexpr std::size_t kMaxUnwritten = 100000, kMaxUnwrittenBytes = std::size_t{64} << 20;
constexpr std::chrono::seconds kUnloadAfter{60};
constexpr std::size_t kScratchBytes = 65536;
constexpr std::size_t kSpareBuffers = 64, kLargestSpareBuffer = 65536;

}  // namespace

Shard::Shard(Core& core, std::size_t index, Loop& loop, Config config, const ModuleFactory& modules)
    : core_(core),
      index_(index),
      loop_(loop),
      message_ids_(core.store().ids()),
      journal_(loop, core.store()),
      scratch_(kScratchBytes),
      id_prefix_(crypto::random_id(36)) {
  setup_ = std::make_shared<Setup>(Setup{.config = config});
  modules_ = modules(config);
  for (const auto& module : modules_) module_infos_.push_back(module->info());
  register_roster();
  register_nonzas();
  for (const auto& module : modules_) module->attach(*this);
  setup_ = make_setup(std::move(config));
}

Shard::~Shard() {
  if (tick_ != 0) loop_.cancel(tick_);
  if (sent_counts_due_ != 0) loop_.cancel(sent_counts_due_);
  for (const auto& [id, asked] : asked_) loop_.cancel(asked.timer);
}

void Shard::start(std::size_t shards) {
  crossings_.resize(shards);
  tick_ = loop_.run_after(kTick, [this] { tick(); });
}

bool Shard::journal_full() const {
  return journal_.waiting() >= kMaxUnwritten || journal_.waiting_bytes() >= kMaxUnwrittenBytes;
}

storage::Store& Shard::store() { return core_.store(); }
Accounts& Shard::accounts() { return core_.accounts(); }
SteadyTime Shard::started_at() const { return core_.started_at(); }

bool Shard::serves(std::string_view domain) const {
  return std::ranges::find(setup_->config.domains, domain) != setup_->config.domains.end();
}

std::shared_ptr<const Setup> Shard::make_setup(Config config) const {
  auto setup = std::make_shared<Setup>(Setup{.config = std::move(config)});
  const Config& now = setup->config;
  stream::Settings& stream = setup->stream;
  stream.role = stream::Role::receiving;
  stream.tls = static_cast<stream::TlsPolicy>(now.tls.policy);
  stream.plain_without_tls = now.auth.plain_without_tls;
  stream.features = features_;
  stream.limits = {now.limits.stanza_bytes, now.limits.depth, now.limits.attributes, now.limits.children};
  stream.limits_before_login.element_bytes =
      std::min(stream.limits_before_login.element_bytes, now.limits.stanza_bytes);
  stream.serves = [&domains = now.domains](std::string_view domain) {
    return std::ranges::find(domains, domain) != domains.end();
  };
  return setup;
}

void Shard::reconfigure(Config config) { setup_ = make_setup(std::move(config)); }

void Shard::route(Stanza stanza) {
  const Jid to = stanza.to();
  route(Envelope{.stanza = std::make_shared<const Stanza>(std::move(stanza)), .to = to});
  // Modules call this from handlers and from their own tasks alike; the latter have nobody who drains for
  // them.
  if (!draining_) loop_.at_turn_end([this] { drain(); });
}

Account* Shard::loaded(const Jid& bare) {
  const auto found = users_.find(bare.bare());
  return found != users_.end() && found->second->loaded() && found->second->exists() ? found->second.get()
                                                                                     : nullptr;
}

User& Shard::user(const Jid& address) {
  auto found = users_.find(address.bare());
  if (found != users_.end()) {
    User& known = *found->second;
    if (!known.loaded() || known.exists() || !known.idle()) return known;
    users_.erase(found);  // there was no such account; it may have been made since
  }
  User& fresh =
      *users_.emplace(address.bare(), std::make_unique<User>(*this, address.to_bare())).first->second;
  fresh.load();
  return fresh;
}

void Shard::forget(const Jid& bare) {
  const auto found = users_.find(bare.bare());
  if (found != users_.end() && found->second->idle()) users_.erase(found);
}

Task<Result<void>> Shard::remove_account(Jid bare) {
  Completion<User*> ready;
  user(bare).when_loaded(
      [resolve = ready.resolver()](User& loaded, bool ok) { resolve.here(ok ? &loaded : nullptr); });
  User* account = co_await ready;
  if (account == nullptr) co_return fail(Errc::io, "The account's data cannot be read");
  // It stays where it is, without a record, until the store has forgotten it: nobody loads it meanwhile.
  if (!account->exists()) co_return co_await accounts().remove(bare);  // which says so
  // Out of the store first, so that whoever sees a session end cannot log in again.
  account->retire();
  co_await journal_.passed();  // what was on its way to its store goes with it
  auto removed = co_await accounts().remove(bare);
  if (removed) account->cancel_everything({StreamCondition::not_authorized, "The account was removed"});
  account->keep();
  drain();
  forget(bare);
  co_return removed;
}

void Shard::end_sessions(const Jid& bare, const Jid& except, const StreamError& why) {
  if (auto* account = static_cast<User*>(loaded(bare))) account->end_sessions(except, why);
}

std::expected<void, StanzaError> Shard::screen(const Passage& passage) const {
  for (const auto& phase : screens_)
    if (auto passed = phase(passage); !passed) return passed;
  return {};
}

Keep Shard::absent(const Account& account, const Stanza& message) const {
  for (const auto& phase : absents_)
    if (const Keep verdict = phase(account, message); verdict != Keep::no) return verdict;
  return Keep::no;
}

void Shard::stream_feature(stream::Feature feature, GuestHandler handler) {
  features_.push_back(std::move(feature));
  guest_handlers_.push_back(std::move(handler));
}

void Shard::register_roster() {
  on_slow_iq(Type::set, Target::account, Access::owner, ns::roster, "query",
             [this](IqRequest request) -> Task<IqReply> {
               co_return co_await user(request.stanza->from()).roster_set(request.stanza);
             });
  add_iq(iq_key(Type::get, Target::account, ns::roster, "query"),
         {Access::owner, {}, {}, [this](const IqRequest& request) {
            if (request.session == nullptr) {
              reply(*request.stanza, std::unexpected(StanzaError{Condition::unexpected_request}));
            } else {
              auto& session = static_cast<UserSession&>(*request.session);
              session.user().roster_get(session, *request.stanza);
            }
          }});
  stream_feature({.name = "rosterver",
                  .advertise =
                      [](const stream::View& view, xml::Writer& writer) {  // RFC 6121 2.6.1, 3.4.1
                        if (!view.authenticated) return;
                        writer.open("ver", ns::rosterver).close();
                        writer.open("sub", ns::pre_approval).close();
                      },
                  .claims = {}},
                 {});
}

void Shard::register_nonzas() {
  stream_feature(
      {.name = "sm",
       .advertise =
           [](const stream::View& view, xml::Writer& writer) {
             if (view.authenticated) writer.open("sm", ns::sm).close();
           },
       .claims = [](const stream::View&, const xml::Element& element) { return element.ns() == ns::sm; }},
      {});
  stream_feature(
      {.name = "csi",
       .advertise =
           [](const stream::View& view, xml::Writer& writer) {
             if (view.authenticated) writer.open("csi", kClientState).close();
           },
       .claims = [](const stream::View& view,
                    const xml::Element& element) { return view.bound && element.ns() == kClientState; }},
      {});
}

void Shard::adopt(std::shared_ptr<Connection> connection) { connections_.insert(std::move(connection)); }
void Shard::release(const std::shared_ptr<Connection>& connection) { connections_.erase(connection); }

void Shard::end_connections(const StreamError& why) {
  stopping_ = why;
  for (auto& [id, asked] : std::exchange(asked_, {})) {  // nobody will answer any more
    loop_.cancel(asked.timer);
    asked.resolve(std::unexpected(StanzaError{Condition::remote_server_timeout}));
  }
  const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
  for (const auto& connection : all) connection->end(why);
  flush_sent();
}

void Shard::drop_connections() {
  const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
  for (const auto& connection : all) connection->closed();
}

bool Shard::quiet() const {
  return connections_.empty() && slow_ == 0 && journal_.waiting() == 0 && outbox_.empty() && asked_.empty() &&
         std::ranges::all_of(users_, [](const auto& entry) { return entry.second->may_stop(); });
}

void Shard::tick() {
  const SteadyTime now = loop_.now();
  const std::vector<std::shared_ptr<Connection>> all(connections_.begin(), connections_.end());
  for (const auto& connection : all) connection->check_time(now);
  std::erase_if(users_, [&](const auto& entry) {
    return entry.second->idle() && now - entry.second->last_used() > kUnloadAfter;
  });
  throttle_.sweep(now);
  tick_ = loop_.run_after(kTick, [this] { tick(); });
}

std::string Shard::take_buffer() {
  if (buffers_.empty()) return {};
  std::string buffer = std::move(buffers_.back());
  buffers_.pop_back();
  return buffer;
}

void Shard::give_buffer(std::string buffer) {
  static const std::size_t none = std::string().capacity();
  if (buffer.capacity() <= none || buffer.capacity() > kLargestSpareBuffer ||
      buffers_.size() >= kSpareBuffers)
    return;
  buffer.clear();
  buffers_.push_back(std::move(buffer));
}

std::string Shard::next_id() { return fmt::format("{}-{}", id_prefix_, ++id_counter_); }

// Where a message is written is its recipient's shard: what goes there crosses at the end of this turn.
Task<bool> Shard::all_stored() {
  Completion<bool> crossed;
  loop_.post([resolve = crossed.resolver()] { resolve.here(true); });
  co_await crossed;
  for (std::size_t i = 0; i < crossings_.size(); ++i) {
    Shard& shard = core_.shard(i);
    Completion<bool> stored;
    shard.loop_.post([&shard, resolve = stored.resolver()] { spawn(shard.report_stored(resolve)); });
    if (!co_await stored) co_return false;
  }
  co_return true;
}

Task<void> Shard::report_stored(Completion<bool>::Resolver resolve) {
  const bool works = !journal_.failing();
  if (works) co_await journal_.passed();
  resolve(works);
}

ArchiveIds& Shard::archive_ids() {
  if (!archive_ids_) archive_ids_.emplace(core_.secret());  // which is there before anybody may log in
  return *archive_ids_;
}

std::int64_t Shard::wall_ms() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(loop_.wall().time_since_epoch()).count();
}

}  // namespace starling::server

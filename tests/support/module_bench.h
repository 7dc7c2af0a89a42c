#pragma once
// A shard's worth of nothing for module tests: every module attached, a virtual clock, a store in memory, and
// accounts and sessions that a test makes up. What is the server's own (routing, delivery) is not here.
#include <deque>
#include <map>
#include <stdexcept>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "modules/all.h"
#include "server/accounts.h"
#include "server/archive_ids.h"
#include "server/throttle.h"
#include "storage/memory/memory_store.h"
#include "support/virtual_loop.h"
#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling::modules {

inline Jid jid(std::string_view text) { return Jid::parse(text).value(); }

inline Stanza stanza(std::string_view text) {
  return Stanza::from(xml::parse_fragment(text, ns::client).value()).value();
}

class FakeSession final : public server::Session {
 public:
  explicit FakeSession(Jid full) : jid_(std::move(full)) {}
  [[nodiscard]] const Jid& jid() const override { return jid_; }
  [[nodiscard]] bool available() const override { return presence_ != nullptr; }
  [[nodiscard]] int priority() const override { return 0; }
  [[nodiscard]] bool interested() const override { return false; }
  [[nodiscard]] const StanzaPtr& presence() const override { return presence_; }
  [[nodiscard]] SteadyTime last_activity() const override { return {}; }
  void deliver(const server::Envelope& envelope) override { delivered.push_back(envelope); }
  void deliver_text(std::string_view xml) override { texts.emplace_back(xml); }
  void end(const StreamError& error) override { ended = error.condition; }
  [[nodiscard]] bool option(std::string_view name) const override {
    return options.contains(std::string(name));
  }
  void set_option(std::string_view name, bool on) override {
    if (on)
      options.emplace(name);
    else
      options.erase(std::string(name));
  }

  void set_presence(StanzaPtr presence) { presence_ = std::move(presence); }
  std::vector<server::Envelope> delivered;
  std::vector<std::string> texts;
  std::optional<StreamCondition> ended;
  std::set<std::string> options;

 private:
  Jid jid_;
  StanzaPtr presence_;
};

class FakeAccount final : public server::Account {
 public:
  explicit FakeAccount(Jid bare) : jid_(std::move(bare)) { stored.jid = jid_.text(); }
  [[nodiscard]] const Jid& jid() const override { return jid_; }
  [[nodiscard]] std::vector<server::Session*> sessions() const override {
    std::vector<server::Session*> all;
    for (const auto& [resource, session] : sessions_) all.push_back(session.get());
    return all;
  }
  [[nodiscard]] FakeSession* session(std::string_view resource) const override {
    const auto found = sessions_.find(resource);
    return found == sessions_.end() ? nullptr : found->second.get();
  }
  [[nodiscard]] bool trusts(const Jid& contact) const override {
    return contact.same_bare(jid_) || contact.same_bare(trusted);
  }
  [[nodiscard]] bool in_roster(const Jid& contact) const override { return contact.same_bare(trusted); }
  [[nodiscard]] std::string_view setting(std::string_view name) const override {
    const auto found = settings.find(name);
    return found == settings.end() ? std::string_view() : found->second;
  }
  void setting_changed(std::string_view name, std::string value) override {
    settings.insert_or_assign(std::string(name), std::move(value));
  }
  [[nodiscard]] const storage::Account& record() const override { return stored; }

  storage::Account stored;
  Jid trusted;
  std::map<std::string, std::string, std::less<>> settings;
  std::map<std::string, std::unique_ptr<FakeSession>, std::less<>> sessions_;

 private:
  Jid jid_;
};

class FakeGuest final : public server::Guest {
 public:
  FakeGuest(std::string domain, std::string address)
      : domain_(std::move(domain)), address_(std::move(address)) {}
  [[nodiscard]] stream::View view() const override { return {.domain = domain_}; }
  [[nodiscard]] const std::string& address() const override { return address_; }
  [[nodiscard]] std::string network() const override { return server::network_of(address_); }
  void send(std::string_view xml) override { sent += xml; }
  std::string sent;

 private:
  std::string domain_, address_;
};

class Bench : public testing::Test, public server::Context, private server::Registry {
 public:
  Bench() {
    config_.domains = {"example.org"};
    rebuild();
  }

  // Makes the modules anew, as a start with config_ does.
  void rebuild() {
    iqs_.clear(), features_.clear(), handlers_.clear(), events_.clear(), absents_.clear(), copies_.clear(),
        archives_.clear(), archived_.clear(), infos_.clear();
    modules_ = modules::all(config_);
    for (const auto& module : modules_) infos_.push_back(module->info());
    for (const auto& module : modules_) module->attach(*this);
  }

  FakeAccount& account(std::string_view bare) {
    auto& account = accounts_by_jid_[std::string(bare)];
    if (!account) account = std::make_unique<FakeAccount>(jid(bare));
    return *account;
  }
  FakeSession& session(std::string_view full) {
    const Jid address = jid(full);
    auto& session = account(address.bare()).sessions_[std::string(address.resource())];
    if (!session) session = std::make_unique<FakeSession>(address);
    return *session;
  }

  // The payload of the answer, or "condition" of the error in angle brackets with a bang: "<!not-allowed>".
  std::string iq(std::string_view type, std::string_view from, std::string_view to,
                 std::string_view payload) {
    const auto text = fmt::format("<iq type='{}' id='1' from='{}'{}>{}</iq>", type, from,
                                  to.empty() ? "" : fmt::format(" to='{}'", to), payload);
    const auto shared = std::make_shared<const Stanza>(stanza(text));
    const Jid owner = to.empty() ? shared->from().to_bare() : shared->to();
    const auto target = owner.local().empty() ? server::Target::host : server::Target::account;
    server::IqRequest request{.stanza = shared, .payload = shared->payload()};
    if (target == server::Target::account) request.account = &account(owner.bare());
    const auto found = iqs_.find(
        {shared->type(), target, std::string(request.payload->ns()), std::string(request.payload->name())});
    if (found == iqs_.end() || (found->second.access == server::Access::owner && !request.by_owner()))
      return "<!refused>";
    const auto reply = loop_.get([&]() -> Task<server::IqReply> {
      if (found->second.slow) return found->second.slow(request);
      return now(found->second.quick(request));
    });
    loop_.settle();
    return reply ? *reply : fmt::format("<!{}>", to_string(reply.error().condition));
  }
  std::string get(std::string_view from, std::string_view to, std::string_view payload) {
    return iq("get", from, to, payload);
  }
  std::string set(std::string_view from, std::string_view to, std::string_view payload) {
    return iq("set", from, to, payload);
  }

  // What stands in <stream:features/>.
  [[nodiscard]] std::string features(bool authenticated) const {
    std::string out;
    xml::Writer writer(out, ns::client);
    for (const auto& feature : features_)
      if (feature.advertise)
        feature.advertise({.domain = "example.org", .authenticated = authenticated}, writer);
    return out;
  }

  // What a client that has not logged in gets, or "<!unclaimed>".
  std::string guest(std::string_view text, std::string_view address = "192.0.2.1") {
    auto guest = std::make_shared<FakeGuest>("example.org", std::string(address));
    auto document = xml::parse_fragment(text, ns::client).value();
    for (std::size_t i = 0; i < features_.size(); ++i) {
      if (!features_[i].claims || !features_[i].claims(guest->view(), document.root())) continue;
      loop_.get([&]() -> Task<bool> { return finished(handlers_[i](guest, std::move(document))); });
      return guest->sent;
    }
    return "<!unclaimed>";
  }

  void presence(FakeSession& session, std::string_view content) {
    session.set_presence(std::make_shared<const Stanza>(
        stanza(fmt::format("<presence from='{}'>{}</presence>", session.jid().text(), content))));
    loop_.in_turn([&] {
      for (const auto& events : events_)
        if (events.available) events.available(account(session.jid().bare()), session);
    });
    loop_.settle();
  }
  void close(const FakeSession& session) {
    const Jid address = session.jid();
    for (const auto& events : events_)
      if (events.closed)
        events.closed(account(address.bare()), *account(address.bare()).session(address.resource()));
    account(address.bare()).sessions_.erase(std::string(address.resource()));
  }

  [[nodiscard]] bool kept(std::string_view message) {
    const Stanza parsed = stanza(message);
    return std::ranges::any_of(absents_, [&](const auto& phase) {
      return phase(account("juliet@example.org"), parsed) == server::Keep::yes;
    });
  }

  // Whether an account's archive keeps what it sends or is sent.
  [[nodiscard]] bool archives(std::string_view owner, std::string_view message, bool outward) {
    const Stanza parsed = stanza(message);
    return std::ranges::any_of(archives_,
                               [&](const auto& phase) { return phase(account(owner), parsed, outward); });
  }

  // Questions that were asked, and not answered yet.
  struct Asked {
    Jid to;
    std::string payload;
    Completion<std::expected<StanzaPtr, StanzaError>>::Resolver resolve;
  };
  void answer(std::string_view payload) {
    const Asked asked = std::move(asked_.front());
    asked_.pop_front();
    asked.resolve(std::make_shared<const Stanza>(
        stanza(fmt::format("<iq type='result' id='q' from='{}'>{}</iq>", asked.to.text(), payload))));
    loop_.settle();
  }

  // --- Context ---
  [[nodiscard]] const server::Config& config() const override { return config_; }
  [[nodiscard]] storage::Store& store() override { return store_; }
  [[nodiscard]] Loop& loop() override { return loop_; }
  [[nodiscard]] server::Accounts& accounts() override { return accounts_; }
  [[nodiscard]] SteadyTime started_at() const override { return started_at_; }
  [[nodiscard]] bool serves(std::string_view domain) const override { return domain == "example.org"; }
  [[nodiscard]] std::span<const server::ModuleInfo> modules() const override { return infos_; }
  void route(Stanza stanza) override { routed_.push_back(std::move(stanza)); }
  Task<std::expected<StanzaPtr, StanzaError>> ask(Jid to, std::string payload, Milliseconds) override {
    Completion<std::expected<StanzaPtr, StanzaError>> answer;
    asked_.push_back({std::move(to), std::move(payload), answer.resolver()});
    co_return co_await std::move(answer);
  }
  [[nodiscard]] server::Account* loaded(const Jid& bare) override {
    const auto found = accounts_by_jid_.find(bare.text());
    return found == accounts_by_jid_.end() ? nullptr : found->second.get();
  }
  Task<bool> all_stored() override { co_return true; }
  std::string archive_name(std::uint64_t id) override { return archive_ids_.seal(id); }
  std::optional<std::uint64_t> archive_id(std::string_view name) override { return archive_ids_.open(name); }
  Task<Result<void>> remove_account(Jid bare) override {
    removed_.push_back(bare.text());
    co_return Result<void>();
  }
  void end_sessions(const Jid& bare, const Jid& except, const StreamError& why) override {
    for (const auto& [resource, session] : account(bare.text()).sessions_)
      if (session->jid() != except) session->end(why);
  }

 protected:
  server::Config config_;
  VirtualLoop loop_;
  storage::MemoryStore store_;
  server::ArchiveIds archive_ids_{"secret"};
  net::WorkerPool pool_{0, 16};
  server::Accounts accounts_{store_, pool_};
  SteadyTime started_at_ = loop_.now();
  std::map<std::string, std::unique_ptr<FakeAccount>, std::less<>> accounts_by_jid_;
  std::deque<Asked> asked_;
  std::vector<std::string> removed_;
  std::vector<Stanza> routed_;
  std::vector<std::unique_ptr<server::Module>> modules_;

 private:
  static Task<server::IqReply> now(server::IqReply reply) { co_return reply; }
  static Task<bool> finished(Task<void> task) {
    co_await std::move(task);
    co_return true;
  }

  // --- Registry ---
  server::Context& context() override { return *this; }
  struct Handler {
    server::Access access;
    server::IqHandler quick;
    server::SlowIqHandler slow;
  };
  using Key = std::tuple<Type, server::Target, std::string, std::string>;
  void add(const Key& key, Handler handler) {
    if (!iqs_.emplace(key, std::move(handler)).second) throw std::logic_error("registered twice");
  }
  void on_iq(Type type, server::Target target, server::Access access, std::string_view ns,
             std::string_view name, server::IqHandler handler) override {
    add({type, target, std::string(ns), std::string(name)}, {access, std::move(handler), {}});
  }
  void on_slow_iq(Type type, server::Target target, server::Access access, std::string_view ns,
                  std::string_view name, server::SlowIqHandler handler) override {
    add({type, target, std::string(ns), std::string(name)}, {access, {}, std::move(handler)});
  }
  void screen(std::function<std::expected<void, StanzaError>(const server::Passage&)>) override {}
  void copy(std::function<void(const server::Copying&)> phase) override {
    copies_.push_back(std::move(phase));
  }
  void absent(std::function<server::Keep(const server::Account&, const Stanza&)> phase) override {
    absents_.push_back(std::move(phase));
  }
  void archive(std::function<bool(const server::Account&, const Stanza&, bool)> phase) override {
    archives_.push_back(std::move(phase));
  }
  void on_archived(std::function<void(const server::Archived&)> handler) override {
    archived_.push_back(std::move(handler));
  }
  void on_session(server::SessionEvents events) override { events_.push_back(std::move(events)); }
  void stream_feature(stream::Feature feature, server::GuestHandler handler) override {
    features_.push_back(std::move(feature));
    handlers_.push_back(std::move(handler));
  }

  std::vector<server::ModuleInfo> infos_;
  std::map<Key, Handler> iqs_;
  std::vector<stream::Feature> features_;
  std::vector<server::GuestHandler> handlers_;
  std::vector<server::SessionEvents> events_;
  std::vector<std::function<server::Keep(const server::Account&, const Stanza&)>> absents_;
  std::vector<std::function<bool(const server::Account&, const Stanza&, bool)>> archives_;
  std::vector<std::function<void(const server::Archived&)>> archived_;
  std::vector<std::function<void(const server::Copying&)>> copies_;
};

}  // namespace starling::modules

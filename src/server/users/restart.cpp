// Sessions that outlive the server (XEP-0198 5): what the store knows of one that may be resumed, and how it
// comes back. Its presence and what it asked for are a value of its account; what it sent and was sent are
// counters, written with the messages; the messages it was handed name it.
//
// Delivery does not wait for the disk, so a client may have more than the store knows of, or miss a reply
// that nobody can make again. Then the session is not resumed, and its client begins anew.
#include <charconv>

#include "base/log.h"
#include "server/core.h"
#include "server/shard.h"
#include "server/users/user.h"
#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling::server {
namespace {

constexpr Milliseconds kSentCountsDelay{500};
constexpr std::size_t kPage = 500;

struct StoredSession {
  std::uint64_t token = 0;
  std::string id, resource;
  std::size_t seconds = 0;
  bool interested = false;
  int priority = 0;
  StanzaPtr presence;
  std::vector<Jid> directed;
  std::vector<std::string> options;
};

template <class T>
std::optional<T> read_number(std::string_view text) {
  T value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<StoredSession> decode(const std::string& key, const std::string& value) {
  auto document = xml::parse_fragment(value, ns::client, xml::kNoLimits);
  if (!document) return std::nullopt;
  const xml::Element& element = document->root();
  const auto get = [&](std::string_view name) {
    return element.attribute(name).value_or(std::string_view());
  };
  const auto token = read_number<std::uint64_t>(key);
  const auto seconds = read_number<std::size_t>(get("seconds"));
  if (!token || !seconds) return std::nullopt;
  StoredSession session{.token = *token,
                        .id = std::string(get("id")),
                        .resource = std::string(get("resource")),
                        .seconds = *seconds,
                        .interested = get("interested") == "1",
                        .priority = read_number<int>(get("priority")).value_or(0)};
  for (const xml::Element& child : element.children()) {
    if (child.name() == "directed") {
      if (auto jid = Jid::parse(child.text())) session.directed.push_back(std::move(*jid));
    } else if (child.name() == "option") {
      session.options.emplace_back(child.text());
    } else if (auto presence = xml::parse_fragment(child.bytes(), ns::client, xml::kNoLimits)) {
      if (auto stanza = Stanza::from(std::move(*presence)))
        session.presence = std::make_shared<const Stanza>(std::move(*stanza));
    }
  }
  return session;
}

}  // namespace

// --- what is written ---

// One for a session, however often it changes before it is written.
class Remembered final : public Journal::Entry {
 public:
  Remembered(Shard& shard, std::uint64_t token) : shard_(shard), token_(token) {}
  void fill(storage::Batch& batch) override {
    UserSession* session = shard_.managed(token_);
    if (session == nullptr) return;
    session->remembering_ = false;
    batch.emplace_back(storage::PutValue{session->user().jid().text(), std::string(User::kSessionKind),
                                         std::to_string(token_), encode(*session)});
  }
  void done(std::span<const std::uint64_t> /*ids*/) override {}

 private:
  static std::string encode(const UserSession& session);
  Shard& shard_;
  std::uint64_t token_;
};

std::string Remembered::encode(const UserSession& session) {
  const Management& management = *session.management();
  std::string value;
  xml::Writer writer(value, ns::client);
  writer.open("session")
      .attribute("id", management.id())
      .attribute("resource", session.jid().resource())
      .attribute("seconds", std::to_string(management.resume_seconds()));
  if (session.interested_) writer.attribute("interested", "1");
  if (session.priority_ != 0) writer.attribute("priority", std::to_string(session.priority_));
  for (const Jid& jid : session.directed_) writer.leaf("directed", jid.text());
  for (const std::string& option : session.options_) writer.leaf("option", option);
  if (session.presence_) {
    std::string presence;
    session.presence_->write(presence);
    writer.raw(presence);
  }
  writer.close();
  return value;
}

void User::remember(UserSession& session) {
  const Management* management = session.management();
  if (management == nullptr || !management->resumable() || std::exchange(session.remembering_, true)) return;
  shard_.journal().add(std::make_shared<Remembered>(shard_, management->token()));
}

void User::forget(const UserSession& session) {
  const std::uint64_t token = session.management()->token();
  shard_.journal().write({storage::DeleteValue{jid_.text(), std::string(kSessionKind), std::to_string(token)},
                          storage::ForgetSession{token}});
}

// How much each session was sent. Whatever was sent before is in the same batch or an earlier one.
class Shard::SentCounts final : public Journal::Entry {
 public:
  explicit SentCounts(Shard& shard) : shard_(shard) {}
  // True if it has to be added to the journal.
  bool note(std::uint64_t session) {
    changed_.insert(session);
    return !std::exchange(added_, true);
  }
  void fill(storage::Batch& batch) override {
    writing_.merge(changed_);
    for (const std::uint64_t token : writing_)
      if (const UserSession* session = shard_.managed(token))
        batch.emplace_back(
            storage::Sent{token, session->management()->sent(), session->management()->lossy()});
  }
  void done(std::span<const std::uint64_t> /*ids*/) override {
    writing_.clear();
    added_ = false;
    if (changed_.empty()) return;
    added_ = true;
    shard_.journal_.add(shard_.sent_counts_);
  }

 private:
  Shard& shard_;
  std::unordered_set<std::uint64_t> changed_, writing_;
  bool added_ = false;
};

void Shard::note_sent(std::uint64_t session, bool soon) {
  if (!sent_counts_) sent_counts_ = std::make_shared<SentCounts>(*this);
  if (soon) {
    if (sent_counts_->note(session)) journal_.add(sent_counts_);
    return;
  }
  sent_later_.insert(session);
  if (sent_counts_due_ != 0) return;
  sent_counts_due_ = loop_.run_after(kSentCountsDelay, [this] { flush_sent(); });
}

void Shard::flush_sent() {
  if (sent_counts_due_ != 0) loop_.cancel(std::exchange(sent_counts_due_, 0));
  for (const std::uint64_t one : std::exchange(sent_later_, {})) note_sent(one, true);
}

// --- what comes back ---

struct User::Restored {
  UserSession* session;
  storage::SessionCounts counts;
  std::vector<std::pair<std::uint32_t, Outgoing>> untaken;
};

Task<void> User::restore(storage::Entries stored) {
  std::vector<Restored> all;
  const auto running = shard_.loop().now() - shard_.core().started_at();
  for (const auto& [key, value] : stored) {
    auto session = decode(key, value);
    auto full = session ? jid_.with_resource(session->resource) : Result<Jid>(fail(Errc::corrupt, "damaged"));
    if (!full || running >= std::chrono::seconds(session->seconds) || find(session->resource) != nullptr) {
      shard_.journal().write({storage::DeleteValue{jid_.text(), std::string(kSessionKind), key},
                              storage::ForgetSession{read_number<std::uint64_t>(key).value_or(0)}});
      continue;
    }
    auto counts = co_await shard_.store().session_counts(session->token);
    if (!counts) {
      log::error("session {} cannot be read: {}", full->text(), counts.error().message);
      continue;
    }
    auto& back = sessions_.emplace_back(std::make_unique<UserSession>(*this, std::move(*full), nullptr));
    back->manage(std::make_unique<Management>(session->token, session->id, session->seconds));
    back->interested_ = session->interested;
    back->priority_ = static_cast<std::int8_t>(session->priority);
    back->directed_ = std::move(session->directed);
    back->options_ = std::move(session->options);
    back->presence_ = std::move(session->presence);
    without_connection(*back);
    all.push_back({back.get(), counts->value_or(storage::SessionCounts()), {}});
  }
  if (!all.empty()) co_await restore_untaken(all);
  for (Restored& one : all) {
    Management& management = *one.session->management();
    std::ranges::sort(one.untaken, {}, [&](const auto& sent) { return sent.first - one.counts.lossy; });
    management.restore({one.counts.received, one.counts.beyond}, one.counts.sent, one.counts.lossy,
                       std::move(one.untaken));
    shard_.manage(*one.session);
    wait_for_client(*one.session, std::chrono::duration_cast<Milliseconds>(
                                      std::chrono::seconds(management.resume_seconds()) - running));
  }
}

// The messages that the sessions were handed are theirs still.
Task<void> User::restore_untaken(std::vector<Restored>& sessions) {
  for (std::uint64_t after = 0;;) {
    auto page = co_await shard_.store().undelivered(jid_.text(), after, kPage);
    if (!page) {
      log::error("offline messages of {} cannot be read: {}", jid_.text(), page.error().message);
      co_return;
    }
    if (page->empty()) co_return;
    after = page->back().id;
    for (const storage::ArchivedMessage& message : *page) {
      const auto owner = std::ranges::find_if(sessions, [&](const Restored& one) {
        return one.session->management()->token() == message.session;
      });
      if (owner == sessions.end()) continue;
      auto envelope = from_store(message);
      if (!envelope) continue;
      tail_out_.emplace(message.id, message.stanza.size());
      owner->untaken.emplace_back(message.number, Outgoing{std::move(*envelope), nullptr});
    }
  }
}

}  // namespace starling::server

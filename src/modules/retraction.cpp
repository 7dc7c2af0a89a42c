// XEP-0424 Message Retraction, the archive's part (section 4): a message that its sender takes back becomes a
// tombstone in the archives that have it. What the sender's client and the others do is their business.
//
// Known gaps: a message is looked for among the newest kMostLookedAt of the two parties, by the `id` that its
// sender gave it; what is older stays. Retractions in group chats and by moderators (XEP-0425) are the
// room's.
#include "base/log.h"
#include "modules/refuse.h"
#include "payload/timestamps.h"
#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling::modules {
namespace {

using namespace server;

constexpr std::string_view kRetract = "urn:xmpp:message-retract:1";
constexpr std::string_view kTombstones = "urn:xmpp:message-retract:1#tombstone";
constexpr std::size_t kPage = 100, kMostLookedAt = 2000;

struct Retraction {
  std::string account;    // in whose archive it is looked for; the other side's has the same row
  std::string with;       // bare
  std::string sender;     // bare: who may retract it (section 5)
  std::string retracted;  // the id of the message
  std::string id;         // of the retraction
  std::int64_t stamp_ms;
};

class Retractions final : public Module {
 public:
  [[nodiscard]] ModuleInfo info() const override {
    return {.name = "retraction",
            .summary = "puts tombstones in the place of retracted messages",
            .specifications = {{"XEP-0424", "0.4.2"}},
            .host_features = {},
            .account_features = {kRetract, kTombstones}};
  }

  void attach(Registry& registry) override {
    context_ = &registry.context();
    registry.on_archived([this](const Archived& archived) {
      const Stanza& message = *archived.envelope.stanza;
      const xml::Element* retract = message.child("retract", kRetract);
      const auto id = retract != nullptr ? retract->attribute("id") : std::nullopt;
      if (!id || id->empty()) return;
      const std::string sender(message.from().bare());
      const std::string& recipient = archived.recipient.text();
      spawn(bury(
          {.account = archived.for_recipient ? recipient : sender,
           .with = archived.for_recipient ? sender : recipient,
           .sender = sender,
           .retracted = std::string(*id),
           .id = std::string(message.id()),
           .stamp_ms = std::chrono::duration_cast<Milliseconds>(context_->loop().wall().time_since_epoch())
                           .count()}));
    });
  }

 private:
  Task<void> bury(Retraction retraction) {
    storage::ArchiveQuery query{
        .account = retraction.account, .with = retraction.with, .limit = kPage, .from_end = true};
    for (std::size_t looked_at = 0; looked_at < kMostLookedAt; looked_at += kPage) {
      const auto page = co_await context_->store().archive(query);
      if (!page) {
        log::error("a retraction of {} found no archive: {}", retraction.sender, page.error().message);
        co_return;
      }
      for (auto one = page->messages.rbegin(); one != page->messages.rend(); ++one) {
        auto grave = tombstone(one->stanza, retraction);
        if (!grave) continue;
        storage::Batch batch;
        batch.emplace_back(storage::ReplaceStanza{retraction.account, one->id, *std::move(grave)});
        if (auto done = co_await context_->store().commit(std::move(batch)); !done)
          log::error("a message of {} could not be retracted: {}", retraction.sender, done.error().message);
        co_return;
      }
      if (page->complete) co_return;
      query.before = page->messages.front().id;
    }
  }

  // What the stanza becomes, if it is the one.
  static std::optional<std::string> tombstone(const std::string& text, const Retraction& retraction) {
    auto document = xml::parse_fragment(text, ns::client, xml::kNoLimits);
    if (!document) return std::nullopt;
    const auto stanza = Stanza::from(*std::move(document));
    if (!stanza || stanza->id() != retraction.retracted || stanza->from().bare() != retraction.sender ||
        stanza->child("retracted", kRetract) != nullptr)
      return std::nullopt;
    std::string inner;
    xml::Writer(inner, ns::client)
        .open("retracted", kRetract)
        .attribute("id", retraction.id)
        .attribute("stamp", payload::timestamp(WallTime(Milliseconds(retraction.stamp_ms))))
        .close();
    std::string out;
    Stanza::make(Kind::message, stanza->type(), stanza->from(), stanza->to(), stanza->id(), inner).write(out);
    return out;
  }

  Context* context_ = nullptr;
};

}  // namespace

std::unique_ptr<Module> retraction() { return std::make_unique<Retractions>(); }

}  // namespace starling::modules

// XEP-0280 Message Carbons: an account's other clients get a copy of what one of them sends or is sent. Known
// gaps: errors are not copied, since they do not say what they answer, so that `urn:xmpp:carbons:rules:0`
// (6.2) is not announced.
#include "modules/refuse.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;

constexpr std::string_view kCarbons = "urn:xmpp:carbons:2";
constexpr std::string_view kForward = "urn:xmpp:forward:0";
constexpr std::string_view kStanzaIds = "urn:xmpp:sid:0";
constexpr std::string_view kMucUser = "http://jabber.org/protocol/muc#user";
constexpr std::string_view kDirectInvitation = "jabber:x:conference";
constexpr std::string_view kMarkers = "urn:xmpp:chat-markers:0";

// Section 6.1.
bool eligible(const Stanza& message, bool outward) {
  if (message.type() != Type::chat && message.type() != Type::normal) return false;
  const xml::Element& element = message.element();
  if (element.child("private", kCarbons) != nullptr || element.child("no-copy", ns::hints) != nullptr)
    return false;  // section 9
  if (const xml::Element* muc = element.child("x", kMucUser)) {
    // The room tells each client of a private message by itself; an invitation comes once.
    if (muc->child("invite", kMucUser) != nullptr) return true;
    if (!outward) return false;
  }
  return message.type() == Type::chat || element.child("body", ns::client) != nullptr ||
         element.child_in(ns::receipts) != nullptr || element.child_in(ns::chat_states) != nullptr ||
         element.child_in(kMarkers) != nullptr || element.child_in(kDirectInvitation) != nullptr;
}

// The message as it was, inside a message of the account's own (sections 7 and 8). `archived` names it in the
// account's archive (XEP-0313 3.5), if that is known.
StanzaPtr wrap(const Stanza& message, const Jid& account, std::string_view direction,
               std::string_view archived) {
  std::string added;
  if (!archived.empty())
    xml::Writer(added)
        .open("stanza-id", kStanzaIds)
        .attribute("by", account.text())
        .attribute("id", archived)
        .close();
  std::string original;
  message.write(original, message.to(), added);
  std::string inner;
  xml::Writer writer(inner, ns::client);
  writer.open(direction, kCarbons).open("forwarded", kForward);
  constexpr std::string_view kTag = "<message";
  writer.raw(
      fmt::format("{} xmlns='{}'{}", kTag, ns::client, std::string_view(original).substr(kTag.size())));
  writer.close().close();
  return std::make_shared<const Stanza>(
      Stanza::make(Kind::message, message.type(), account, account, {}, inner));
}

class Carbons final : public Module {
 public:
  [[nodiscard]] ModuleInfo info() const override {
    return {.name = "carbons",
            .summary = "copies messages to an account's other clients",
            .specifications = {{"XEP-0280", "1.0.1"}, {"XEP-0297", "1.0"}},
            .host_features = {kCarbons},
            .account_features = {kCarbons}};
  }

  void attach(Registry& registry) override {
    for (const bool on : {true, false})
      registry.on_iq(Type::set, Target::account, Access::owner, kCarbons, on ? "enable" : "disable",
                     [on](const IqRequest& request) -> IqReply {
                       if (request.session == nullptr) return refuse(Condition::not_allowed);
                       request.session->set_option(kCarbons, on);
                       return std::string();
                     });
    context_ = &registry.context();
    registry.copy([this](const Copying& copying) { copy(copying); });
  }

 private:
  void copy(const Copying& copying) {
    const Stanza& message = *copying.envelope.stanza;
    StanzaPtr carbon;
    for (Session* session : copying.account.sessions()) {
      if (!session->option(kCarbons) || std::ranges::find(copying.have_it, session) != copying.have_it.end())
        continue;
      if (!carbon) {
        if (!eligible(message, copying.outward)) return;
        const std::uint64_t id = copying.envelope.archive_id;
        carbon = wrap(message, copying.account.jid(), copying.outward ? "sent" : "received",
                      id != 0 ? context_->archive_name(id) : std::string());
      }
      session->deliver({.stanza = carbon, .to = session->jid(), .trace = copying.envelope.trace});
    }
  }

  Context* context_ = nullptr;
};

}  // namespace

std::unique_ptr<Module> carbons() { return std::make_unique<Carbons>(); }

}  // namespace starling::modules

// XEP-0077 In-Band Registration: a new account before login (3.1, with the stream feature of section 8), and
// for those who are logged in what is on file (3.1), a new password (3.3) and the end of the account (3.2).
// Registration of new accounts follows `registration`; passwords and removal are open to every account.
// Known gaps: no data forms (section 4, RECOMMENDED), so only the fields of the schema (14.1) can be
// required; no redirection (section 5); accounts per address are counted by each shard.
#include "base/log.h"
#include "modules/refuse.h"
#include "server/accounts.h"
#include "xml/namespaces.h"

namespace starling::modules {
namespace {

using namespace server;

constexpr std::string_view kKind = "registration";  // of the values: one for each extra field

std::string_view in_words(std::string_view field) {
  if (field == "email") return "email address";
  if (field == "first") return "given name";
  if (field == "last") return "family name";
  if (field == "nick") return "nickname";
  if (field == "zip") return "postal code";
  if (field == "url") return "web page";
  return field;
}

std::string instructions(const std::vector<std::string>& fields) {
  std::string text = "Choose a username and password for use with this service.";
  for (std::size_t i = 0; i < fields.size(); ++i)
    text += fmt::format("{}{}",
                        i == 0                   ? "\nPlease also provide your "
                        : i + 1 == fields.size() ? " and "
                                                 : ", ",
                        in_words(fields[i]));
  if (!fields.empty()) text += '.';
  return text;
}

// The child's text, or nothing if it is missing or empty.
std::string_view field_of(const xml::Element& query, std::string_view name) {
  const xml::Element* child = query.child(name, ns::reg);
  return child != nullptr ? child->text() : std::string_view();
}

StanzaError told(const Error& error) {
  switch (error.code) {
    case Errc::conflict:
      return {Condition::conflict, "This username is taken", {}, {}};
    case Errc::invalid:
      return {Condition::not_acceptable, error.message, {}, {}};
    case Errc::not_found:
      return {Condition::registration_required, {}, {}, {}};
    case Errc::unavailable:
      return {Condition::resource_constraint, "The server is busy, try again later", {}, {}};
    default:
      return refuse_for_now().error();
  }
}

// How many accounts an address has made within the last hour.
class AddressCount {
 public:
  // Counts one more, unless there are `most` already. What failed later is given back.
  bool take(const std::string& network, SteadyTime now, std::size_t most) {
    if (by_address_.size() >= kMostAddresses)
      std::erase_if(by_address_, [&](const auto& entry) { return now - entry.second.since >= kHour; });
    if (by_address_.size() >= kMostAddresses && !by_address_.contains(network)) return false;
    Count& count = by_address_.try_emplace(network, Count{0, now}).first->second;
    if (now - count.since >= kHour) count = {0, now};
    if (count.accounts >= most) return false;
    ++count.accounts;
    return true;
  }
  void give_back(const std::string& network) {
    const auto found = by_address_.find(network);
    if (found != by_address_.end() && found->second.accounts > 0 && --found->second.accounts == 0)
      by_address_.erase(found);
  }

 private:
  static constexpr std::chrono::hours kHour{1};
  static constexpr std::size_t kMostAddresses = 10000;
  struct Count {
    std::size_t accounts;
    SteadyTime since;
  };
  std::unordered_map<std::string, Count> by_address_;
};

class Registration final : public Module {
 public:
  [[nodiscard]] ModuleInfo info() const override {
    return {.name = "registration",
            .summary = "lets clients make accounts, change passwords and close accounts",
            .specifications = {{"XEP-0077", "2.4"}},
            .host_features = {ns::reg},
            .account_features = {}};
  }

  void attach(Registry& registry) override {
    context_ = &registry.context();
    registry.stream_feature({.name = "register",
                             .advertise =
                                 [this](const stream::View& view, xml::Writer& writer) {
                                   if (!view.authenticated && context_->config().registration.open)
                                     writer.empty_element("register", ns::reg_feature);
                                 },
                             .claims = is_request_of_guest},
                            [this](std::shared_ptr<Guest> guest, xml::Document document) {
                              return serve_guest(std::move(guest), std::move(document));
                            });
    // Clients send these to the domain or, without an address, to their own account (3.2).
    for (const auto [target, access] :
         {std::pair(Target::host, Access::anyone), std::pair(Target::account, Access::owner)}) {
      registry.on_slow_iq(Type::get, target, access, ns::reg, "query",
                          [this](IqRequest request) { return tell_registered(std::move(request)); });
      registry.on_slow_iq(Type::set, target, access, ns::reg, "query",
                          [this](IqRequest request) { return change(std::move(request)); });
    }
  }

 private:
  // --- before login ---

  // Claimed even while registration is closed: the answer is better than the end of the stream.
  static bool is_request_of_guest(const stream::View& view, const xml::Element& iq) {
    if (view.authenticated || !iq.is("iq", ns::client)) return false;
    const auto type = iq.attribute("type");
    const xml::Element* query = iq.first_child();
    return (type == "get" || type == "set") && query != nullptr && query->is("query", ns::reg) &&
           query->next_sibling() == nullptr;
  }

  Task<void> serve_guest(std::shared_ptr<Guest> guest, xml::Document document) {
    const xml::Element& iq = document.root();
    const std::string_view id = iq.attribute("id").value_or("");
    const std::string_view to = iq.attribute("to").value_or("");
    const auto addressee = Jid::parse(to);
    IqReply reply;
    if (id.empty()) {
      reply = refuse(Condition::bad_request, "A request needs an id");
    } else if (!to.empty() && (!addressee || addressee->text() != guest->view().domain)) {
      reply = refuse(Condition::service_unavailable);
    } else if (iq.attribute("type") == "get") {
      reply = tell_guest();
    } else {
      reply = co_await add(*guest, *iq.first_child());
    }
    std::string answer;
    xml::Writer writer(answer, ns::client);
    writer.open("iq")
        .attribute("type", reply ? "result" : "error")
        .attribute_if("id", id)
        .attribute_if("from", to);
    if (reply) {
      writer.raw(*reply);
    } else {
      write_error(writer, reply.error());
    }
    writer.close();
    guest->send(answer);
  }

  [[nodiscard]] IqReply tell_guest() const {
    const auto& registration = context_->config().registration;
    if (!registration.open) return refuse(Condition::service_unavailable, "Registration is closed");
    std::string form;
    xml::Writer writer(form, ns::client);
    writer.open("query", ns::reg).leaf("instructions", instructions(registration.fields));
    writer.leaf("username").leaf("password");
    for (const auto& field : registration.fields) writer.leaf(field);
    writer.close();
    return form;
  }

  Task<IqReply> add(Guest& guest, const xml::Element& query) {
    const Config& config = context_->config();
    if (!config.registration.open) co_return refuse(Condition::not_allowed, "Registration is closed");
    const std::string_view username = field_of(query, "username"), password = field_of(query, "password");
    if (username.empty() || password.empty())
      co_return refuse(Condition::not_acceptable, "A username and a password are required");
    const auto jid = Jid::make(username, guest.view().domain);
    if (!jid) co_return refuse(Condition::not_acceptable, jid.error().message);
    storage::Batch extra;
    for (const auto& field : config.registration.fields) {
      const std::string_view value = field_of(query, field);
      if (value.empty())
        co_return refuse(Condition::not_acceptable, fmt::format("The {} is required", in_words(field)));
      extra.emplace_back(storage::PutValue{jid->text(), std::string(kKind), field, std::string(value)});
    }

    const bool counted = config.limits.rate;
    if (counted && !made_.take(guest.network(), context_->loop().now(), config.limits.accounts_per_address))
      co_return std::unexpected(
          StanzaError{.condition = Condition::not_acceptable,  // 3.1.1
                      .text = "Too many accounts were made from this address, try again later",
                      .type = ErrorType::wait,
                      .application = {}});
    const auto added = co_await add_account(*jid, std::string(password), std::move(extra));
    if (!added) {
      if (counted) made_.give_back(guest.network());
      co_return std::unexpected(told(added.error()));
    }
    log::info("registered jid={} address={}", jid->text(), guest.address());
    co_return "";
  }

  Task<Result<void>> add_account(Jid jid, std::string password, storage::Batch extra) {
    auto added = co_await context_->accounts().add(jid, std::move(password));
    if (!added || extra.empty()) co_return added;
    const auto written = co_await context_->store().commit(std::move(extra));
    if (written) co_return Result<void>();
    // Without its fields it is not the account that was asked for.
    (void)co_await context_->accounts().remove(jid);
    co_return std::unexpected(written.error());
  }

  // --- logged in ---

  // A user of another domain has no account here, and gets none: accounts are made before login.
  static bool has_account_here(const IqRequest& request) {
    const Jid& from = request.stanza->from();
    return request.stanza->to().empty() || from.domain() == request.stanza->to().domain();
  }

  Task<IqReply> tell_registered(IqRequest request) {
    if (!has_account_here(request)) co_return refuse(Condition::service_unavailable);
    const Jid account = request.stanza->from().to_bare();
    const auto values = co_await context_->store().values(account.text(), std::string(kKind));
    if (!values) co_return refuse_for_now();
    std::string form;
    xml::Writer writer(form, ns::client);
    writer.open("query", ns::reg)
        .leaf("registered")
        .leaf("instructions", "You have this account. Send a new password to change it.")
        .leaf("username", account.local())
        .leaf("password");
    for (const auto& [field, value] : *values) writer.leaf(field, value);
    writer.close();
    co_return form;
  }

  Task<IqReply> change(IqRequest request) {
    if (!has_account_here(request)) co_return refuse(Condition::not_allowed);
    if (request.payload->child("remove", ns::reg) == nullptr)
      co_return co_await change_password(std::move(request));
    if (request.payload->first_child()->next_sibling() != nullptr)
      co_return refuse(Condition::bad_request, "<remove/> stands alone");  // table 1
    remove_after_answer(request.stanza->from().to_bare());
    co_return "";
  }

  // The removal ends the session that asked for it, which shall hear first that it was heard (example 12).
  void remove_after_answer(const Jid& account) {
    context_->loop().post([context = context_, account] {
      spawn(context->remove_account(account), [account](const Result<void>& removed) {
        if (removed) {
          log::info("removed jid={}", account.text());
        } else {
          log::error("removing jid={} failed: {}", account.text(), removed.error().message);
        }
      });
    });
  }

  Task<IqReply> change_password(IqRequest request) {
    const Jid session = request.stanza->from(), account = session.to_bare();
    const std::string_view username = field_of(*request.payload, "username");
    const std::string_view password = field_of(*request.payload, "password");
    if (username.empty() || password.empty())  // 3.3: an empty password changes nothing
      co_return refuse(Condition::bad_request, "Both username and password are needed");
    const auto named = Jid::make(username, account.domain());
    if (!named || *named != account)
      co_return refuse(Condition::not_allowed,
                       "This session can only change the password of its own account");
    const auto changed = co_await context_->accounts().set_password(account, std::string(password));
    if (!changed) co_return std::unexpected(told(changed.error()));
    log::info("password changed jid={}", account.text());
    context_->end_sessions(account, session, {StreamCondition::reset, "The password was changed", {}});
    co_return "";
  }

  Context* context_ = nullptr;
  AddressCount made_;
};

}  // namespace

std::unique_ptr<Module> registration() { return std::make_unique<Registration>(); }

}  // namespace starling::modules

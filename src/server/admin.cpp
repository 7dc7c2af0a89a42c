#include "server/admin.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/log.h"

namespace starling::server {
namespace {

constexpr std::size_t kListPage = 1000;

Result<std::string> text_of(const Json& params, const char* name) {
  const auto found = params.find(name);
  if (found == params.end() || !found->is_string())
    return fail(Errc::invalid, fmt::format("the parameter '{}' must be there, a string", name));
  return found->get<std::string>();
}

// An absent parameter is `otherwise`.
std::string text_of(const Json& params, const char* name, std::string_view otherwise) {
  const auto found = params.find(name);
  return found != params.end() && found->is_string() ? found->get<std::string>() : std::string(otherwise);
}

Json time_text(std::int64_t seconds) {
  if (seconds == 0) return nullptr;
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

Task<Result<Json>> add_user(Accounts& accounts, Jid jid, std::string password) {
  auto added = co_await accounts.add(jid, std::move(password));
  if (!added) co_return std::unexpected(added.error());
  log::info("account added jid={}", jid.text());
  co_return Json{{"jid", jid.text()}};
}

Task<Result<Json>> change_password(Accounts& accounts, AccountObserver& observer, Jid jid,
                                   std::string password) {
  auto changed = co_await accounts.set_password(jid, std::move(password));
  if (changed) changed = co_await observer.password_changed(jid);
  if (!changed) co_return std::unexpected(changed.error());
  log::info("password changed jid={}", jid.text());
  co_return Json{{"jid", jid.text()}};
}

Task<Result<Json>> delete_user(Accounts& accounts, AccountObserver& observer, Jid jid) {
  auto existing = co_await accounts.show(jid);
  if (!existing) co_return std::unexpected(existing.error());
  auto removed = co_await observer.remove_account(jid);
  if (!removed) co_return std::unexpected(removed.error());
  log::info("account deleted jid={}", jid.text());
  co_return Json{{"jid", jid.text()}};
}

// One page; the next one is after its last account. The empty domain is every domain.
Task<Result<Json>> list_users(Accounts& accounts, std::string domain, std::string after, bool served) {
  auto page = co_await accounts.list(std::move(domain), std::move(after), kListPage);
  if (!page) co_return std::unexpected(page.error());
  const bool more = page->size() == kListPage;
  co_return Json{{"accounts", *std::move(page)}, {"more", more}, {"served", served}};
}

Task<Result<Json>> show_user(Accounts& accounts, Operations* operations, Jid jid) {
  auto account = co_await accounts.show(jid);
  if (!account) co_return std::unexpected(account.error());
  auto waiting = co_await accounts.waiting(jid);
  if (!waiting) co_return std::unexpected(waiting.error());
  auto resources = Json::array();
  if (operations != nullptr) {
    auto sessions = co_await operations->sessions();
    const auto prefix = jid.text() + '/';
    for (const auto& session : sessions) {
      const auto full = text_of(session, "jid", "");
      if (full.starts_with(prefix)) resources.push_back(full.substr(prefix.size()));
    }
  }
  co_return Json{{"jid", account->jid},
                 {"created", time_text(account->created_at)},
                 {"last_seen", time_text(account->last_seen)},
                 {"last_status", account->last_status},
                 {"disabled", account->disabled},
                 {"waiting_messages", waiting->messages},
                 {"waiting_bytes", waiting->bytes},
                 {"sessions", std::move(resources)}};
}

Task<Result<Json>> failed(Error error) { co_return std::unexpected(std::move(error)); }

Task<Result<Json>> status_of(Operations& operations) { co_return co_await operations.status(); }
Task<Result<Json>> sessions_of(Operations& operations) {
  co_return Json{{"sessions", co_await operations.sessions()}};
}

Task<Result<Json>> kick(Operations& operations, Jid jid) {
  auto done = co_await operations.kick(jid);
  if (!done) co_return std::unexpected(done.error());
  log::info("session ended by the operator jid={}", jid.text());
  co_return Json{{"jid", jid.text()}};
}

Task<Result<Json>> reload(Operations& operations) {
  auto done = co_await operations.reload();
  if (!done) co_return std::unexpected(done.error());
  co_return Json{{"message", *std::move(done)}};
}

}  // namespace

Admin::Admin(Accounts& accounts, Operations& operations, Domains domains)
    : accounts_(accounts), domains_(std::move(domains)), observer_(operations), operations_(&operations) {
  add_user_commands();
  add_server_commands();
}

Admin::Admin(Accounts& accounts, AccountObserver& observer, Domains domains)
    : accounts_(accounts), domains_(std::move(domains)), observer_(observer) {
  add_user_commands();
}

void Admin::add(std::string name, Handler handler) { handlers_[std::move(name)] = std::move(handler); }

std::vector<std::string> Admin::commands() const {
  std::vector<std::string> names;
  for (const auto& [name, handler] : handlers_) names.push_back(name);
  return names;
}

Task<Result<Json>> Admin::run(std::string command, Json params) {
  const auto found = handlers_.find(command);
  if (found == handlers_.end())
    return failed({Errc::invalid, fmt::format("there is no command '{}'", command)});
  if (params.is_null()) params = Json::object();
  if (!params.is_object()) return failed({Errc::invalid, "params must be an object"});
  return found->second(std::move(params));
}

Result<Jid> Admin::account_of(const Json& params) const {
  auto text = text_of(params, "jid");
  if (!text) return std::unexpected(text.error());
  auto jid = Jid::parse(*text);
  if (!jid) return jid;
  if (jid->local().empty() || jid->is_full())
    return fail(Errc::invalid,
                fmt::format("'{}' is no account; expected NAME@DOMAIN, such as {}@{}", *text,
                            jid->local().empty() ? jid->domain() : jid->local(), domains_().front()));
  return jid;
}

void Admin::add_user_commands() {
  add("user.add", [this](Json params) {
    auto jid = account_of(params);
    auto password = text_of(params, "password");
    if (!jid) return failed(jid.error());
    if (!password) return failed(password.error());
    const auto domains = domains_();
    if (std::ranges::find(domains, jid->domain()) == domains.end())
      return failed({Errc::invalid,
                     fmt::format("{} is no domain of this server, which has {}; the key `domains` lists them",
                                 jid->domain(), fmt::join(domains, ", "))});
    return add_user(accounts_, *std::move(jid), *std::move(password));
  });
  add("user.passwd", [this](Json params) {
    auto jid = account_of(params);
    auto password = text_of(params, "password");
    if (!jid) return failed(jid.error());
    if (!password) return failed(password.error());
    return change_password(accounts_, observer_, *std::move(jid), *std::move(password));
  });
  add("user.delete", [this](Json params) {
    auto jid = account_of(params);
    return jid ? delete_user(accounts_, observer_, *std::move(jid)) : failed(jid.error());
  });
  add("user.show", [this](Json params) {
    auto jid = account_of(params);
    return jid ? show_user(accounts_, operations_, *std::move(jid)) : failed(jid.error());
  });
  add("user.list", [this](const Json& params) {
    auto domain = text_of(params, "domain", "");
    if (!domain.empty()) {
      auto prepared = prepare_domain(domain);
      if (!prepared) return failed(prepared.error());
      domain = *std::move(prepared);
    }
    const auto domains = domains_();
    const bool served = domain.empty() || std::ranges::find(domains, domain) != domains.end();
    return list_users(accounts_, std::move(domain), text_of(params, "after", ""), served);
  });
}

void Admin::add_server_commands() {
  add("status", [this](const Json&) { return status_of(*operations_); });
  add("sessions", [this](const Json&) { return sessions_of(*operations_); });
  add("kick", [this](const Json& params) {
    auto text = text_of(params, "jid");
    if (!text) return failed(text.error());
    auto jid = Jid::parse(*text);
    if (!jid) return failed(jid.error());
    if (!jid->is_full())
      return failed({Errc::invalid, fmt::format("'{}' is no session; expected NAME@DOMAIN/RESOURCE", *text)});
    return kick(*operations_, *std::move(jid));
  });
  add("reload", [this](const Json&) { return reload(*operations_); });
}

}  // namespace starling::server

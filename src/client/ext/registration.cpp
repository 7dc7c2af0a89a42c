#include "client/ext/registration.h"

#include <array>

#include "xml/namespaces.h"

namespace starling::client {
namespace {

std::unexpected<RequestError> refused(Condition condition, std::string text) {
  return std::unexpected(
      RequestError{RequestError::Kind::refused, {condition, std::move(text), std::nullopt, {}}, {}});
}
Request<void> already(std::unexpected<RequestError> error) {
  Request<void> request;
  request.resolver()(std::move(error));
  return request;
}

using Known = std::array<std::pair<std::string_view, std::string>, 3>;

// `asked` with what is known; what is missing then is the error.
Outcome<payload::Registration> fill(payload::Registration asked, const Known& known) {
  std::string missing;
  const auto miss = [&](std::string_view name) { missing.append(missing.empty() ? "" : ", ").append(name); };
  if (asked.form) {
    auto submission = asked.form->submission();
    for (const auto& [name, value] : known)
      if (!value.empty() && asked.form->find(name) != nullptr) submission.set(name, {value});
    for (const auto name : asked.form->missing_in(submission)) miss(name);
    asked.form = std::move(submission);
  } else if (asked.fields.empty()) {
    return refused(Condition::not_allowed,
                   asked.url.empty() ? asked.instructions : "accounts are made at " + asked.url);
  } else {
    for (const auto& [name, value] : known)
      if (!value.empty() && asked.has(name)) asked.set(name, value);
    for (const auto& field : asked.fields)
      if (field.value.empty()) miss(field.name);
  }
  if (!missing.empty()) return refused(Condition::not_acceptable, "the server asks for: " + missing);
  return asked;
}

}  // namespace

Extension::Info Registration::info() const {
  return {"XEP-0077", "In-Band Registration", {}, "2.4", "makes an account, changes its password, ends it"};
}

bool Registration::offered() const {
  const auto& features = client_.stream_features();
  return !features.empty() && features.root().child("register", ns::reg_feature) != nullptr;
}

bool Registration::safe() const { return client_.encrypted() || client_.options().plain_without_tls; }

Request<void> Registration::send(const payload::Registration& registration, const Jid& host) {
  std::string query;
  xml::Writer writer(query, ns::client);
  payload::write(writer, registration);
  return client_.request(Type::set, host, query).map(no_content);
}

Request<payload::Registration> Registration::fields(const Jid& host) {
  return client_.request(Type::get, host, "<query xmlns='jabber:iq:register'/>")
      .map(content(payload::parse_registration));
}

Request<void> Registration::submit(const payload::Registration& filled, const Jid& host) {
  if (!safe()) return already(refused(Condition::not_authorized, "the stream is not encrypted"));
  payload::Registration sent;
  if (filled.form) {
    sent.form = filled.form->submission();
  } else {
    sent.fields = filled.fields;
  }
  return send(sent, host);
}

Request<void> Registration::create(std::string name, std::string password, std::string email,
                                   const Jid& host) {
  Request<void> created;
  fields(host).then([this, host, resolve = created.resolver(),
                     known = Known{{{"username", std::move(name)},
                                    {"password", std::move(password)},
                                    {"email", std::move(email)}}}](Outcome<payload::Registration> asked) {
    auto filled = asked ? fill(*std::move(asked), known) : std::move(asked);
    if (!filled) return resolve(std::unexpected(std::move(filled.error())));
    submit(*filled, host).then([resolve](Outcome<void> done) { resolve(std::move(done)); });
  });
  return created;
}

Request<void> Registration::change_password(std::string_view password) {
  if (!safe()) return already(refused(Condition::not_authorized, "the stream is not encrypted"));
  payload::Registration change;
  change.set("username", std::string(client_.jid().local()));
  change.set("password", std::string(password));
  return send(change, client_.jid().to_domain());
}

Request<void> Registration::remove(const Jid& host) {
  payload::Registration removal;
  removal.remove = true;
  return send(removal, host);
}

}  // namespace starling::client

// SASL on the receiving side (RFC 6120 section 6) with the announcement of channel bindings (XEP-0440).
#include "stream/receiving.h"

namespace starling::stream {
namespace {

bool offers(const Receiving& stream, const sasl::Mechanism& mechanism) {
  if (!mechanism.server || stream.authenticated() || stream.must_encrypt()) return false;
  if (mechanism.needs_encryption && !stream.encrypted() && !stream.settings().plain_without_tls) return false;
  return !mechanism.binds_channel || (stream.encrypted() && stream.login().bindings.any());
}

bool offers_binding(const Receiving& stream) {
  return std::ranges::any_of(stream.settings().mechanisms, [&](const sasl::Mechanism& mechanism) {
    return mechanism.binds_channel && offers(stream, mechanism);
  });
}

void advertise(const Receiving& stream, xml::Writer& writer) {
  const auto mechanisms = stream.settings().mechanisms;
  if (std::ranges::none_of(mechanisms, [&](const auto& mechanism) { return offers(stream, mechanism); }))
    return;
  if (offers_binding(stream)) {
    writer.open("sasl-channel-binding", ns::sasl_cb);
    for (const auto type : sasl::kBindingTypes)
      if (!stream.login().bindings.of(type).empty())
        writer.open("channel-binding").attribute("type", type).close();
    writer.close();
  }
  writer.open("mechanisms", ns::sasl);
  for (const auto& mechanism : mechanisms)
    if (offers(stream, mechanism)) writer.leaf("mechanism", mechanism.name);
  writer.close();
}

bool takes(const Receiving& stream, const xml::Element& element) {
  return element.ns() == ns::sasl && !stream.authenticated();
}

// What the character data of <auth/> or <response/> stands for: nothing at all, data, or an error.
std::expected<std::optional<std::string>, sasl::Failed> data_of(const xml::Element& element) {
  if (element.first_child() != nullptr)
    return std::unexpected(sasl::Failed{sasl::Failure::malformed_request, {}, {}});
  const auto text = element.text();
  if (text.empty()) return std::nullopt;
  if (text == "=") return std::string();  // 6.4.2
  auto data = decode_sasl(text);
  if (!data) return std::unexpected(sasl::Failed{sasl::Failure::incorrect_encoding, {}, {}});
  return data;
}

sasl::Step begin(Receiving& stream, const xml::Element& element) {
  auto& login = stream.login();
  login.mechanism.reset();  // a new attempt replaces the one under way (6.4.2)
  login.mechanism_name = {};
  if (stream.must_encrypt())
    return sasl::Failed{sasl::Failure::encryption_required, "use STARTTLS first", {}};
  const auto name = element.attribute("mechanism").value_or(std::string_view());
  const auto mechanisms = stream.settings().mechanisms;
  const auto found = std::ranges::find(mechanisms, name, &sasl::Mechanism::name);
  if (found == mechanisms.end()) return sasl::Failed{sasl::Failure::invalid_mechanism, {}, {}};
  if (!offers(stream, *found)) {
    const bool clear = found->needs_encryption && !stream.encrypted();
    return sasl::Failed{
        clear ? sasl::Failure::encryption_required : sasl::Failure::invalid_mechanism, {}, {}};
  }
  login.mechanism_name = found->name;
  auto data = data_of(element);
  if (!data) return data.error();
  login.mechanism = found->server({.encrypted = stream.encrypted(),
                                   .domain = login.domain,
                                   .bindings = login.bindings,
                                   .binding_offered = offers_binding(stream)});
  auto step = login.mechanism->respond(*data);
  if (*data) crypto::wipe(**data);  // PLAIN's password
  return step;
}

sasl::Step go_on(Receiving& stream, const xml::Element& element) {
  auto data = data_of(element);
  if (!data) return data.error();
  auto step = stream.login().mechanism->respond(data->value_or(std::string()));
  if (*data) crypto::wipe(**data);
  return step;
}

void write_data(Receiving& stream, std::string_view name, std::string_view data) {
  xml::Writer(stream.output()).open(name, ns::sasl).text(crypto::base64_encode(data)).close();
}

void take_failure(Receiving& stream, sasl::Failed failed) {
  auto& login = stream.login();
  xml::Writer writer(stream.output());
  writer.open("failure", ns::sasl).leaf(sasl::to_string(failed.condition));
  if (!failed.text.empty()) writer.open("text").attribute("xml:lang", "en").text(failed.text).close();
  writer.close();
  login.mechanism.reset();
  ++login.auth_failures;
  stream.queue(
      AuthFailed{std::move(failed.account), login.mechanism_name, failed.condition, std::move(failed.text)});
  if (login.auth_failures >= stream.settings().max_auth_failures)  // 6.4.5
    stream.fail_with_event({StreamCondition::policy_violation, "too many failed logins", {}});
}

void take_success(Receiving& stream, const sasl::Success& success) {
  const auto& login = stream.login();
  if (success.account.domain() != login.domain || !success.account.is_bare())
    return take_failure(stream, {sasl::Failure::not_authorized, {}, success.account.text()});
  if (stream.encrypted() && !login.from.empty() && login.from != success.account.text())  // 6.4.6
    return stream.fail_with_event(
        {StreamCondition::invalid_from, "the header's 'from' is not the account that logs in", {}});
  if (success.data.empty()) {
    xml::Writer(stream.output()).empty_element("success", ns::sasl);
  } else {
    write_data(stream, "success", success.data);
  }
  stream.queue(Authenticated{success.account, login.mechanism_name});
  stream.authenticate(success.account);
}

std::optional<Event> handle(Receiving& stream, xml::Document document, bool) {
  const auto& element = document.root();
  if (element.name() == "auth") {
    take_sasl_step(stream, begin(stream, element));
  } else if (element.name() == "response" && stream.login().mechanism) {
    take_sasl_step(stream, go_on(stream, element));
  } else if (element.name() == "abort") {
    take_sasl_step(stream, sasl::Failed{sasl::Failure::aborted, {}, {}});
  } else {  // a response to nothing, or what only a server sends
    take_sasl_step(stream, sasl::Failed{sasl::Failure::malformed_request, {}, {}});
  }
  return std::nullopt;
}

}  // namespace

void take_sasl_step(Receiving& stream, sasl::Step step) {
  if (auto* challenge = std::get_if<sasl::Challenge>(&step)) {
    write_data(stream, "challenge", challenge->data);
  } else if (auto* keys = std::get_if<sasl::NeedKeys>(&step)) {
    stream.wait_for(Core::Wait::keys);
    stream.queue(LookUpKeys{std::move(keys->account), keys->hash});
  } else if (auto* check = std::get_if<sasl::NeedCheck>(&step)) {
    stream.wait_for(Core::Wait::check);
    stream.queue(CheckPassword{std::move(check->account), std::move(check->password)});
  } else if (auto* success = std::get_if<sasl::Success>(&step)) {
    take_success(stream, *success);
  } else {
    take_failure(stream, std::get<sasl::Failed>(std::move(step)));
  }
}

const Negotiator kSasl = {advertise, takes, handle};

}  // namespace starling::stream

#include "stream/receiving.h"

namespace starling::stream {
namespace {

// In the order of XEP-0170; modules' features (registration) stand between TLS and SASL.
constexpr std::array<const Negotiator*, 5> kNegotiators = {&kStartTls, &kFeatures, &kSasl, &kBind, &kSession};

// RFC 6120 7.7.3: 5 to 10 tries.
constexpr unsigned kMaxBindRefusals = 10;

}  // namespace

Receiving::Receiving(const Settings& settings)
    : Core(settings, settings.limits_before_login), login_(std::make_unique<Login>()) {}

std::string_view Receiving::domain() const {
  if (authenticated_) return jid_.domain();
  return login_ ? std::string_view(login_->domain) : std::string_view();
}

void Receiving::on_header(const xml::StreamHeader& header) {
  // The domain first: it is the `from` of our own header, errors or not (RFC 6120 4.9.1.3).
  auto addressed = prepare_domain(header.to);
  const bool served = addressed && settings_.serves && settings_.serves(*addressed);
  if (served) login_->domain = *addressed;
  const auto from = header.from.empty() ? Result<Jid>() : Jid::parse(header.from);
  login_->from = from ? std::string(from->bare()) : std::string();
  StreamError error;
  if (!names_fit(header, error)) return fail_with_event(std::move(error));
  if (!addressed || header.to.empty())
    return fail_with_event(
        {StreamCondition::improper_addressing, "the header's 'to' must be the domain to log in at", {}});
  if (!served || (authenticated_ && *addressed != jid_.domain()))
    return fail_with_event({StreamCondition::host_unknown, {}, {}});
  if (!from || (authenticated_ && !from->empty() && !from->same_bare(jid_)))
    return fail_with_event({StreamCondition::invalid_from, {}, {}});
  write_header();
  write_features();
}

void Receiving::write_header() {
  open_header();
  id_ = crypto::random_id();
  output_ += " id='" + id_ + "' from='";
  xml::escape_attribute(output_, domain());
  if (login_ && !login_->from.empty()) {
    output_ += "' to='";
    xml::escape_attribute(output_, login_->from);
  }
  output_ += "' version='1.0' xml:lang='en'>";  // the language of all our texts (RFC 6120 4.7.4)
}

void Receiving::write_features() {
  xml::Writer writer(output_, settings_.content_ns);
  writer.open("stream:features");
  for (const auto* negotiator : kNegotiators) negotiator->advertise(*this, writer);
  writer.close();
}

std::optional<Event> Receiving::on_element(xml::Document document, bool more) {
  for (const auto* negotiator : kNegotiators)
    if (negotiator->takes(*this, document.root()))
      return negotiator->handle(*this, std::move(document), more);
  refuse(document.root());
  return std::nullopt;
}

bool Receiving::negotiates(const xml::Element& iq) const {
  const auto* payload = iq.first_child();
  if (payload == nullptr || (payload->ns() != ns::session && payload->ns() != ns::bind)) return false;
  return kSession.takes(*this, iq) || kBind.takes(*this, iq);
}

void Receiving::tls_established(sasl::Bindings bindings, std::string_view injected) {
  if (!answered(Wait::tls)) return;
  restart();
  assume_tls(std::move(bindings));
  if (!injected.empty())
    fail_with_event({StreamCondition::policy_violation, "data was sent between <starttls/> and TLS", {}});
}

void Receiving::assume_tls(sasl::Bindings bindings) {
  encrypted_ = true;
  login_ = std::make_unique<Login>();  // nothing that was said in the clear counts (RFC 6120 5.4.3.3)
  login_->bindings = std::move(bindings);
}

void Receiving::give_keys(const sasl::ScramKeys& keys, bool exists, bool disabled) {
  if (answered(Wait::keys)) take_sasl_step(*this, login_->mechanism->keys(keys, exists, disabled));
}

void Receiving::give_check(bool right, bool disabled) {
  if (answered(Wait::check)) take_sasl_step(*this, login_->mechanism->checked(right, disabled));
}

void Receiving::give_up_auth(sasl::Failure condition, std::string&& text) {
  if (answered(Wait::keys) || answered(Wait::check))
    take_sasl_step(*this, sasl::Failed{condition, std::move(text), {}});
}

void Receiving::authenticate(const Jid& account) {
  jid_ = account;
  authenticated_ = true;
  login_->mechanism.reset();
  restart();
  parser_.set_limits(settings_.limits);
}

void Receiving::bound(const Jid& full) {
  if (!authenticated_ || bound_) return;
  if (wait_ == Wait::bind) {
    if (!answered(Wait::bind)) return;
    xml::Writer writer(output_, settings_.content_ns);
    writer.open("iq").attribute("type", "result").attribute_if("id", login_->bind_id);
    writer.open("bind", ns::bind).leaf("jid", full.text()).close().close();
  }
  jid_ = full;
  bound_ = true;
  login_.reset();
}

void Receiving::refuse_bind(const StanzaError& error) {
  if (!answered(Wait::bind)) return;
  write_iq_error(login_->bind_id, error);
  count_bind_refusal();
}

void Receiving::count_bind_refusal() {
  if (++login_->bind_refusals > kMaxBindRefusals)
    fail_with_event({StreamCondition::policy_violation, "too many attempts to bind a resource", {}});
}

bool Receiving::request_to_us(const xml::Element& iq, std::string_view name, std::string_view ns) const {
  if (!is_stanza(iq) || iq.name() != "iq" || iq.attribute("type") != "set" || iq.child(name, ns) == nullptr)
    return false;
  const auto to = iq.attribute("to").value_or(std::string_view());
  if (to.empty()) return true;
  const auto address = Jid::parse(to);
  return address && (*address == jid_ || address->text() == jid_.domain() || address->text() == jid_.bare());
}

void Receiving::write_result(const xml::Element& iq) {
  xml::Writer writer(output_, settings_.content_ns);
  writer.open("iq").attribute("type", "result").attribute_if("id", iq.attribute("id").value_or(""));
  writer.attribute_if("from", iq.attribute("to").value_or("")).close();
}

void Receiving::write_iq_error(std::string_view id, const StanzaError& error) {
  xml::Writer writer(output_, settings_.content_ns);
  writer.open("iq").attribute("type", "error").attribute_if("id", id);
  write_error(writer, error);
  writer.close();
}

std::size_t Receiving::memory_bytes() const {
  std::size_t bytes = Core::memory_bytes() + sizeof(Receiving);
  if (login_)
    bytes += sizeof(Login) + heap_bytes(login_->domain) + heap_bytes(login_->from) +
             heap_bytes(login_->bindings.tls_exporter) + heap_bytes(login_->bindings.tls_server_end_point) +
             heap_bytes(login_->bind_id);
  return bytes;
}

std::unique_ptr<Core> make_receiving(const Settings& settings) {
  return std::make_unique<Receiving>(settings);
}

}  // namespace starling::stream

// The negotiators of RFC 6120 but SASL: STARTTLS (section 5), resource binding (section 7), the session of
// RFC 3921 section 3, and the features that modules add.
#include "stream/receiving.h"

namespace starling::stream {
namespace {

// --- STARTTLS ---

bool offers_tls(const Receiving& stream) {
  return !stream.encrypted() && !stream.authenticated() && stream.settings().tls != TlsPolicy::off &&
         stream.settings().starttls_available;
}

void advertise_tls(const Receiving& stream, xml::Writer& writer) {
  if (!offers_tls(stream)) return;
  writer.open("starttls", ns::tls);
  if (stream.settings().tls == TlsPolicy::required) writer.leaf("required");
  writer.close();
}

bool takes_tls(const Receiving&, const xml::Element& element) { return element.ns() == ns::tls; }

std::optional<Event> handle_tls(Receiving& stream, xml::Document document, bool more) {
  const auto& element = document.root();
  if (element.name() != "starttls" || element.first_child() != nullptr || !offers_tls(stream)) {  // 5.4.2.2
    xml::Writer(stream.output()).empty_element("failure", ns::tls);
    stream.close();
    stream.end();
    return Failed{
        {StreamCondition::undefined_condition, "STARTTLS was asked for where it is not offered", {}}, false};
  }
  // What follows now was sent in the clear and would be taken for encrypted later (CVE-2011-0411).
  if (more) {
    stream.fail_with_event({StreamCondition::policy_violation, "data follows <starttls/>", {}});
    return std::nullopt;
  }
  xml::Writer(stream.output()).empty_element("proceed", ns::tls);
  stream.wait_for(Core::Wait::tls);
  return StartTls{};
}

// --- modules' features ---

void advertise_features(const Receiving& stream, xml::Writer& writer) {
  if (stream.must_encrypt()) return;
  const View view = stream.view();
  for (const auto& feature : stream.settings().features)
    if (feature.advertise) feature.advertise(view, writer);
}

bool takes_feature(const Receiving& stream, const xml::Element& element) {
  return !stream.must_encrypt() && stream.claiming_feature(element).has_value();
}

std::optional<Event> handle_feature(Receiving& stream, xml::Document document, bool) {
  const auto feature = stream.claiming_feature(document.root());
  return Claimed{std::move(document), feature.value_or(0)};
}

// --- resource binding ---

void advertise_bind(const Receiving& stream, xml::Writer& writer) {
  if (stream.authenticated()) writer.open("bind", ns::bind).close();
}

bool takes_bind(const Receiving& stream, const xml::Element& element) {
  return stream.authenticated() && stream.request_to_us(element, "bind", ns::bind);
}

std::optional<Event> handle_bind(Receiving& stream, xml::Document document, bool) {
  const auto& iq = document.root();
  const auto id = iq.attribute("id").value_or(std::string_view());
  if (stream.is_bound()) {  // one resource a stream; 7.6.2.2
    stream.write_iq_error(id, {Condition::not_allowed, "a resource is bound already", {}, {}});
    return std::nullopt;
  }
  if (id.empty()) {  // 8.1.3
    stream.write_iq_error({}, {Condition::bad_request, "an IQ needs an id", {}, {}});
    stream.count_bind_refusal();
    return std::nullopt;
  }
  stream.login().bind_id = id;
  const auto* resource = iq.child("bind", ns::bind)->child("resource", ns::bind);
  stream.wait_for(Core::Wait::bind);
  return BindRequest{std::string(resource != nullptr ? resource->text() : std::string_view())};
}

// --- session: older clients insist, nothing is done for it ---

void advertise_session(const Receiving& stream, xml::Writer& writer) {
  if (stream.authenticated()) writer.open("session", ns::session).leaf("optional").close();
}

bool takes_session(const Receiving& stream, const xml::Element& element) {
  return stream.is_bound() && stream.request_to_us(element, "session", ns::session);
}

std::optional<Event> handle_session(Receiving& stream, xml::Document document, bool) {
  const auto& iq = document.root();
  if (iq.attribute("id").value_or("").empty()) {
    stream.write_iq_error({}, {Condition::bad_request, "an IQ needs an id", {}, {}});
  } else {
    stream.write_result(iq);
  }
  return std::nullopt;
}

}  // namespace

const Negotiator kStartTls = {advertise_tls, takes_tls, handle_tls};
const Negotiator kFeatures = {advertise_features, takes_feature, handle_feature};
const Negotiator kBind = {advertise_bind, takes_bind, handle_bind};
const Negotiator kSession = {advertise_session, takes_session, handle_session};

}  // namespace starling::stream

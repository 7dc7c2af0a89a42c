// The initiating side: a client's way from the header to a bound resource.
#include "stream/core.h"

namespace starling::stream {
namespace {

class Initiating final : public Core {
 public:
  explicit Initiating(const Settings& settings)
      : Core(settings, settings.limits_before_login), login_(std::make_unique<Login>()) {
    jid_ = settings.jid;
  }

  void start() override {
    if (!header_sent_) write_header();
  }
  void tls_established(sasl::Bindings bindings, std::string_view injected) override {
    if (!answered(Wait::tls)) return;
    assume_tls(std::move(bindings));
    begin_again();
    if (!injected.empty())
      fail_with_event({StreamCondition::policy_violation, "data came between <proceed/> and TLS", {}});
  }
  void assume_tls(sasl::Bindings bindings) override {
    encrypted_ = true;
    login_->bindings = std::move(bindings);
  }
  void bound(const Jid& full) override {
    if (step_ != Step::resume || output_closed()) return;
    jid_ = full;
    queue(ready());
  }
  void bind() override {
    if (step_ != Step::resume || output_closed()) return;
    ask_to_bind();
  }
  [[nodiscard]] std::size_t memory_bytes() const override {
    return Core::memory_bytes() + sizeof(Initiating) + (login_ ? sizeof(Login) : 0);
  }

 private:
  enum class Step : std::uint8_t { header, features, proceed, sasl, resume, bind, session, ready };

  // Freed when the stream is ready.
  struct Login {
    sasl::Bindings bindings;
    std::unique_ptr<sasl::ClientMechanism> mechanism;
    std::string_view mechanism_name;
    std::string request_id;  // of the bind or session request under way
    xml::Document features;
  };

  [[nodiscard]] std::string_view domain() const override { return settings_.jid.domain(); }
  [[nodiscard]] bool negotiates(const xml::Element& iq) const override {
    return step_ == Step::session && iq.attribute("id") == login_->request_id;
  }

  void write_header() override {
    open_header();
    output_ += " to='";
    xml::escape_attribute(output_, domain());
    if (encrypted_ && !settings_.jid.local().empty()) {  // not for eavesdroppers (RFC 6120 4.7.1)
      output_ += "' from='";
      xml::escape_attribute(output_, settings_.jid.bare());
    }
    output_ += "' version='1.0' xml:lang='";
    xml::escape_attribute(output_, settings_.lang);
    output_ += "'>";
  }

  void begin_again() {
    restart();
    step_ = Step::header;
    write_header();
  }

  void on_header(const xml::StreamHeader& header) override {
    StreamError error;
    if (!names_fit(header, error)) return fail_with_event(std::move(error));
    id_ = header.id;
    step_ = Step::features;
  }

  std::optional<Event> on_element(xml::Document document, bool more) override {
    const auto& element = document.root();
    if (element.ns() == ns::tls && step_ == Step::proceed) return on_tls_answer(element, more);
    if (element.ns() == ns::sasl && step_ == Step::sasl) return on_sasl(element);
    if (is_stanza(element) && element.name() == "iq" && (step_ == Step::bind || step_ == Step::session) &&
        element.attribute("id") == login_->request_id)
      return on_answer(element);
    if (element.is("features", ns::stream) && step_ == Step::features)
      return on_features(std::move(document));
    if (const auto feature = claiming_feature(element)) return Claimed{std::move(document), *feature};
    refuse(element);
    return std::nullopt;
  }

  std::optional<Event> on_features(xml::Document document) {
    const auto& features = document.root();
    const auto* starttls = features.child("starttls", ns::tls);
    if (!encrypted_ && !authenticated_) {
      if (starttls != nullptr && settings_.tls != TlsPolicy::off) {
        xml::Writer(output_).empty_element("starttls", ns::tls);
        step_ = Step::proceed;
        return std::nullopt;
      }
      if (settings_.tls == TlsPolicy::required)  // never in the clear, whoever took the offer away
        return give_up(StreamCondition::policy_violation,
                       "the server offers no encryption (STARTTLS), and the settings require it");
      if (starttls != nullptr && starttls->child("required", ns::tls) != nullptr)
        return give_up(StreamCondition::unsupported_feature,
                       "the server requires encryption, and the settings have it off");
    }
    login_->features = std::move(document);
    if (settings_.password.empty()) return ready();
    if (!authenticated_) return log_in(features);
    step_ = Step::resume;
    for (const auto& feature : settings_.features)
      if (feature.resume && feature.resume(features, output_)) return std::nullopt;
    ask_to_bind();
    return std::nullopt;
  }

  void ask_to_bind() {
    if (login_->features.root().child("bind", ns::bind) == nullptr)
      return fail_with_event(
          {StreamCondition::unsupported_feature, "the server offers no resource binding", {}});
    step_ = Step::bind;
    login_->request_id = crypto::random_id(60);
    xml::Writer writer(output_, settings_.content_ns);
    writer.open("iq").attribute("type", "set").attribute("id", login_->request_id).open("bind", ns::bind);
    if (!settings_.jid.resource().empty()) writer.leaf("resource", settings_.jid.resource());
    writer.close().close();
  }

  std::optional<Event> on_tls_answer(const xml::Element& element, bool more) {
    if (element.name() != "proceed")
      return give_up(StreamCondition::undefined_condition, "the server refused to begin TLS");
    if (more) return give_up(StreamCondition::policy_violation, "data follows <proceed/>");
    wait_ = Wait::tls;
    return StartTls{};
  }

  // The strongest mechanism that both know and this channel allows.
  std::optional<Event> log_in(const xml::Element& features) {
    const auto* offered = features.child("mechanisms", ns::sasl);
    std::vector<std::string_view> names;
    if (offered != nullptr)
      for (const auto& child : offered->children())
        if (child.is("mechanism", ns::sasl)) names.push_back(child.text());
    const auto is_offered = [&](std::string_view name) {
      return std::ranges::find(names, name) != names.end();
    };
    const bool binding_offered =
        std::ranges::any_of(names, [](std::string_view name) { return name.ends_with("-PLUS"); });
    // A server that announces no types is from before XEP-0440, and so from before tls-exporter too: what it
    // binds is tls-unique, which TLS 1.3 does not have, or perhaps tls-server-end-point. Section 3, rule 4
    // leaves this open.
    const bool types_announced = features.child("sasl-channel-binding", ns::sasl_cb) != nullptr;
    const sasl::Bindings& bindings = login_->bindings;
    const auto type = std::ranges::find_if(sasl::kBindingTypes, [&](std::string_view one) {
      return !bindings.of(one).empty() && announces(features, one);
    });
    const bool can_bind = encrypted_ && type != sasl::kBindingTypes.end();
    if (bindings.any() && binding_offered && types_announced && !can_bind &&
        !announces(features, "tls-server-end-point"))
      return give_up(
          StreamCondition::policy_violation,  // XEP-0440 section 3, rule 6
          "the server announces no channel binding that is known here: somebody may have changed the list");

    const sasl::Mechanism* best = nullptr;
    for (const auto& mechanism : settings_.mechanisms) {
      if (!mechanism.client || !is_offered(mechanism.name) || (mechanism.binds_channel && !can_bind))
        continue;
      if (mechanism.needs_encryption && !encrypted_ && !settings_.plain_without_tls) continue;
      if (mechanism.needs_encryption && settings_.no_plaintext) continue;
      if (best == nullptr || mechanism.strength > best->strength) best = &mechanism;
    }
    if (best == nullptr)
      return give_up(
          StreamCondition::unsupported_feature,
          fmt::format("no way to log in that both sides know and this channel allows; the server offers: {}",
                      names.empty() ? "nothing" : fmt::format("{}", fmt::join(names, ", "))));

    login_->mechanism_name = best->name;
    login_->mechanism = best->client({.encrypted = encrypted_,
                                      .domain = std::string(domain()),
                                      .bindings = bindings,
                                      .binding_type = can_bind ? *type : std::string_view(),
                                      .binding_offered = binding_offered},
                                     {settings_.jid.to_bare(), settings_.password}, binding_offered);
    step_ = Step::sasl;
    auto initial = login_->mechanism->initial();
    if (!initial) return abort_login(std::move(initial.error().message));
    xml::Writer writer(output_);
    writer.open("auth", ns::sasl).attribute("mechanism", best->name);
    writer.text(initial->empty() ? "=" : crypto::base64_encode(*initial)).close();
    crypto::wipe(*initial);
    return std::nullopt;
  }

  static bool announces(const xml::Element& features, std::string_view type) {
    const auto* types = features.child("sasl-channel-binding", ns::sasl_cb);
    if (types == nullptr) return false;
    return std::any_of(types->children().begin(), types->children().end(),
                       [&](const xml::Element& child) { return child.attribute("type") == type; });
  }

  std::optional<Event> on_sasl(const xml::Element& element) {
    if (element.name() == "failure") return on_failure(element);
    const auto data = element.text() == "=" ? std::optional(std::string()) : decode_sasl(element.text());
    if (!data) return abort_login("the server's base64 is malformed");
    if (element.name() == "challenge") {
      auto response = login_->mechanism->respond(*data);
      if (!response) return abort_login(std::move(response.error().message));
      xml::Writer(output_).open("response", ns::sasl).text(crypto::base64_encode(*response)).close();
      return std::nullopt;
    }
    if (element.name() != "success") return abort_login("the server sent what is no answer to a login");
    if (auto proven = login_->mechanism->verify(*data); !proven)
      return abort_login(std::move(proven.error().message));
    login_->mechanism.reset();
    authenticated_ = true;
    parser_.set_limits(settings_.limits);
    begin_again();
    return Authenticated{settings_.jid.to_bare(), login_->mechanism_name};
  }

  std::optional<Event> on_failure(const xml::Element& element) {
    AuthFailed failed{
        std::string(settings_.jid.bare()), login_->mechanism_name, sasl::Failure::not_authorized, {}};
    for (const auto& child : element.children()) {
      if (child.ns() != ns::sasl) continue;
      if (child.name() == "text") {
        failed.text = child.text();
      } else if (const auto condition = sasl::parse_failure(child.name())) {
        failed.condition = *condition;  // an unknown one counts as not-authorized (6.5)
      }
    }
    close();
    return failed;
  }

  // The server talks nonsense in the middle of an exchange (6.4.4).
  std::optional<Event> abort_login(std::string text) {
    xml::Writer(output_).empty_element("abort", ns::sasl);
    return end_login(std::move(text));
  }
  std::optional<Event> end_login(std::string text) {
    queue(
        AuthFailed{std::string(settings_.jid.bare()), login_->mechanism_name, sasl::Failure::aborted, text});
    return give_up(StreamCondition::not_authorized, std::move(text));
  }

  std::optional<Event> on_answer(const xml::Element& iq) {
    if (iq.attribute("type") != "result") {
      std::string_view condition = "no reason given";
      if (const auto* error = iq.child("error", settings_.content_ns))
        if (const auto* reason = error->child_in(ns::stanzas)) condition = reason->name();
      return give_up(StreamCondition::undefined_condition,
                     fmt::format("the server refused to {}: {}",
                                 step_ == Step::bind ? "bind a resource" : "begin a session", condition));
    }
    if (step_ == Step::session) return ready();
    const auto* bind = iq.child("bind", ns::bind);
    const auto* jid = bind != nullptr ? bind->child("jid", ns::bind) : nullptr;
    auto full = Jid::parse(jid != nullptr ? jid->text() : std::string_view());
    if (!full || !full->is_full())
      return give_up(StreamCondition::undefined_condition,
                     "the server bound a resource and did not tell a full address");
    jid_ = *std::move(full);
    bound_ = true;
    const auto* session = login_->features.root().child("session", ns::session);
    if (session == nullptr || session->child("optional", ns::session) != nullptr) return ready();
    step_ = Step::session;
    login_->request_id = crypto::random_id(60);
    xml::Writer writer(output_, settings_.content_ns);
    writer.open("iq")
        .attribute("type", "set")
        .attribute("id", login_->request_id)
        .empty_element("session", ns::session)
        .close();
    return std::nullopt;
  }

  Ready ready() {
    step_ = Step::ready;
    parser_.set_limits(settings_.limits);  // where there was no login
    Ready event{jid_, std::move(login_->features)};
    login_.reset();
    bound_ = true;
    return event;
  }

  std::optional<Event> give_up(StreamCondition condition, std::string text) {
    fail_with_event({condition, std::move(text), {}});
    return std::nullopt;
  }

  std::unique_ptr<Login> login_;
  Step step_ = Step::header;
};

}  // namespace

std::unique_ptr<Core> make_initiating(const Settings& settings) {
  return std::make_unique<Initiating>(settings);
}

}  // namespace starling::stream

#pragma once
// The receiving side: a table of negotiators over the shared core. SASL2, Bind 2, dialback or compression are
// further entries. Internal to this room.
#include "stream/core.h"

namespace starling::stream {

class Receiving;

// One protocol of the negotiation; no state of its own (that is in Receiving::Login).
struct Negotiator {
  // Writes its element into <stream:features/>, or nothing.
  void (*advertise)(const Receiving&, xml::Writer&);
  // True if this top-level element is its own, here and now.
  bool (*takes)(const Receiving&, const xml::Element&);
  // An event, or nothing and what it queued or wrote. `more`: bytes follow the element in the input.
  std::optional<Event> (*handle)(Receiving&, xml::Document, bool more);
};
extern const Negotiator kStartTls, kFeatures, kSasl, kBind, kSession;

class Receiving final : public Core {
 public:
  // What is needed until a resource is bound; freed then.
  struct Login {
    std::string domain;  // of the header, normalised; empty before it
    std::string from;    // of the header, bare; only from an encrypted stream (RFC 6120 4.3.6)
    sasl::Bindings bindings;
    std::unique_ptr<sasl::ServerMechanism> mechanism;
    std::string_view mechanism_name;
    unsigned auth_failures = 0;
    std::string bind_id;  // of the bind request that is being decided
    unsigned bind_refusals = 0;
  };

  explicit Receiving(const Settings& settings);

  void tls_established(sasl::Bindings bindings, std::string_view injected) override;
  void assume_tls(sasl::Bindings bindings) override;
  void give_keys(const sasl::ScramKeys& keys, bool exists, bool disabled) override;
  void give_check(bool right, bool disabled) override;
  void give_up_auth(sasl::Failure condition, std::string&& text) override;
  void bound(const Jid& full) override;
  void refuse_bind(const StanzaError& error) override;
  [[nodiscard]] std::size_t memory_bytes() const override;

  // --- for the negotiators ---
  [[nodiscard]] Login& login() const { return *login_; }  // not once bound
  [[nodiscard]] bool encrypted() const { return encrypted_; }
  [[nodiscard]] bool authenticated() const { return authenticated_; }
  [[nodiscard]] bool is_bound() const { return bound_; }
  // TLS is due: nothing but <starttls/> is of use.
  [[nodiscard]] bool must_encrypt() const { return settings_.tls == TlsPolicy::required && !encrypted_; }
  [[nodiscard]] std::string_view domain() const override;
  // An IQ of type set with this payload that is for this server or the account itself.
  [[nodiscard]] bool request_to_us(const xml::Element& iq, std::string_view name, std::string_view ns) const;
  void write_result(const xml::Element& iq);
  void write_iq_error(std::string_view id, const StanzaError& error);
  void authenticate(const Jid& account);
  void count_bind_refusal();

 private:
  void on_header(const xml::StreamHeader& header) override;
  std::optional<Event> on_element(xml::Document document, bool more) override;
  [[nodiscard]] bool negotiates(const xml::Element& iq) const override;
  void write_header() override;
  void write_features();

  std::unique_ptr<Login> login_;
};

// The outcome of a step of the running mechanism: writes what the peer gets, queues what the owner must know.
void take_sasl_step(Receiving& stream, sasl::Step step);

}  // namespace starling::stream

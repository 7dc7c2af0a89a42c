#pragma once
// Stream negotiation (RFC 6120 sections 4-7) as a machine without I/O, for both roles. Bytes go in through
// next(), bytes to send collect in output(), and what the owner must do or know comes out as an Event.
// Nothing here blocks, waits or knows a socket, so it is tested whole, byte by byte and cut at every point.
// One thread at a time; it may move between events.
//
// Receiving: header -> features -> [starttls -> header ->] sasl -> header -> bind -> stanzas. The features
// are a table; modules add theirs (Feature), before and after login.
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "stanza/error.h"
#include "stream/sasl/mechanism.h"
#include "xml/element.h"
#include "xml/parser.h"

namespace starling::stream {

enum class Role { initiating, receiving };
enum class TlsPolicy { required, optional, off };

// What features and mechanisms may look at.
struct View {
  std::string_view domain;  // the domain of this stream, normalised
  bool encrypted = false;
  bool authenticated = false;
  bool bound = false;
  const Jid* account = nullptr;  // once authenticated; full once bound
};

// A stream feature that is not of RFC 6120's own, or nonzas and requests that are allowed at some point of
// the negotiation. While TLS is required and not there, features are neither advertised nor asked (RFC
// 6120 5.3.1).
struct Feature {
  std::string_view name;
  // Writes its element into <stream:features/>, or nothing.
  std::function<void(const View&, xml::Writer&)> advertise;
  // True if the owner's code (not the machine) handles this top-level element here and now: a nonza, or an IQ
  // before a resource is bound. Stanzas after that are Received without being asked about.
  std::function<bool(const View&, const xml::Element&)> claims;
  // Initiating, once logged in: may ask for a session without binding a resource, from what the server's
  // features offer, by writing its nonza; true if it did. The answer is one that it claims, and the owner
  // then says bound() or bind().
  std::function<bool(const xml::Element& features, std::string& output)> resume{};
};

// One for all streams of a listener or client; outlives them. Shared between threads, read only.
struct Settings {
  Role role = Role::receiving;
  std::string content_ns = "jabber:client";
  TlsPolicy tls = TlsPolicy::required;
  bool plain_without_tls = false;
  std::span<const sasl::Mechanism> mechanisms = sasl::standard_mechanisms();
  std::vector<Feature> features;
  xml::Limits limits;  // once authenticated
  xml::Limits limits_before_login{.element_bytes = 10000, .depth = 20, .attributes = 50, .children = 100};
  // Receiving.
  std::function<bool(std::string_view domain)> serves;  // a domain of ours? (normalised)
  bool starttls_available = true;                       // there is a certificate
  unsigned max_auth_failures = 5;  // then the stream ends with policy-violation (RFC 6120 6.4.5: 2 to 5)
  // Initiating.
  Jid jid;               // bare or full; its resource is asked for
  std::string password;  // prepared; empty for a stream without login
  std::string lang = "en";
  bool no_plaintext = false;  // not by a mechanism that shows the password itself to the server
  // Sees each element of the stream as it comes, and its header and end, for a debug log; may be empty.
  std::function<void(std::string_view xml)> tap;
};

// --- events ---
struct NeedInput {};  // all input was taken
struct Waiting {};    // an answer of the owner is due; input stays where it is
struct StartTls {};   // send output(), then do the handshake, then tls_established()
struct LookUpKeys {
  Jid account;
  crypto::Hash hash;
};  // answer with give_keys()
struct CheckPassword {
  Jid account;
  std::string password;
};  // answer with give_check()
struct Authenticated {
  Jid account;
  std::string_view mechanism;
};
struct AuthFailed {
  std::string account;
  std::string_view mechanism;
  sasl::Failure condition;
  std::string text;
};
struct BindRequest {
  std::string resource;
};  // receiving, may be empty; answer with bound() or refuse_bind()
// Initiating: bound, stanzas may be sent. `features` are the last the server sent, <stream:features/> as it
// came.
struct Ready {
  Jid jid;
  xml::Document features;
};
struct Received {
  xml::Document document;
};  // a stanza: message, presence or iq of the content namespace
struct Claimed {
  xml::Document document;
  std::size_t feature;
};  // index into Settings::features
struct Closed {};  // the peer closed (our answer is in output()), or both have
// Over. The error and the closing tag are in output(); by_peer: the peer sent the error, output() has the
// closing tag alone.
struct Failed {
  StreamError error;
  bool by_peer = false;
};
using Event = std::variant<NeedInput, Waiting, StartTls, LookUpKeys, CheckPassword, Authenticated, AuthFailed,
                           BindRequest, Ready, Received, Claimed, Closed, Failed>;

class Core;

class Machine {
 public:
  explicit Machine(const Settings& settings);  // `settings` outlives it
  Machine(Machine&&) noexcept;
  Machine& operator=(Machine&&) noexcept;
  ~Machine();

  void start();  // initiating: puts the header into output()

  // Consumes from the front of `input` up to the next event. Call it until NeedInput or Waiting.
  Event next(std::string_view& input);

  // Bytes to send, in order. The owner takes them (swap or append) whenever it likes.
  std::string& output();

  // --- answers, each to the event that asked; an answer that nothing asked for (any more) has no effect ---
  // Any bytes that the peer sent after <starttls/> and before its handshake must be refused by passing them
  // as `injected`.
  void tls_established(sasl::Bindings bindings, std::string_view injected = {});
  void give_keys(const sasl::ScramKeys& keys, bool exists, bool disabled);
  void give_check(bool right, bool disabled);
  void give_up_auth(sasl::Failure condition,
                    std::string text);  // e.g. temporary-auth-failure: the store is away
  // Without a BindRequest (a resumed session, XEP-0198): the stream is bound, and nothing is sent.
  // Initiating: the answer to Feature::resume, Ready follows.
  void bound(const Jid& full);
  void bind();  // initiating: nothing was resumed, a resource is bound as ever
  void refuse_bind(const StanzaError& error);

  // --- from outside ---
  // Direct TLS: before anything was fed.
  void assume_tls(sasl::Bindings bindings);
  void close();  // sends </stream:stream>; next() gives Closed when the peer has answered
  // Sends the header if none was sent, the error and the closing tag (nothing during a TLS handshake). No
  // event follows: from then on next() swallows its input.
  void fail(const StreamError& error);
  [[nodiscard]] bool output_closed()
      const;  // our </stream:stream> is in output(): nothing more may be written

  [[nodiscard]] View view() const;
  [[nodiscard]] const Jid& jid() const;  // bare once authenticated, full once bound
  [[nodiscard]] const std::string& stream_id() const;
  [[nodiscard]] std::string_view lang() const;  // the peer's xml:lang of the header
  [[nodiscard]] std::size_t memory_bytes() const;

 private:
  std::unique_ptr<Core> core_;
};

}  // namespace starling::stream

#pragma once
// SASL (RFC 4422, RFC 6120 section 6) as a table of mechanisms. A mechanism is a small machine without I/O:
// it is fed what the peer sent and says what to do next. What it must know (stored keys, whether a password
// fits) it asks for, so that looking it up may take its time. Adding one is a class and an entry in the
// table.
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/crypto.h"
#include "jid/jid.h"

namespace starling::sasl {

// RFC 6120 6.5, in its order.
enum class Failure {
  aborted,
  account_disabled,
  credentials_expired,
  encryption_required,
  incorrect_encoding,
  invalid_authzid,
  invalid_mechanism,
  malformed_request,
  mechanism_too_weak,
  not_authorized,
  temporary_auth_failure,
};
std::string_view to_string(Failure failure);  // "not-authorized"
std::optional<Failure> parse_failure(std::string_view name);

// The salted keys of one hash (RFC 5802 section 3), bytes.
struct ScramKeys {
  std::string salt, stored_key, server_key;
  unsigned iterations = 0;
};
inline constexpr std::size_t kSaltBytes =
    16;  // of a new account's salt; decoys have as many, or they would stand out
inline constexpr unsigned kIterations =
    4096;  // what RFC 7677 section 4 asks at least, and what clients with small CPUs bear

// Milliseconds of CPU: never on a shard. `password` must have been through prepare_password().
ScramKeys derive_keys(crypto::Hash hash, std::string_view password, std::string_view salt,
                      unsigned iterations = kIterations);
// Keys for a user that does not exist: stable for the name under one server secret, never matching (RFC 5802
// section 9's attack).
ScramKeys decoy_keys(crypto::Hash hash, std::string_view server_secret, std::string_view bare_jid);

// What a -PLUS mechanism may bind to, by type; each empty where it is not valid.
struct Bindings {
  std::string tls_exporter;          // RFC 9266
  std::string tls_server_end_point;  // RFC 5929 section 4
  [[nodiscard]] bool any() const { return !tls_exporter.empty() || !tls_server_end_point.empty(); }
  // The data of a type by its registered name; empty for an unknown one too.
  [[nodiscard]] std::string_view of(std::string_view type) const;
};
// The registered names, strongest first (XEP-0440 section 3, rule 7).
inline constexpr std::array<std::string_view, 2> kBindingTypes = {"tls-exporter", "tls-server-end-point"};

// What a mechanism must know about the stream it runs on.
struct Channel {
  bool encrypted = false;
  std::string domain;  // the stream's
  Bindings bindings;
  std::string_view binding_type = {};  // initiating: of kBindingTypes, what a -PLUS mechanism binds to
  bool binding_offered = false;  // receiving: a -PLUS mechanism was among those offered (RFC 5802 section 6)
};

struct Challenge {
  std::string data;
};  // send, then wait for the response
struct NeedKeys {
  Jid account;
  crypto::Hash hash;
};  // answer with keys()
struct NeedCheck {
  Jid account;
  std::string password;
};  // answer with checked(); the owner wipes it
struct Success {
  Jid account;
  std::string data;
};  // additional data with success; bare JID
struct Failed {
  Failure condition;
  std::string text;
  std::string account;
};  // `account` for the log, as far as it is known
using Step = std::variant<Challenge, NeedKeys, NeedCheck, Success, Failed>;

class ServerMechanism {
 public:
  virtual ~ServerMechanism() = default;
  // What the peer sent, base64 already undone; the first call has the initial response, or nothing if there
  // was none.
  virtual Step respond(std::optional<std::string_view> data) = 0;
  // The answers. Without such an account `exists` is false and the keys are decoy_keys(). A `disabled`
  // account fails only after the proof was right. A mechanism that never asks need not override them.
  virtual Step keys(const ScramKeys& keys, bool exists, bool disabled);
  virtual Step checked(bool right, bool disabled);
};

class ClientMechanism {
 public:
  virtual ~ClientMechanism() = default;
  virtual Result<std::string> initial() = 0;  // the initial response
  // May derive keys, which takes milliseconds of CPU.
  virtual Result<std::string> respond(std::string_view challenge) = 0;
  virtual Result<void> verify(std::string_view success_data) = 0;  // the server's signature
};

struct Credentials {
  Jid jid;               // bare
  std::string password;  // prepared
};

// A row of the table.
struct Mechanism {
  std::string_view name;          // "SCRAM-SHA-256-PLUS"
  int strength = 0;               // clients take the highest that both know
  bool needs_encryption = false;  // PLAIN
  bool binds_channel = false;     // -PLUS: offered only with a valid binding
  std::function<std::unique_ptr<ServerMechanism>(const Channel&)> server;
  // `binding_offered`: the server offered a -PLUS variant (gs2 flag y or n, RFC 5802 section 6).
  std::function<std::unique_ptr<ClientMechanism>(const Channel&, const Credentials&, bool binding_offered)>
      client;
};
// SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN.
std::span<const Mechanism> standard_mechanisms();

}  // namespace starling::sasl

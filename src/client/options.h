#pragma once
// What a client is told before it connects. Plain data; every field has an initializer, so that naming some
// of them draws no warning.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/loop.h"
#include "jid/jid.h"
#include "stream/machine.h"

namespace starling::client {

// What a line of the debug log is about.
enum class Trace : std::uint8_t {
  plugin,
  dns,
  tls,
  state,
  event,
  send,
  send_immediate,
  receive,
  info,
  debug,
  warning
};
// Gets every line as it happens, on the client's thread. Stanzas are whole, once each, secrets masked.
using Tracer = std::function<void(Trace, std::string_view line)>;

struct Options {
  Jid jid{};  // bare or full: a resource is asked for, and made up by the server where there is none
  std::string password{};  // empty: a stream without login, as registering an account needs

  // --- where ---
  // "host:port" goes past DNS; a host alone is looked up, and empty the domain of `jid` is.
  std::string connect{};
  bool direct_tls = false;   // that "host:port" speaks TLS from the first byte (XEP-0368)
  std::string dns_server{};  // "127.0.0.1:5353"; empty: /etc/resolv.conf

  // --- how ---
  stream::TlsPolicy tls = stream::TlsPolicy::required;
  bool insecure = false;           // any certificate will do
  std::string ca_file{};           // PEM, trusted beside the system's
  bool plain_without_tls = false;  // the password may be sent in the clear
  std::string lang = "en";
  // SASL, in any order: the strongest that both sides know is taken. SASL2, Bind 2 and FAST are rows of
  // stream::Settings::features to come.
  std::span<const sasl::Mechanism> mechanisms = sasl::standard_mechanisms();

  // --- for how long ---
  bool reconnect = false;  // for ever, with a growing wait; not after a refused login or certificate
  // The plain waits, doubled from one to the other; each is moved by chance, by half of it at most, and is
  // never longer than the last. RFC 6120 3.3 would have the first one between 0 and 60 s.
  Milliseconds first_wait{1000}, longest_wait{300'000};
  Milliseconds connect_timeout{30'000};  // of one attempt, from DNS to a bound resource
  Milliseconds request_timeout{30'000};  // of an IQ that says nothing else
  Milliseconds keepalive{60'000};        // without a byte sent: a space is (RFC 6120 4.6.1); 0: never
  Milliseconds ping_after{120'000};      // without a byte received: the server is pinged (XEP-0199); 0: never
  Milliseconds ping_timeout{30'000};     // and this long after that it is dead
  Milliseconds close_timeout{
      5'000};  // to wait for the last acknowledgement and the server's </stream:stream>

  // XEP-0198, where the server offers it: it acknowledges what we send, and with `reconnect` a session
  // outlives its connections. What is not acknowledged yet is kept, and refused when it would be more than so
  // much.
  bool stream_management = true;
  std::size_t unacknowledged_bytes = 16'777'216;

  std::size_t stanza_bytes = 1'048'576;  // a longer one from the server ends the stream

  Tracer trace{};  // may be empty
};

}  // namespace starling::client

#pragma once
// An XMPP client: logs in, keeps the session alive, comes back when it is lost, and hands stanzas to whoever
// listens.
//
//   client::Client client({.jid = *Jid::parse("alice@example.org"), .password = "..."});
//   client.on.session_start([&] { client.send(client::Presence{}); });
//   client.on.message([&](const Stanza& message) { client.send(client::reply_to(message, "Hello")); });
//   client.run();
//
// Everything is for one thread, the one that runs its loop; post() is for any. Any function may be called
// from inside any handler (close() too); only destroying the client there is not allowed. What a handler
// throws ends the client, and run() throws it on.
#include <version>
#ifndef __cpp_lib_expected
#error "Starling's headers need std::expected: g++ 12 or clang++ 19 (or later ones), with -std=c++23"
#endif

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>

#include "client/extension.h"
#include "client/options.h"
#include "client/request.h"
#include "client/signal.h"
#include "client/stanzas.h"
#include "xml/writer.h"

namespace starling::net {
class Reactor;
}

namespace starling::client {

class Core;

enum class State : std::uint8_t {
  disconnected,  // not begun, over, or waiting for the next attempt (the session may be there still)
  connected,     // the TCP connection is there; TLS, login and binding are under way
  online,        // bound: stanzas may be sent
  closing,       // ours is closed, the server's </stream:stream> is due; stanzas still come
};
std::string_view to_string(State state);

// How a connection, or the client as a whole, came to its end.
struct Ended {
  enum class Why : std::uint8_t {
    closed,             // as it was asked to
    could_not_connect,  // nothing listens there, no such host, no XMPP
    untrusted,          // the certificate was refused; the text says what was expected and found
    not_authorized,     // the login was refused
    timed_out,          // the attempt took too long, or the server was silent for too long
    refused,            // by a stream error of the server; the text has it
    lost,               // the connection broke
  };
  Why why = Why::closed;
  std::string text{};                          // for a person: what happened, and what to try
  std::optional<StreamCondition> condition{};  // of a stream error, theirs or ours
  std::string other_host{};                    // where it sends us (RFC 6120 4.9.3.19)
};

// Answers one request; the copy that answers first counts. If all are dropped unused, the peer gets
// `internal-server-error`: it has a right to one answer (RFC 6120 8.2.3).
class Responder {
 public:
  void result(std::string_view payload = {}) const;  // well-formed, in its own namespace
  // `beside` goes before <error/>: what earlier versions of some protocols say in its place.
  void error(const StanzaError& error, std::string_view beside = {}) const;

 private:
  friend class Core;
  struct State;
  explicit Responder(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

class Client {
 public:
  explicit Client(Options options);                // with a loop of its own
  Client(Options options, net::Reactor& reactor);  // on a loop that it may share, and that outlives it
  explicit Client(std::shared_ptr<Core> core);     // internal, for tests on a loop without sockets
  ~Client();                                       // not inside a handler; drops the connection as it is
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // --- events, in the order in which they come ---
  struct Events {
    Signal<> connected{"connected"};          // TCP; TLS and login follow
    Signal<> session_start{"session_start"};  // bound, and all is new: send presence, ask for the roster
    // In its place after a reconnect: the session is the one of before, nothing of it was lost.
    Signal<> session_resumed{"session_resumed"};
    Signal<> sent_presence{"sent_presence"};     // the first available presence of a session
    Signal<const Stanza&> presence{"presence"};  // any, before what it means:
    Signal<const Stanza&> presence_available{"presence_available"};
    Signal<const Stanza&> got_online{"got_online"};          // of a resource that was not there
    Signal<const Stanza&> changed_status{"changed_status"};  // its show or status differs from the last one
    Signal<const Stanza&> presence_unavailable{"presence_unavailable"};
    Signal<const Stanza&> got_offline{"got_offline"};
    Signal<const Stanza&> subscription{"presence_subscription"};  // subscribe, subscribed, ... (RFC 6121 3)
    Signal<const Stanza&> message{"message"};                     // of any type, errors and groupchat too
    Signal<> session_end{"session_end"};  // we close: no more is sent, but what is under way still arrives
    // A message of ours that the server has not acknowledged when the client ends, or that it ended the
    // stream for: nobody knows whether it arrived. Only where there is stream management.
    Signal<const Stanza&> undelivered{"undelivered"};
    Signal<const Ended&> disconnected{"disconnected"};  // after each connection or attempt
  };
  Events& on;

  // --- life ---
  // Begins; no effect if it has begun, nor before outcome() has thrown on what a handler threw. After the end
  // (the last `disconnected` is after it): once more.
  void connect();
  void close();  // cleanly; also gives up connecting and waiting
  // Until the client has ended for good: after close(), or, without Options::reconnect, when the connection
  // is over. connect()s if nobody has.
  Ended run();
  // Another loop drives it: turn() whenever descriptor() is readable, and once after connect(). Neither
  // blocks.
  [[nodiscard]] int descriptor() const;
  void turn();
  [[nodiscard]] bool ended() const;  // nothing will happen any more
  Ended outcome();                   // once ended(), for whoever called turn(): what run() returns or throws
  void post(Job job);                // runs it on the client's thread; any thread
  // Runs it so much later, unless the client is destroyed first, and like a handler: what it throws ends the
  // client. To be cancelled in loop().
  Loop::TimerId run_after(Milliseconds delay, Job job);
  [[nodiscard]] Loop& loop() const;

  [[nodiscard]] State state() const;
  [[nodiscard]] const Jid& jid() const;  // full once bound
  [[nodiscard]] const Options& options() const;
  // The last <stream:features/>; of an empty document before session_start.
  [[nodiscard]] const xml::Document& stream_features() const;
  [[nodiscard]] bool encrypted() const;             // the connection is, by TLS
  [[nodiscard]] std::string local_address() const;  // our own IP address on the connection; empty without one

  // --- sending: false (or an empty id) when there is no session, and when too much is not acknowledged ---
  // While a session waits to be resumed, it is kept until then.
  std::string send(const Message& message);  // returns the id
  bool send(const Presence& presence);
  bool send_xml(std::string_view stanza);          // one whole stanza, as it is
  [[nodiscard]] std::size_t queued_bytes() const;  // not yet taken by the kernel
  // Comes once the server has all messages that were sent until now: it has acknowledged them (XEP-0198), or,
  // where it does not do that, answered what was sent after them (RFC 6120 10.1). Outlives connections as the
  // messages do; `disconnected` when the client ended before.
  Request<void> acknowledged();
  [[nodiscard]] bool acknowledges() const;  // the server does, in this session: by XEP-0198

  // --- requests ---
  // `payload` is one well-formed element with its xmlns. To nobody: to our own account (RFC 6120 10.3.3).
  Request<StanzaPtr> request(Type type, const Jid& to, std::string_view payload,
                             Milliseconds timeout = Milliseconds{0});
  using RequestHandler = std::move_only_function<void(const Stanza& iq, Responder respond)>;
  // Requests with a payload of that name; those nobody handles are answered service-unavailable.
  void on_request(Type type, std::string_view name, std::string_view ns, RequestHandler handler);

  // --- extensions ---
  template <class E, class... Args>
  E& use(Args&&... args) {
    if (Extension* known = find(typeid(E))) return static_cast<E&>(*known);
    auto made = std::make_unique<E>(*this, std::forward<Args>(args)...);
    E& extension = *made;
    add(typeid(E), std::move(made));
    return extension;
  }
  [[nodiscard]] std::vector<Extension::Info> extensions() const;
  // Once a session is over for good, closed or lost without a way back: what was known by it is void. Comes
  // before the event that tells.
  void on_session_over(std::move_only_function<void()> forget);
  // Writes further content into every available presence that is sent, to all or to one (entity
  // capabilities).
  void on_own_presence(std::move_only_function<void(xml::Writer&)> writer);

  // For extensions: calls one of several that must all be called. What it throws ends the client.
  void guarded(Job call);
  // Their own events, in the debug log like the core's, and lines of their own.
  template <class... Args>
  void raise(Signal<Args...>& signal, std::type_identity_t<Args>... args) {
    trace_event(signal.name());
    signal.emit(std::forward<Args>(args)...);
  }
  void trace(Trace kind, std::string_view line) const;
  [[nodiscard]] std::string next_id();  // never used before, and no guess of who has seen none

 private:
  [[nodiscard]] Extension* find(std::type_index type) const;
  void add(std::type_index type, std::unique_ptr<Extension> extension);
  void trace_event(std::string_view name) const;
  void trace_plugin(std::string_view specification, std::string_view name) const;
  explicit Client(std::pair<std::unique_ptr<net::Reactor>, std::shared_ptr<Core>> parts);

  std::unique_ptr<net::Reactor> own_reactor_;
  std::shared_ptr<Core> core_;
  std::vector<std::pair<std::type_index, std::unique_ptr<Extension>>> extensions_;
};

}  // namespace starling::client

// Everything in the callback form, with extensions, which g++ 12 compiles: no server is there, and that is
// told.
#include <stdexcept>

#include "client/client.h"
#include "client/ext/ping.h"
#include "nowhere.h"

using namespace starling;

int main() {
  const auto jid = Jid::parse("alice@example.org");
  if (!jid) return EXIT_FAILURE;
  client::Client client({.jid = *jid, .password = "secret", .connect = nowhere()});
  auto& ping = client.use<client::Ping>();
  int events = 0;
  client.on.session_start([&] {
    client.send(client::Presence{});
    ping.ping(Jid()).then([&](const client::Outcome<Milliseconds>&) { client.close(); });
  });
  client.on.message([&](const Stanza& message) { client.send(client::reply_to(message, "Hello")); });
  client.on.disconnected([&](const client::Ended&) { ++events; });
  // Without a session, every request is answered that there is none.
  ping.ping(Jid()).then([&](const client::Outcome<Milliseconds>& answer) {
    if (!answer && answer.error().kind == client::RequestError::Kind::disconnected) ++events;
  });
  const int code = check(client.run());
  if (events != 2) return EXIT_FAILURE;

  // What a handler throws comes out of run(), through the library and back.
  client.on.disconnected([](const client::Ended&) { throw std::runtime_error("thrown by a handler"); });
  try {
    client.run();
  } catch (const std::runtime_error&) {
    return code;
  }
  return EXIT_FAILURE;
}

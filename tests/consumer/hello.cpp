// The first program of docs/client-library.md.
#include "client/client.h"

using namespace starling;

int main() {
  client::Client client({.jid = *Jid::parse("alice@example.org"), .password = "secret"});
  client.on.session_start([&] { client.send(client::Presence{}); });
  client.on.message([&](const Stanza& message) {
    if (client::body_of(message) == "Hello?") client.send(client::reply_to(message, "Here I am."));
  });
  return client.run().why == client::Ended::Why::closed ? 0 : 1;
}

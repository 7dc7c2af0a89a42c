// A program with a loop of its own: poll(2) over the client's descriptor and whatever else it has.
#include <array>

#include <poll.h>

#include "client/client.h"
#include "nowhere.h"

using namespace starling;

int main() {
  client::Client client(
      {.jid = *Jid::parse("alice@example.org"), .password = "secret", .connect = nowhere()});

  std::array<pollfd, 1> watched{{{.fd = client.descriptor(), .events = POLLIN, .revents = 0}}};
  client.connect();
  client.turn();
  while (!client.ended()) {
    ::poll(watched.data(), watched.size(), -1);
    if (watched[0].revents != 0) client.turn();
  }
  const client::Ended ended = client.outcome();

  return check(ended);
}

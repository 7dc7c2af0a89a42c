// Requests that are awaited: for clang, and g++ 13 and later.
#include "base/task.h"
#include "client/client.h"
#include "client/ext/ping.h"
#include "nowhere.h"

using namespace starling;

namespace {

Task<void> greet(client::Client& client) {
  client.send(client::Presence{});
  const auto took = co_await client.use<client::Ping>().ping(Jid());
  if (took)
    std::printf("the server has answered within %lld ms\n", static_cast<long long>(took->count()));
  else
    std::printf("%s\n", took.error().message().c_str());
  client.close();
}

}  // namespace

int main() {
  client::Client client(
      {.jid = *Jid::parse("alice@example.org"), .password = "secret", .connect = nowhere()});
  client.on.session_start([&] { spawn(greet(client)); });
  spawn(greet(client));  // now, without a session
  return check(client.run());
}

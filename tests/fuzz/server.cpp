// The whole server in memory, several clients' bytes in one input. The first clients are logged in already,
// the last one begins with nothing. An input is a list of records: who, how many bytes, the bytes; a few
// values of `who` move the clock, pull a cable or make a write fail. The server must neither crash nor forget
// to answer a client that behaves.
#include <cstdint>
#include <cstdlib>

#include "base/log.h"
#include "support/test_host.h"

using namespace starling;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bool quiet = (log::set_level(log::Level::off), true);
  static_cast<void>(quiet);
  if (size > 8192) return 0;
  TestHost host(TestHost::default_config(), 2);
  std::vector<TestClient*> clients{&host.login("romeo@localhost/orchard"),
                                   &host.login("juliet@localhost/balcony"),
                                   &host.login("juliet@localhost/chamber"), &host.connect()};
  TestClient& witness = host.login("nurse@localhost/kitchen");

  std::string_view input(reinterpret_cast<const char*>(data), size);
  while (input.size() >= 2) {
    const auto who = static_cast<std::uint8_t>(input[0]);
    const std::size_t length = std::min<std::size_t>(static_cast<std::uint8_t>(input[1]), input.size() - 2);
    const std::string_view bytes = input.substr(2, length);
    input.remove_prefix(2 + length);
    TestClient& client = *clients[who % clients.size()];
    switch (who / 16) {
      case 13:
        host.advance(std::chrono::seconds(length));
        break;
      case 14:
        if (!client.closed()) client.disconnect();
        break;
      case 15:
        host.faults().fail_write(length);
        break;
      case 12:
        client.send_raw(bytes);
        break;  // together with what comes next
      default:
        client.send(bytes);
        break;
    }
    client.take();
  }
  host.faults().fail_write(0);
  if (!witness.closed()) {
    witness.take();
    witness.send("<iq type='get' id='still-here' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
    if (witness.take().find("still-here") == std::string::npos) std::abort();
  }
  return 0;
}

// A device that tells everybody who asks how busy this machine is (XEP-0323). Ctrl-C ends it.
#include "client/ext/sensor.h"

#include <cstdio>
#include <cstdlib>
#include <string>

#include "arguments.h"
#include "client/client.h"
#include "client/ext/caps.h"

using namespace starling;
using client::Sensor;

int main(int argc, char** argv) {
  auto arguments =
      examples::read_arguments(argc, argv, "-j JID/NODE [-p PASSWORD] [--connect HOST:PORT] [--ca FILE]");
  if (!arguments) return 2;
  if (arguments->login.jid.is_bare()) {
    std::fprintf(stderr, "%s is an account: give the sensor a name in it, %s/NODE\n",
                 arguments->login.jid.text().c_str(), arguments->login.jid.text().c_str());
    return 2;
  }
  arguments->login.reconnect = true;
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a line at a time, also into files
  const std::string node_id(arguments->login.jid.resource());

  client::Client client(std::move(arguments->login));
  client.use<client::Caps>();
  client.use<client::Disco>().set_identity("client", "bot", "Load of a machine");
  auto& node = client.use<Sensor>().add_node({.node_id = node_id});
  node.add_field({.name = "Load", .value = {payload::IotType::numeric}, .unit = "%"});
  node.refresh = [](Sensor::Node& asked, const Sensor::Names&, const Sensor::Done& done) {
    double load = 0;
    if (::getloadavg(&load, 1) != 1)
      return done(fail(Errc::unavailable, "the system does not tell its load"));
    asked.set("Load", std::to_string(static_cast<int>(load * 100)));
    done({});
  };
  client.on.session_start([&] {
    client.send(client::Presence{});
    std::printf("sensor %s as %s\n", node_id.c_str(), client.jid().text().c_str());
  });
  client.on.disconnected([](const client::Ended& ended) {
    if (ended.why != client::Ended::Why::closed) std::fprintf(stderr, "%s\n", ended.text.c_str());
  });
  return examples::exit_code(examples::run_until_interrupted(client));
}

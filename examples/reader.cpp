// Reads a sensor once and prints what it says (XEP-0323).
#include <cstdio>

#include "arguments.h"
#include "client/client.h"
#include "client/ext/sensor_reader.h"

using namespace starling;
using client::SensorReader;

namespace {

void print(const SensorReader::Reading& reading) {
  for (const auto& node : reading.nodes)
    for (const auto& timestamp : node.timestamps)
      for (const auto& field : timestamp.fields)
        std::printf("%s %s %s\n", field.name.c_str(), field.value.text.c_str(), field.unit.c_str());
  for (const auto& problem : reading.problems)
    std::fprintf(stderr, "node %s: %s\n", problem.node.node_id.c_str(), problem.text.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  auto arguments = examples::read_arguments(
      argc, argv, "-j JID [-p PASSWORD] -t DEVICE [--connect HOST:PORT] [--ca FILE]", {"-t"});
  if (!arguments) return 2;
  const auto device = Jid::parse(arguments->more["-t"]);
  if (!device) {
    std::fprintf(stderr, "%s\n", device.error().message.c_str());
    return 2;
  }

  client::Client client(std::move(arguments->login));
  auto& reader = client.use<SensorReader>();
  bool read = false;
  client.on.session_start([&] {
    client.send(client::Presence{});
    reader.read(*device, {.kinds = {payload::SensorFlag::momentary}})
        .result.then([&](const client::Outcome<SensorReader::Reading>& reading) {
          if (reading) {
            print(*reading);
            read = reading->problems.empty();
          } else {
            std::fprintf(stderr, "%s\n", reading.error().message().c_str());
          }
          client.close();
        });
  });
  const client::Ended ended = client.run();
  if (ended.why != client::Ended::Why::closed) std::fprintf(stderr, "%s\n", ended.text.c_str());
  return examples::exit_code(ended, read);
}

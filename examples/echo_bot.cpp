// Answers every message with thanks and its own words. Ctrl-C ends it.
#include <cstdio>
#include <string>

#include "arguments.h"
#include "client/client.h"
#include "client/ext/roster.h"

using namespace starling;

int main(int argc, char** argv) {
  auto arguments =
      examples::read_arguments(argc, argv, "-j JID [-p PASSWORD] [--connect HOST:PORT] [--ca FILE]");
  if (!arguments) return 2;
  arguments->login.reconnect = true;
  std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // a line at a time, also into files

  client::Client client(std::move(arguments->login));
  auto& roster = client.use<client::Roster>();
  client.on.session_start([&] {
    roster.get();
    client.send(client::Presence{});
    std::printf("echoing as %s\n", client.jid().text().c_str());
  });
  client.on.message([&](const Stanza& message) {
    if (message.type() != Type::chat && message.type() != Type::normal) return;
    const auto body = client::body_of(message);
    if (body.empty()) return;
    client.send(client::reply_to(message, "Thanks for sending\n" + std::string(body)));
    std::printf("answered %s\n", message.from().text().c_str());
  });
  client.on.disconnected([](const client::Ended& ended) {
    if (ended.why != client::Ended::Why::closed) std::fprintf(stderr, "%s\n", ended.text.c_str());
  });
  return examples::exit_code(examples::run_until_interrupted(client));
}

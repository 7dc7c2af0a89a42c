// Sends one message and leaves. The exit code tells whether its server has it.
#include <cstdio>

#include "arguments.h"
#include "client/client.h"
#include "client/ext/ping.h"

using namespace starling;

int main(int argc, char** argv) {
  auto arguments = examples::read_arguments(
      argc, argv, "-j JID [-p PASSWORD] -t TO -m TEXT [--connect HOST:PORT] [--ca FILE]", {"-t", "-m"});
  if (!arguments) return 2;
  const auto to = Jid::parse(arguments->more["-t"]);
  if (!to) {
    std::fprintf(stderr, "%s\n", to.error().message.c_str());
    return 2;
  }

  client::Client client(std::move(arguments->login));
  auto& ping = client.use<client::Ping>();
  bool taken = false, refused = false;
  client.on.session_start([&] {
    client.send(client::Presence{});  // what is refused comes back to those who are there
    client.send(client::Message{.to = *to, .body = arguments->more["-m"]});
    // This goes the message's way and is answered after it, if only by a refusal.
    ping.ping(to->to_bare()).then([&](const client::Outcome<Milliseconds>& answer) {
      taken = answer || answer.error().kind == client::RequestError::Kind::refused;
      client.close();
    });
  });
  client.on.message([&](const Stanza& message) {
    if (message.type() != Type::error) return;
    refused = true;
    std::fprintf(stderr, "refused: %s\n",
                 client::RequestError{.error = client::error_of(message)}.message().c_str());
  });

  const client::Ended ended = client.run();
  if (ended.why != client::Ended::Why::closed) std::fprintf(stderr, "%s\n", ended.text.c_str());
  const int exit = examples::exit_code(ended, taken && !refused);
  if (exit == 0) std::printf("Done\n");
  return exit;
}

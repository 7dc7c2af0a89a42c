#pragma once
// The command line of the examples: options, each with a value. All have
//
//   -j JID [-p PASSWORD] [--connect HOST:PORT] [--ca FILE]
//
// where the password may be in STARLING_PASSWORD instead, HOST:PORT goes past DNS, and FILE (PEM) is trusted
// beside the system's certificates.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "client/client.h"

namespace examples {

struct Arguments {
  starling::client::Options login;
  std::map<std::string, std::string, std::less<>> more;  // the program's own: "-t" and what follows it
};

// Nothing, and `usage` on stderr, if one of `needed` is not there, or something is that is not in `allowed`
// either.
inline std::optional<Arguments> read_arguments(int argc, char** argv, const char* usage,
                                               const std::vector<std::string_view>& needed = {},
                                               const std::vector<std::string_view>& allowed = {}) {
  Arguments arguments;
  auto& [login, more] = arguments;
  for (int i = 1; i < argc; i += 2) more.emplace(argv[i], i + 1 < argc ? argv[i + 1] : "");
  const auto take = [&more](std::string_view name) {
    const auto node = more.extract(std::string(name));
    return node.empty() ? std::string() : node.mapped();
  };
  const auto jid = starling::Jid::parse(take("-j"));
  login.password = take("-p");
  if (const char* set = std::getenv("STARLING_PASSWORD"); login.password.empty() && set != nullptr)
    login.password = set;
  login.connect = take("--connect");
  login.ca_file = take("--ca");
  std::size_t known = 0;
  for (const auto name : allowed) known += more.count(name);
  bool complete = jid && !login.password.empty() && more.size() == needed.size() + known;
  for (const auto name : needed) complete = complete && more.contains(name);
  if (!complete) {
    std::fprintf(stderr, "usage: %s %s\n", argv[0], usage);
    return std::nullopt;
  }
  login.jid = *jid;
  return arguments;
}

// client.run(), closed in peace by the first SIGINT or SIGTERM; the second one ends the process. Before any
// other thread is started.
inline starling::client::Ended run_until_interrupted(starling::client::Client& client) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);  // of a reader of stdout that has gone
  pollfd watched[] = {{client.descriptor(), POLLIN, 0}, {signalfd(-1, &signals, SFD_CLOEXEC), POLLIN, 0}};
  client.connect();
  client.turn();
  while (!client.ended()) {
    poll(watched, 2, -1);
    signalfd_siginfo signal;
    if (watched[1].revents != 0 && read(watched[1].fd, &signal, sizeof signal) > 0) {
      client.close();
      pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    }
    client.turn();
  }
  return client.outcome();
}

// What main() returns: 0 done, 1 not done, 3 could not connect or lost the connection, 4 not authorised, 5
// timed out. 2 is wrong usage.
inline int exit_code(const starling::client::Ended& ended, bool done = true) {
  using Why = starling::client::Ended::Why;
  switch (ended.why) {
    case Why::closed:
      return done ? 0 : 1;
    case Why::not_authorized:
      return 4;
    case Why::timed_out:
      return 5;
    default:
      return 3;
  }
}

}  // namespace examples

// Two clients side by side on Boost.Asio.
#include "client/asio.h"

#include <boost/asio/io_context.hpp>

#include "nowhere.h"

using namespace starling;

int main() {
  client::Client alice({.jid = *Jid::parse("alice@example.org"), .password = "secret", .connect = nowhere()});
  client::Client bob({.jid = *Jid::parse("bob@example.org"), .password = "secret", .connect = nowhere()});

  boost::asio::io_context io;
  int failures = 0;
  for (client::Client* client : {&alice, &bob})
    client::async_run(*client, io.get_executor(), [&](std::exception_ptr thrown, const client::Ended& ended) {
      if (thrown) std::rethrow_exception(thrown);
      failures += check(ended);
    });
  io.run();

  return failures;
}

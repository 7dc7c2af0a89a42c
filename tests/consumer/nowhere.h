#pragma once
// Where nobody listens, and what all these programs check.
#include <cstdio>
#include <cstdlib>
#include <string>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/client.h"

// "127.0.0.1:PORT" of a port that was free a moment ago.
inline std::string nowhere() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(socket, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
      ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    std::abort();
  ::close(socket);
  return "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

// An exit code: 0 if it has failed as it must.
inline int check(const starling::client::Ended& ended) {
  std::printf("%s\n", ended.text.c_str());
  return ended.why == starling::client::Ended::Why::could_not_connect ? EXIT_SUCCESS : EXIT_FAILURE;
}

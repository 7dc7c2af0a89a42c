#pragma once
// Runs a client on Boost.Asio, beside whatever else runs there:
//
//   boost::asio::io_context io;
//   client::async_run(client, io.get_executor(), [](std::exception_ptr thrown, client::Ended ended) { ... });
//   io.run();
//
// Turns of the client run on the executor (on that of the completion handler, where it has its own); where
// several threads run it, a strand. All else that is done with the client belongs there too, but for post().
// Boost 1.74 or later; the library itself needs none.
#include <cerrno>
#include <cstdint>
#include <exception>
#include <memory>
#include <system_error>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <fcntl.h>

#include "client/client.h"

namespace starling::client {

namespace detail {

class AsioRun {
 public:
  using Descriptor = boost::asio::posix::stream_descriptor;
  AsioRun(Client& client, std::unique_ptr<Descriptor> descriptor)
      : client_(&client), descriptor_(std::move(descriptor)) {}

  template <class Self>
  void operator()(Self& self, boost::system::error_code = {}) {
    switch (std::exchange(next_, Step::turn)) {
      case Step::begin:  // inside async_run(), which may not complete
        next_ = Step::connect;
        return boost::asio::post(descriptor_->get_executor(), std::move(self));
      case Step::connect:
        client_->connect();
        [[fallthrough]];
      case Step::turn:
        client_->turn();
    }
    auto& descriptor = *descriptor_;
    if (!client_->ended()) return descriptor.async_wait(Descriptor::wait_read, std::move(self));
    complete(self);
  }

 private:
  template <class Self>
  void complete(Self& self) {
    descriptor_.reset();
    Ended ended;
    std::exception_ptr thrown;
    try {
      ended = client_->outcome();
    } catch (...) {
      thrown = std::current_exception();
    }
    self.complete(thrown, std::move(ended));
  }

  Client* client_;
  std::unique_ptr<Descriptor> descriptor_;
  enum class Step : std::uint8_t { begin, connect, turn } next_ = Step::begin;
};

}  // namespace detail

// What Client::run() does, without blocking: connects, and completes when the client has ended, with what a
// handler threw and how it ended. To stop it, close() the client; it outlives the operation. Throws
// std::system_error when there is no descriptor left.
template <class Token>
auto async_run(Client& client, const boost::asio::any_io_executor& executor, Token&& token) {
  // A copy, since Asio closes what it is given.
  const int copy = ::fcntl(client.descriptor(), F_DUPFD_CLOEXEC, 0);
  if (copy < 0) throw std::system_error(errno, std::generic_category(), "fcntl");
  auto descriptor = std::make_unique<detail::AsioRun::Descriptor>(executor, copy);
  auto& where = *descriptor;
  return boost::asio::async_compose<Token, void(std::exception_ptr, Ended)>(
      detail::AsioRun(client, std::move(descriptor)), token, where);
}

}  // namespace starling::client

#pragma once
// Many clients of one server, on one loop. They stay until the fleet goes; one that loses its session is a
// failure of the whole. The loop's thread.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "client/client.h"
#include "net/reactor.h"

namespace starling::cli::bench {

// Accounts are uN@DOMAIN with the password pw-uN, N from `first` on.
struct Target {
  std::string domain = "localhost", connect, tls = "required", mechanism;
  std::size_t first = 0;
  bool stream_management = true;
};

std::string account_name(std::size_t number);
std::string password_of(std::size_t number);
// What the client of that account is told.
client::Options options_for(const Target& target, std::size_t number);

class Fleet {
 public:
  Fleet(net::Reactor& reactor, Target target) : reactor_(reactor), target_(std::move(target)) {}
  Fleet(const Fleet&) = delete;
  Fleet& operator=(const Fleet&) = delete;

  // So many more log in, some at a time. Ends early with the first failure. One call at a time.
  Task<Result<void>> grow(std::size_t count);
  // Their streams are closed; ends when all are.
  Task<void> leave();
  // All of them go as they are, without a word. Not inside a handler.
  void drop() { clients_.clear(); }

  [[nodiscard]] std::size_t size() const { return clients_.size(); }
  [[nodiscard]] std::size_t online() const { return online_; }
  client::Client& operator[](std::size_t index) { return *clients_[index]; }
  // Why one of them was lost; none was as long as it is empty.
  [[nodiscard]] const std::optional<Error>& failure() const { return failure_; }

 private:
  void connect_next();
  void settle();
  void lost(const client::Client& client, const client::Ended& ended);

  net::Reactor& reactor_;
  Target target_;
  std::vector<std::unique_ptr<client::Client>> clients_;
  std::size_t wanted_ = 0, online_ = 0, gone_ = 0;
  bool leaving_ = false;
  std::optional<Error> failure_;
  std::optional<Completion<bool>::Resolver> waiting_;  // grow() or leave()
};

}  // namespace starling::cli::bench

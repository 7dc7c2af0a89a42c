#pragma once
// An event that a program may listen to: `client.on.message([](const Stanza& message) { ... });`. A handler
// lives as long as the client; a handler may add handlers, close the client and send. Own thread.
#include <cstddef>
#include <deque>
#include <functional>
#include <string_view>
#include <utility>

namespace starling::client {

template <class... Args>
class Signal {
 public:
  using Handler = std::move_only_function<void(Args...)>;

  explicit Signal(std::string_view name) : name_(name) {}  // a literal
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  void operator()(Handler handler) { handlers_.push_back(std::move(handler)); }

  [[nodiscard]] std::string_view name() const { return name_; }

  // For whoever owns the event (Client::raise() writes the debug log as well). In the order of adding; one
  // added meanwhile hears of the next event.
  void emit(Args... args) {
    const std::size_t count = handlers_.size();
    for (std::size_t i = 0; i < count; ++i) handlers_[i](args...);
  }

 private:
  std::string_view name_;
  std::deque<Handler> handlers_;  // stays where it is while one of them runs
};

}  // namespace starling::client

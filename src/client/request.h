#pragma once
// The answer to an IQ that is under way: `request.then(callback)`, or `co_await std::move(request)` inside a
// Task. Both are the same thing: the answer comes once, on the client's thread, and never before the call
// that sent the request has returned. A Request that is dropped sends all the same, and nobody hears the
// answer.
#include <coroutine>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "stanza/stanza.h"

namespace starling::client {

struct RequestError {
  enum class Kind : std::uint8_t {
    refused,       // the peer's answer is an error; `error` has it
    timed_out,     // no answer in time
    disconnected,  // there is no session (any more): nobody knows whether the peer got it
    malformed,     // the answer is none to this request
  };
  Kind kind = Kind::refused;
  StanzaError error{};
  std::string text{};  // for a person
  StanzaPtr answer{};  // of `refused`: the error as it came

  // One line for a person: "service-unavailable: There is no such resource".
  [[nodiscard]] std::string message() const;
};

template <class T>
using Outcome = std::expected<T, RequestError>;

inline std::unexpected<RequestError> malformed(std::string text) {
  return std::unexpected(RequestError{RequestError::Kind::malformed, {}, std::move(text)});
}

// For Request::map(), where a result is all that is asked for, and where `parse` reads its payload:
//   request(...).map(content(payload::parse_software_version))
inline Outcome<void> no_content(const StanzaPtr&) { return {}; }
template <class T>
auto content(Result<T> (*parse)(const xml::Element&)) {
  return [parse](const StanzaPtr& answer) -> Outcome<T> {
    if (answer->payload() == nullptr) return malformed("the answer is empty");
    auto parsed = parse(*answer->payload());
    if (!parsed) return malformed(std::move(parsed.error().message));
    return *std::move(parsed);
  };
}

template <class T>
class Request {
  struct State {
    std::optional<Outcome<T>> outcome;  // came before anybody listened
    std::move_only_function<void(Outcome<T>)> done;
  };

 public:
  using Value = T;
  using Done = std::move_only_function<void(Outcome<T>)>;

  // Whoever has the answer calls it, once.
  class Resolver {
   public:
    explicit Resolver(std::shared_ptr<State> state) : state_(std::move(state)) {}
    void operator()(Outcome<T> outcome) const {
      if (state_->done) {
        std::exchange(state_->done, {})(std::move(outcome));
      } else {
        state_->outcome.emplace(std::move(outcome));
      }
    }

   private:
    std::shared_ptr<State> state_;
  };

  Request() : state_(std::make_shared<State>()) {}
  [[nodiscard]] Resolver resolver() const { return Resolver(state_); }

  void then(Done done) && {
    if (state_->outcome) {
      done(*std::move(state_->outcome));
    } else {
      state_->done = std::move(done);
    }
  }

  // A request for what `read` makes of the answer; `read` returns an Outcome.
  template <class Read, class U = typename std::invoke_result_t<Read, T>::value_type>
  Request<U> map(Read read) && {
    Request<U> mapped;
    std::move(*this).then([resolve = mapped.resolver(), read = std::move(read)](Outcome<T> outcome) mutable {
      if (!outcome) return resolve(std::unexpected(std::move(outcome.error())));
      if constexpr (std::is_void_v<T>) {
        resolve(read());
      } else {
        resolve(read(*std::move(outcome)));
      }
    });
    return mapped;
  }

  // The coroutine may be destroyed while it waits: the answer then finds nobody.
  class Awaiter {
   public:
    explicit Awaiter(Request request) : request_(std::move(request)), box_(std::make_shared<Box>()) {}
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    ~Awaiter() { box_->waiting = {}; }
    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> waiting) {
      std::move(request_).then([box = box_](Outcome<T> outcome) {
        box->outcome.emplace(std::move(outcome));
        if (auto handle = std::exchange(box->waiting, {})) handle.resume();
      });
      if (box_->outcome) return false;  // it was there already
      box_->waiting = waiting;
      return true;
    }
    Outcome<T> await_resume() { return *std::move(box_->outcome); }

   private:
    struct Box {
      std::optional<Outcome<T>> outcome;
      std::coroutine_handle<> waiting;
    };
    Request request_;
    std::shared_ptr<Box> box_;
  };
  Awaiter operator co_await() && { return Awaiter(std::move(*this)); }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace starling::client

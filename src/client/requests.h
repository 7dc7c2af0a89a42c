#pragma once
// The IQs that wait for their answer. Internal to this room; the loop's thread.
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/loop.h"
#include "client/request.h"

namespace starling::client {

class Core;

class Requests {
 public:
  explicit Requests(Core& core) : core_(core) {}
  ~Requests();
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  // `to` is whom it was sent to; empty: our own account.
  void add(std::string id, Jid to, Milliseconds timeout, Request<StanzaPtr>::Resolver resolve);
  // True if `answer` was waited for. An answer counts only from the address that was asked (RFC
  // 6120 8.1.2.1), and from the server when that was our own account or nobody; `self` is our full address.
  bool take(const StanzaPtr& answer, const Jid& self);
  void fail_all(const RequestError& error);  // in the order of their sending, whatever one of them throws
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }

 private:
  struct Waiting {
    Jid to;
    Request<StanzaPtr>::Resolver resolve;
    Loop::TimerId timer;
    std::uint64_t order;
  };
  Core& core_;
  std::unordered_map<std::string, Waiting> waiting_;  // by id
  std::uint64_t sent_ = 0;
};

}  // namespace starling::client

#include "client/requests.h"

#include <algorithm>
#include <vector>

#include "client/core.h"
#include "client/stanzas.h"

namespace starling::client {
namespace {

bool answers(const Jid& from, const Jid& to, const Jid& self) {
  if (from == to) return true;
  // Our server speaks for our account and for itself: without an address, with the account's, or with its
  // own.
  const bool to_server = to.empty() || to == self.to_bare() || to == self || to == self.to_domain();
  return to_server && (from.empty() || from == self.to_bare() || (to.empty() && from == self.to_domain()) ||
                       (to.empty() && from == self));
}

}  // namespace

std::string RequestError::message() const {
  if (kind != Kind::refused) return text;
  const auto condition = to_string(error.condition);
  return error.text.empty() ? std::string(condition) : fmt::format("{}: {}", condition, error.text);
}

Requests::~Requests() {
  for (auto& [id, waiting] : waiting_) core_.loop().cancel(waiting.timer);
}

void Requests::add(std::string id, Jid to, Milliseconds timeout, Request<StanzaPtr>::Resolver resolve) {
  const auto timer = core_.run_after(timeout, [this, id, timeout] {
    auto found = waiting_.extract(id);
    const auto whom = found.mapped().to.empty() ? std::string("the server") : found.mapped().to.text();
    found.mapped().resolve(std::unexpected(RequestError{
        RequestError::Kind::timed_out,
        {},
        fmt::format("no answer from {} within {} s", whom, static_cast<double>(timeout.count()) / 1000)}));
  });
  waiting_.emplace(std::move(id), Waiting{std::move(to), std::move(resolve), timer, sent_++});
}

bool Requests::take(const StanzaPtr& answer, const Jid& self) {
  const auto found = waiting_.find(std::string(answer->id()));
  if (found == waiting_.end() || !answers(answer->from(), found->second.to, self)) return false;
  const auto resolve = std::move(found->second.resolve);
  core_.loop().cancel(found->second.timer);
  waiting_.erase(found);
  if (answer->type() == Type::result) {
    resolve(answer);
  } else {
    resolve(std::unexpected(RequestError{RequestError::Kind::refused, error_of(*answer), {}, answer}));
  }
  return true;
}

void Requests::fail_all(const RequestError& error) {
  std::vector<Waiting> all;
  for (auto& [id, waiting] : waiting_) {
    core_.loop().cancel(waiting.timer);
    all.push_back(std::move(waiting));
  }
  waiting_.clear();
  std::ranges::sort(all, {}, &Waiting::order);
  for (const auto& waiting : all) core_.guarded([&] { waiting.resolve(std::unexpected(error)); });
}

}  // namespace starling::client

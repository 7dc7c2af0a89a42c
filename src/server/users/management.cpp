#include "server/users/management.h"

#include <algorithm>

namespace starling::server {

std::size_t Management::Sent::bytes() const {
  return sizeof(Sent) + text.size() +
         (outgoing.envelope.stanza ? outgoing.envelope.stanza->memory_bytes() : 0);
}

void Management::restore(storage::Ledger received, std::uint32_t sent, std::uint32_t lossy,
                         std::vector<std::pair<std::uint32_t, Outgoing>> untaken) {
  restored_ = true;
  received_ = last_message_ = received.received();
  recorded_ = std::move(received);
  acknowledged_ = lossy_ = shared_ = lossy;
  for (auto& [number, outgoing] : untaken) {
    if (!is_after(number, lossy)) {
      earlier_.push_back(std::move(outgoing));
      continue;
    }
    while (is_after(number - 1, this->sent())) send({});  // nobody misses it; something stands in for it
    send({std::move(outgoing), {}});
  }
  while (is_after(sent, this->sent())) send({});
  restored_sent_ = this->sent();
}

Counted Management::receive(bool message, bool& repeat) {
  ++received_;
  repeat = recorded_.contains(received_);
  if (repeat) message = false;
  if (!message) return {token_, received_, received_, resumable()};
  unsafe_.push_back(received_);
  return {token_, received_, std::exchange(last_message_, received_), resumable()};
}

void Management::wait_for(std::uint32_t number) { unsafe_.push_back(number); }

void Management::safe(const Counted& counted, bool recorded) {
  std::erase(unsafe_, counted.number);
  if (recorded) recorded_.apply(counted.number, counted.after);
}

std::uint32_t Management::acknowledgeable() const {
  const std::uint32_t handled = this->handled();
  return resumable() && is_after(handled, recorded()) ? recorded() : handled;
}

void Management::send(Sent sent) {
  bytes_ += sent.bytes();
  queue_.push_back(std::move(sent));
}

std::vector<Outgoing> Management::take_unacknowledged() {
  std::vector<Outgoing> all = std::exchange(earlier_, {});
  acknowledged_ = sent();
  bytes_ = 0;
  for (Sent& sent : std::exchange(queue_, {}))
    if (sent.outgoing.envelope.stanza) all.push_back(std::move(sent.outgoing));
  return all;
}

std::size_t Management::memory_bytes() const {
  return sizeof(*this) + id_.capacity() + unsafe_.capacity() * sizeof(std::uint32_t) + bytes_;
}

}  // namespace starling::server

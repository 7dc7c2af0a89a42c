#include "server/users/management.h"

#include <algorithm>

namespace starling::server {

std::size_t Management::Sent::bytes() const {
  return sizeof(Sent) + text.size() +
         (outgoing.envelope.stanza ? outgoing.envelope.stanza->memory_bytes() : 0);
}

Counted Management::receive(bool message) {
  ++received_;
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

std::deque<Management::Sent> Management::take_unacknowledged() {
  acknowledged_ = sent();
  bytes_ = 0;
  return std::exchange(queue_, {});
}

std::size_t Management::memory_bytes() const {
  return sizeof(*this) + id_.capacity() + unsafe_.capacity() * sizeof(std::uint32_t) + bytes_;
}

}  // namespace starling::server

#pragma once
// What a connection has yet to send: one run of bytes, and which messages end where in it, so that each is
// known to be taken when the kernel has its last byte. An idle connection owns nothing here: buffers come
// from the shard and go back.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/users/session.h"

namespace starling::server {

class Output {
 public:
  [[nodiscard]] std::string& bytes() { return bytes_; }  // append to it
  [[nodiscard]] std::string_view unsent() const { return std::string_view(bytes_).substr(sent_); }
  [[nodiscard]] std::size_t size() const { return bytes_.size() - sent_; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] std::size_t memory_bytes() const {
    return bytes_.capacity() + messages_.capacity() * sizeof(Message);
  }

  // The stanza whose last byte is the last of bytes() now.
  void ends(Outgoing outgoing) { messages_.push_back({base_ + bytes_.size(), std::move(outgoing)}); }
  // The kernel took that many more; calls `taken` for each message that it now has whole, in order.
  template <class Taken>
  void advance(std::size_t count, Taken taken) {
    sent_ += count;
    std::size_t done = 0;
    while (done < messages_.size() && messages_[done].end <= base_ + sent_) taken(messages_[done++].outgoing);
    messages_.erase(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(done));
    if (sent_ >= kCompactAt) compact();
  }
  // When empty: hands the buffer back and keeps no memory.
  std::string take_empty_buffer() {
    base_ += sent_;
    sent_ = 0;
    std::vector<Message>().swap(messages_);
    return std::exchange(bytes_, {});
  }
  std::vector<Outgoing> take_untaken() {
    std::vector<Outgoing> untaken;
    untaken.reserve(messages_.size());
    for (Message& message : messages_) untaken.push_back(std::move(message.outgoing));
    messages_.clear();
    return untaken;
  }

 private:
  static constexpr std::size_t kCompactAt = 262144;
  void compact() {
    bytes_.erase(0, sent_);
    base_ += sent_;
    sent_ = 0;
  }
  struct Message {
    std::uint64_t end;  // in bytes of the whole stream
    Outgoing outgoing;
  };
  std::string bytes_;
  std::vector<Message> messages_;
  std::uint64_t base_ = 0;  // bytes of the stream that came before bytes_
  std::size_t sent_ = 0;
};

}  // namespace starling::server

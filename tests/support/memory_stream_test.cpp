#include "support/memory_stream.h"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/virtual_loop.h"

namespace starling {
namespace {

using Status = net::IoResult::Status;

struct Reader : net::ByteStream::Handler {
  net::ByteStream* stream = nullptr;
  std::string got;
  bool closed = false;
  std::string error;
  int readable = 0;
  int writable = 0;
  bool once = false;  // stop after one small read, as a throttled owner does
  bool asleep = false;

  void on_readable() override {
    ++readable;
    if (asleep) return;
    std::array<char, 4> buffer{};
    for (;;) {
      const auto result = stream->read(buffer);
      if (result.status == Status::closed) closed = true;
      if (result.status == Status::error) error = result.error;
      if (result.status != Status::ok) return;
      got.append(buffer.data(), result.bytes);
      if (once) return;
    }
  }
  void on_writable() override { ++writable; }
};

struct MemoryStreams : testing::Test {
  VirtualLoop loop;
  MemoryPair pair;
  Reader a;
  Reader b;

  void connect(const MemoryPairOptions& options = {}) {
    pair = memory_pair(options);
    a.stream = pair.first.get();
    b.stream = pair.second.get();
    pair.first->attach(loop, a);
    pair.second->attach(loop, b);
  }
};

TEST_F(MemoryStreams, carry_bytes_both_ways_and_only_in_a_later_turn) {
  connect();
  EXPECT_EQ(pair.first->write("to b, and more").bytes, 14U);
  EXPECT_EQ(pair.second->write("to a").bytes, 4U);
  EXPECT_EQ(b.got, "");
  loop.settle();
  EXPECT_EQ(b.got, "to b, and more");
  EXPECT_EQ(a.got, "to a");
}

TEST_F(MemoryStreams, call_again_a_reader_that_stopped_early) {
  connect();
  b.once = true;
  pair.first->write("0123456789");
  loop.settle();
  EXPECT_EQ(b.got, "0123456789");
  EXPECT_EQ(b.readable, 3);
}

TEST_F(MemoryStreams, take_part_of_a_write_when_the_reader_is_slow) {
  connect({.capacity = 6});
  pair.second->pause_reading(true);
  EXPECT_EQ(pair.first->write("0123456789").bytes, 6U);
  EXPECT_EQ(pair.first->write("6789").status, Status::would_block);
  loop.settle();
  EXPECT_EQ(a.writable, 0);
  EXPECT_EQ(b.readable, 0);
  pair.second->pause_reading(false);
  loop.settle();
  EXPECT_EQ(b.got, "012345");
  EXPECT_EQ(a.writable, 1);
}

TEST_F(MemoryStreams, tell_the_end_after_the_data_and_go_on_the_other_way) {
  connect();
  pair.first->write("last words");
  pair.first->shutdown_write();
  EXPECT_EQ(pair.first->write("x").status, Status::error);
  loop.settle();
  EXPECT_EQ(b.got, "last words");
  EXPECT_TRUE(b.closed);
  pair.second->write("answer");
  loop.settle();
  EXPECT_EQ(a.got, "answer");
  EXPECT_FALSE(a.closed);
  pair.second.reset();
  loop.settle();
  EXPECT_TRUE(a.closed);
}

TEST_F(MemoryStreams, pretend_TLS_with_one_binding_for_both) {
  connect();
  EXPECT_EQ(pair.second->tls(), nullptr);
  ASSERT_TRUE(pair.second->start_tls_server(nullptr));
  ASSERT_TRUE(pair.first->start_tls_client(nullptr, "example.org"));
  EXPECT_FALSE(pair.first->start_tls_client(nullptr, "example.org"));
  pair.first->write("secret");
  loop.settle();
  EXPECT_EQ(b.got, "secret");
  ASSERT_NE(pair.second->tls(), nullptr);
  EXPECT_EQ(pair.second->tls()->server_name, "example.org");
  EXPECT_EQ(pair.second->tls()->exporter_binding.size(), 32U);
  EXPECT_EQ(pair.second->tls()->exporter_binding, pair.first->tls()->exporter_binding);
}

TEST_F(MemoryStreams, fail_on_plaintext_that_was_sent_before_TLS) {
  connect();
  pair.first->write("injected");
  ASSERT_TRUE(pair.second->start_tls_server(nullptr));
  loop.settle();
  EXPECT_EQ(b.got, "");
  EXPECT_NE(b.error, "");
}

TEST_F(MemoryStreams, move_to_another_loop_with_what_has_arrived) {
  connect();
  VirtualLoop other;
  pair.first->write("before");
  pair.second->detach();
  loop.settle();
  EXPECT_EQ(b.got, "");
  pair.second->attach(other, b);
  pair.first->write(" and after");
  loop.settle();
  EXPECT_EQ(b.got, "");
  other.settle();
  EXPECT_EQ(b.got, "before and after");
}

}  // namespace
}  // namespace starling

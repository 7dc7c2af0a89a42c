#pragma once
// One client's connection, from accept to close: bytes from the stream go into the negotiation machine, its
// events are answered, and once a resource is bound this is the session's Link. It starts on the shard that
// accepted it and moves to its account's shard when it binds. Owned by its shard's set; a shared_ptr is held
// by whoever waits for something.
//
// connection.cpp: bytes in and out, closing - login.cpp: TLS, SASL, binding, stanzas - stream_management.cpp:
// XEP-0198.
#include <memory>
#include <optional>
#include <string>

#include "net/byte_stream.h"
#include "net/tls.h"
#include "server/connection/output.h"
#include "server/module.h"
#include "server/shard.h"
#include "server/throttle.h"
#include "stream/machine.h"

namespace starling::server {

enum class Transport { starttls, direct_tls };

class Connection final : public net::ByteStream::Handler,
                         public Guest,
                         public Link,
                         public std::enable_shared_from_this<Connection> {
 public:
  Connection(Shard& shard, std::unique_ptr<net::ByteStream> stream, Transport transport,
             std::shared_ptr<net::TlsContext> tls);
  ~Connection() override;

  void start();  // on the shard's thread: adopted, attached, reading

  // net::ByteStream::Handler
  void on_readable() override;
  void on_writable() override;

  // Guest
  [[nodiscard]] stream::View view() const override { return machine_.view(); }
  [[nodiscard]] const std::string& address() const override { return stream_->peer_address(); }
  [[nodiscard]] std::string network() const override { return network_of(address()); }
  void send(std::string_view xml) override { send_text(xml); }

  // Link
  void send(Outgoing outgoing) override;
  void send_text(std::string_view xml) override;
  void end(const StreamError& error) override;
  [[nodiscard]] std::size_t queued_bytes() const override { return output_.size(); }
  void when_drained(Job job) override;
  void hold() override { ++holds_; }
  void release() override;
  void settled() override { acknowledge(); }
  void replaced() override;
  void full() override;
  [[nodiscard]] Facts facts() const override;
  [[nodiscard]] SteadyTime last_input() const override { return last_input_; }
  [[nodiscard]] std::size_t memory_bytes() const override;

  void closed();  // the connection is over, whoever ended it
  void check_time(
      SteadyTime now);  // every few seconds: login that takes too long, idle pings, a close that hangs

 private:
  enum class Phase : std::uint8_t { open, closing, closed };  // closing: our last words are on their way

  void feed(std::string_view input);
  bool handle(stream::Event event, std::string_view& input);  // false: no further event now
  void resume() { feed({}); }
  void take_machine_output();
  void start_handshake();
  void tls_through();
  Task<void> answer_keys(Jid account, crypto::Hash hash);
  Task<void> answer_check(Jid account, std::string password);
  Task<void> delay_login(const Jid& account);
  void go_home(const Jid& account, Job then);  // to the account's shard, where `then` runs
  void bind(const std::string& resource);
  void bind_here(const std::string& resource);
  void received(xml::Document document);
  void refuse(const xml::Element& element, const StanzaError& error);
  Task<void> run_claimed(std::size_t feature, xml::Document document);
  void limit_rate();

  void client_state(const xml::Element& nonza);

  // stream_management.cpp
  void managed(const xml::Element& nonza);
  void enable(const xml::Element& nonza);
  void resume_session(const xml::Element& nonza);
  void find_session(const std::string& id, std::uint32_t h);
  void finish_resuming(std::uint64_t token, std::uint32_t h);
  void stand_in(const UserSession& session);
  void refuse_management(Condition condition);
  void take_acknowledgement(const xml::Element& nonza);
  void acknowledged_too_much(std::uint32_t h, std::uint32_t sent);
  void want();
  void acknowledge();  // if it is due
  void request_acknowledgement();
  void check_acknowledgements(SteadyTime now);

  std::string& output();  // to append to; it is written at the end of this turn
  void touch_output();    // write at the end of this turn
  void flush();
  void overflow();
  void begin_close();
  void leave_user();

  Shard* shard_;
  std::unique_ptr<net::ByteStream> stream_;
  std::shared_ptr<net::TlsContext> tls_;
  std::shared_ptr<const Setup> setup_;
  stream::Machine machine_;
  UserSession* session_ = nullptr;
  Output output_;
  std::string pending_;  // input that must wait
  std::vector<Job> drained_;
  TokenBucket stanza_bucket_, byte_bucket_;
  SteadyTime last_input_, last_output_, phase_since_;
  SteadyTime asked_since_;               // the client, by <r/>, as long as asked_
  SteadyTime wanted_since_;              // by the client, as long as wanted_
  std::optional<std::uint32_t> wanted_;  // an <a/> is due that counts up to this stanza
  std::uint32_t last_wanted_ = 0;        // by the latest <r/>
  std::uint64_t resuming_ = 0;           // the session that is about to be taken over
  WallTime opened_at_;
  std::size_t bytes_before_login_ = 0;
  std::string_view mechanism_;
  unsigned holds_ = 0;
  Counted held_;  // the request that holds the stream, if it is counted
  Transport transport_;
  Phase phase_ = Phase::open;
  bool awaiting_tls_ = false;     // the handshake is under way
  bool awaiting_answer_ = false;  // the machine asked something
  bool rate_wait_ = false;        // the session sent too much and waits
  bool feeding_ = false;          // feed() is on the stack
  bool reading_paused_ = false;
  bool write_due_ = false;     // flush() comes at the end of this turn
  bool pinged_ = false;        // an idle ping is unanswered
  bool asked_ = false;         // an <r/> is unanswered
  bool unasked_ = false;       // stanzas were sent since the last <r/>
  bool resumable_end_ = true;  // whatever ends it, the session may go on: nobody has closed the stream
};

}  // namespace starling::server

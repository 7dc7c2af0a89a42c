#pragma once
// One stream to the server, from the connected socket to its end: bytes in, bytes out, TLS, and the
// negotiation machine. It does not come back; the Core above it makes the next one. Internal to this room;
// the loop's thread.
#include <memory>
#include <string>
#include <string_view>

#include "client/client.h"
#include "net/byte_stream.h"
#include "stream/machine.h"

namespace starling::client {

// A connected socket, and what is known of how it was found.
struct Dialled {
  std::unique_ptr<net::ByteStream> stream;
  bool direct_tls = false;
  std::string tls_name{};  // net::Target::tls_name: what its certificate may prove beside our domain
};

class Connection final : public net::ByteStream::Handler, public std::enable_shared_from_this<Connection> {
 public:
  class Owner {
   public:
    virtual void authenticated(std::string_view mechanism) = 0;
    virtual void ready(stream::Ready ready) = 0;
    virtual void received(xml::Document stanza) = 0;
    virtual void claimed(xml::Document nonza) = 0;  // what one of the settings' features claims
    virtual void peer_closed() = 0;                 // its </stream:stream> has come
    virtual void over(Ended ended) = 0;             // the last call
    virtual void trace(Trace kind, std::string_view line) = 0;

   protected:
    ~Owner() = default;
  };

  // `settings` outlives it; `tls` may be null where there is to be none.
  Connection(Loop& loop, Dialled dialled, Owner& owner, const stream::Settings& settings,
             std::shared_ptr<net::TlsContext> tls);

  void start();
  void send(std::string_view xml);  // written at the end of this turn; nothing once close() was called
  void resumed(const Jid& self);    // the answers to stream::Feature::resume; ready() follows
  void bind();
  void close();  // our </stream:stream>; over() follows when the server's has come, or at once
  void fail(const StreamError& error);         // the server has done wrong: says so, and ends
  void end(Ended::Why why, std::string text);  // now, without ceremony; over() follows inside
  void abandon();                              // now; nothing follows

  [[nodiscard]] bool is_closing() const { return closing_; }
  [[nodiscard]] std::size_t queued_bytes() const { return output_.size() - sent_; }
  [[nodiscard]] SteadyTime last_input() const { return last_input_; }
  [[nodiscard]] SteadyTime last_output() const { return last_output_; }
  [[nodiscard]] const net::ByteStream& stream() const { return *stream_; }

  void on_readable() override;
  void on_writable() override { flush(); }

 private:
  void feed(std::string_view input);
  bool handle(stream::Event event, std::string_view& input);  // false: no further event now
  void start_handshake();
  void tls_through();
  void take_machine_output();
  void touch_output();
  void flush();
  void finish(Ended ended);
  [[nodiscard]] Ended why_lost(const net::IoResult& result) const;

  Loop& loop_;
  std::unique_ptr<net::ByteStream> stream_;
  Owner* owner_;  // null once it is over
  const stream::Settings& settings_;
  std::shared_ptr<net::TlsContext> tls_;
  stream::Machine machine_;
  std::string output_, pending_;  // to be written; input that waits for TLS
  std::size_t sent_ = 0;          // of output_
  SteadyTime last_input_, last_output_;
  std::string tls_name_;
  bool direct_tls_;
  bool awaiting_tls_ = false, feeding_ = false, write_due_ = false;
  bool heard_ = false;      // anything at all
  bool closing_ = false;    // our closing tag is on its way
  bool finishing_ = false;  // both are: what is left is to be written
  Ended last_words_;        // what over() will say then
};

}  // namespace starling::client

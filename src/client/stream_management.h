#pragma once
// Stream management of a client (XEP-0198 1.6.3), without I/O: counts what goes out and comes in, keeps what
// the server has not acknowledged, and knows how to come back to a session whose connection broke. Core tells
// it of stanzas and nonzas, and sends what it says. Internal to this room; the loop's thread.
//
// Section by section: 2-4, 5 (the server's `max` is not looked at: asking tells more, as the refusal may have
// an `h`), 6 and 7. Not section 9, which needs SASL2; no <a/> that was not asked for, but before we close.
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/loop.h"
#include "client/request.h"
#include "xml/element.h"

namespace starling::client {

class StreamManagement {
 public:
  using Waiting = Request<void>::Resolver;  // for an acknowledgement

  // A stanza of ours that the server has not acknowledged.
  struct Kept {
    std::string xml;
    Kind kind = Kind::message;
    WallTime sent;                   // for the first time
    std::vector<Waiting> waiting{};  // until it and all before it are acknowledged
  };

  // What a nonza of the server has done, and what Core is to do.
  enum class Heard : std::uint8_t {
    nothing,
    request,       // send acknowledgement() at once
    acknowledged,  // call those of take_acknowledged()
    refused,       // there is no stream management in this session: nothing kept will be acknowledged
    resumed,       // it is the session of before; call those of take_acknowledged(), and resend kept()
    not_resumed,   // bind a resource; call those of take_acknowledged()
    broken,        // end the stream with fault()
  };

  // `most_bytes`: of what is kept.
  StreamManagement(bool resumable, std::size_t most_bytes)
      : wants_to_resume_(resumable), most_bytes_(most_bytes) {}

  // --- a stream ---
  // The nonza that asks for it in a new session, or nothing if the server does not offer it. What is sent
  // from here on counts; nothing may be kept from before.
  std::string enable(const xml::Element& features);
  // The one that asks for the session of before, or nothing if it cannot be had. Before a resource is bound.
  std::string resume(const xml::Element& features);
  Heard hear(const xml::Element& nonza);
  // The stream is over. True if its session may be resumed.
  bool detach();
  // The session is over for good. What is kept stays, for the next one.
  void forget_session();
  // For tests of what comes after 2^32 stanzas.
  void set_counts(std::uint32_t sent, std::uint32_t received) {
    acknowledged_h_ = sent;
    handled_ = received;
  }
  void start_afresh();  // forgets that a server could not count, too

  [[nodiscard]] bool is_on() const { return state_ == State::on; }  // the server manages this stream as well
  [[nodiscard]] bool listens() const { return state_ != State::off && state_ != State::detached; }
  [[nodiscard]] bool counts() const { return state_ != State::off; }  // what is sent will be acknowledged
  [[nodiscard]] const std::string& location() const {
    return location_;
  }  // where to come back to; may be empty
  [[nodiscard]] const StreamError& fault() const { return fault_; }

  // --- what comes ---
  void handled() {  // a stanza was
    handled_ += is_on() ? 1 : 0;
    told_ = false;
  }
  std::string acknowledgement();  // is then taken as sent
  // One is due right before our closing tag (section 4): none is the last that was sent.
  [[nodiscard]] bool owes_acknowledgement() const { return is_on() && !told_; }

  // --- what goes ---
  // Notes a stanza that goes out, or would if the session did not wait to be resumed; without stream
  // management nothing.
  void keep(Kept stanza);
  [[nodiscard]] bool has_room_for(const Kept& stanza) const;
  [[nodiscard]] const std::deque<Kept>& kept() const { return kept_; }  // in the order of sending
  std::deque<Kept> take_kept();
  // True if <r/> is to be sent: something is not acknowledged, and nothing is under way that would tell. It
  // is then taken as sent.
  bool take_request();
  // Of every message until now. At once if there is none that is not.
  void await_acknowledgement(Waiting waiting);
  [[nodiscard]] bool keeps_messages() const;
  std::vector<Waiting> take_acknowledged() { return std::exchange(acknowledged_, {}); }

 private:
  enum class State : std::uint8_t {
    off,
    enabling,  // <enable/> is sent
    on,
    detached,  // the connection is gone, the session may be there
    resuming,  // <resume/> is sent
  };
  Heard enabled(const xml::Element& answer);
  Heard resumed(const xml::Element& answer);
  Heard not_resumed(const xml::Element& answer);
  Heard acknowledge(const xml::Element& from, Heard then);
  Heard break_off(StreamError fault);

  bool wants_to_resume_;
  std::size_t most_bytes_;
  bool trusted_ = true;  // no server has acknowledged what it was not sent
  State state_ = State::off;
  bool told_ = false;                 // an <a/> is the last that was sent, and nothing has come since
  std::string id_, location_;         // of the session, if it may be resumed
  std::uint32_t handled_ = 0;         // of theirs; all of them modulo 2^32, as the protocol has it
  std::uint32_t acknowledged_h_ = 0;  // of ours
  std::deque<Kept> kept_;
  std::size_t kept_bytes_ = 0;
  std::size_t under_way_ = 0;  // of kept_: those that this or an earlier stream of the session took
  bool requested_ = false;     // <r/> is not answered
  std::vector<Waiting> acknowledged_;
  StreamError fault_;
};

// A stanza as it goes out once more, in another session: a message with the time of its first sending
// (XEP-0203), a subscription as it was. Nothing for what only its session gave a meaning (IQs, presence), and
// for what is no stanza.
std::optional<std::string> resent_elsewhere(const StreamManagement::Kept& kept, const Jid& self);

}  // namespace starling::client

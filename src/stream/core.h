#pragma once
// What both roles of a stream share: framing, output, closing, errors, and the queue of events. Internal to
// this room.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "stream/machine.h"
#include "xml/namespaces.h"

namespace starling::stream {

class Core {
 public:
  // Whose answer is due.
  enum class Wait : std::uint8_t { nothing, tls, keys, check, bind };

  explicit Core(const Settings& settings, const xml::Limits& limits) : settings_(settings), parser_(limits) {}
  virtual ~Core() = default;
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  Event next(std::string_view& input);
  std::string& output() { return output_; }

  virtual void start() {}
  virtual void tls_established(sasl::Bindings bindings, std::string_view injected) = 0;
  virtual void assume_tls(sasl::Bindings bindings) = 0;
  virtual void give_keys(const sasl::ScramKeys&, bool, bool) {}
  virtual void give_check(bool, bool) {}
  virtual void give_up_auth(sasl::Failure, std::string&&) {}
  virtual void bound(const Jid&) {}
  virtual void bind() {}
  virtual void refuse_bind(const StanzaError&) {}

  void close();
  void fail(const StreamError& error);
  [[nodiscard]] bool output_closed() const { return output_closed_; }

  [[nodiscard]] View view() const;
  [[nodiscard]] const Jid& jid() const { return jid_; }
  [[nodiscard]] const std::string& id() const { return id_; }
  [[nodiscard]] std::string_view lang() const { return lang_; }
  [[nodiscard]] virtual std::size_t memory_bytes() const;

  // --- for the roles and the negotiators ---
  [[nodiscard]] const Settings& settings() const { return settings_; }
  void queue(Event event) {
    pending_.push_back(std::move(event));
  }  // comes out of next() before anything is read
  void forget_events() { pending_.clear(); }
  void fail_with_event(StreamError error);
  void end() { over_ = true; }  // without an error: nothing is parsed any more
  void wait_for(Wait what) { wait_ = what; }
  // Takes the answer: true if that was what we waited for and the stream is still open.
  bool answered(Wait what);
  [[nodiscard]] bool is_stanza(const xml::Element& element) const;
  // The index of the feature that handles this element here and now.
  [[nodiscard]] std::optional<std::size_t> claiming_feature(const xml::Element& element) const;

 protected:
  virtual void on_header(const xml::StreamHeader& header) = 0;
  // Handles a top-level element other than a stanza to deliver or <stream:error/>. An event, or nothing and
  // what it queued. `more`: bytes follow it in the input.
  virtual std::optional<Event> on_element(xml::Document document, bool more) = 0;
  // True if this IQ of a bound stream belongs to the negotiation.
  [[nodiscard]] virtual bool negotiates(const xml::Element& iq) const = 0;
  virtual void write_header() = 0;
  [[nodiscard]] virtual std::string_view domain() const = 0;

  void restart();                            // the next thing each side sends is a header (RFC 6120 4.3.3)
  void refuse(const xml::Element& element);  // the stream error for an element that nobody takes
  // Writes the start of a header up to and without the attributes that differ by role.
  void open_header();
  [[nodiscard]] bool names_fit(const xml::StreamHeader& header, StreamError& error) const;

  const Settings& settings_;
  xml::StreamParser parser_;
  std::string output_, id_, lang_;
  Jid jid_;
  std::vector<Event> pending_;
  Wait wait_ = Wait::nothing;
  bool header_sent_ = false;
  bool encrypted_ = false, authenticated_ = false, bound_ = false;

 private:
  std::optional<Event> on_document(xml::Document document, bool more);
  Event on_closed();
  void show(const xml::ParseEvent& parsed) const;

  bool output_closed_ = false, over_ = false;
};

std::unique_ptr<Core> make_receiving(const Settings& settings);
std::unique_ptr<Core> make_initiating(const Settings& settings);

// Base64 as RFC 6120 6.3.5 has it: strict, with the padding bits zero.
std::optional<std::string> decode_sasl(std::string_view text);
// major >= 1 of "<major>.<minor>" (RFC 6120 4.7.5).
bool speaks_xmpp_1(std::string_view version);
// Bytes of a string beyond the object itself.
std::size_t heap_bytes(const std::string& text);

}  // namespace starling::stream

#pragma once
// Internal to the xml room: finds where a header or a top-level element ends, so that the parser proper is
// handed exactly those bytes. It trusts nothing it sees to be well-formed: where it errs, the parser has met
// an error before.
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace starling::xml {

enum class Verdict : std::uint8_t {
  more,        // all bytes belong to it, and it goes on
  complete,    // it ends with the last byte taken
  closing,     // "</" where an element would begin
  restricted,  // the next byte makes it something that streams must not contain
  malformed,   // the next byte cannot stand there
  outside,     // character data (a CDATA section) where an element would begin
};

class Scanner {
 public:
  // Takes bytes from the '<' of a top-level element on, or from anywhere after the last call's. `taken` are
  // those looked at.
  Verdict scan(std::string_view bytes, std::size_t& taken) { return run(bytes, taken, false); }
  // The same for an XML declaration, if any, and one start tag.
  Verdict scan_header(std::string_view bytes, std::size_t& taken) { return run(bytes, taken, true); }
  void restart() { *this = Scanner(); }

  [[nodiscard]] bool idle() const { return at_ == At::text && depth_ == 0; }
  [[nodiscard]] bool undecided() const {
    return depth_ == 0 && (at_ == At::less || at_ == At::bang);
  }  // "<" or "<!"
  [[nodiscard]] bool self_closed() const { return slash_; }  // of a complete header
  // Start tags and attributes seen so far.
  [[nodiscard]] std::uint32_t elements() const { return elements_; }
  [[nodiscard]] std::uint32_t attributes() const { return attributes_; }

 private:
  enum class At : std::uint8_t { text, less, start_tag, value, end_tag, bang, cdata, declaration };
  Verdict run(std::string_view bytes, std::size_t& taken, bool header);

  At at_ = At::text;
  char quote_ = 0;
  std::uint8_t matched_ = 0;  // of "[CDATA[", or of the end of what at_ says
  bool slash_ = false;        // the tag's last byte was '/'
  bool declared_ = false;     // an XML declaration was seen
  std::uint32_t depth_ = 0;
  std::uint32_t elements_ = 0;
  std::uint32_t attributes_ = 0;
};

}  // namespace starling::xml

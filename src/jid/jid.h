#pragma once
// Addresses (RFC 7622). A Jid is valid and normalised from the moment it exists, so comparing is comparing
// bytes. A value type: any thread, one string.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace starling {

class Jid {
 public:
  Jid() = default;  // the empty address: "no address given"

  // Prepares and enforces every part; the error (Errc::invalid) names the part and what is wrong with it.
  // ASCII takes no more memory than the string itself. `make` takes an empty `local` or `resource` as "none".
  static Result<Jid> parse(std::string_view text);
  static Result<Jid> make(std::string_view local, std::string_view domain, std::string_view resource = {});

  [[nodiscard]] std::string_view local() const { return std::string_view(text_).substr(0, local_size_); }
  [[nodiscard]] std::string_view domain() const {
    return bare().substr(local_size_ == 0 ? 0 : local_size_ + 1);
  }
  [[nodiscard]] std::string_view resource() const {
    return is_bare() ? std::string_view() : std::string_view(text_).substr(bare_size_ + 1U);
  }
  // local@domain. This and the parts are views of text(): they live as long as this Jid is neither changed
  // nor moved.
  [[nodiscard]] std::string_view bare() const { return std::string_view(text_).substr(0, bare_size_); }
  [[nodiscard]] const std::string& text() const { return text_; }

  [[nodiscard]] bool empty() const { return text_.empty(); }
  [[nodiscard]] bool is_bare() const { return bare_size_ == text_.size(); }
  [[nodiscard]] bool is_full() const { return !is_bare(); }
  [[nodiscard]] bool is_domain() const { return local_size_ == 0 && is_bare(); }

  [[nodiscard]] Jid to_bare() const;
  [[nodiscard]] Jid to_domain() const;
  // `resource` is prepared and enforced.
  [[nodiscard]] Result<Jid> with_resource(std::string_view resource) const;

  bool operator==(const Jid& other) const { return text_ == other.text_; }
  auto operator<=>(const Jid& other) const { return text_ <=> other.text_; }
  [[nodiscard]] bool same_bare(const Jid& other) const { return bare() == other.bare(); }

 private:
  static Result<Jid> assemble(std::optional<std::string_view> local, std::string_view domain,
                              std::optional<std::string_view> resource);

  std::string text_;
  std::uint16_t local_size_ = 0;  // bytes; each part is at most 1023 (RFC 7622 3.1)
  std::uint16_t bare_size_ = 0;   // bytes of local@domain
};

// The parts by themselves: UsernameCaseMapped (RFC 8265 3.3) less the characters of RFC 7622 3.3.1, IDNA2008
// or an IP literal, OpaqueString (RFC 8265 4.2) without a leading space (RFC 7622 3.5). 1 to 1023 bytes
// before and after.
Result<std::string> prepare_local(std::string_view text);
Result<std::string> prepare_domain(std::string_view text);
// What DNS, certificates and SNI have of a prepared domain: its A-labels (RFC 5890 2.3.2.1).
Result<std::string> domain_to_ascii(std::string_view prepared);
Result<std::string> prepare_resource(std::string_view text);
// OpaqueString (RFC 8265 4.2): what a password is prepared with before keys are derived from it. No upper
// limit: the caller has bounded its input.
Result<std::string> prepare_password(std::string_view text);

}  // namespace starling

template <>
struct std::hash<starling::Jid> {
  std::size_t operator()(const starling::Jid& jid) const noexcept {
    return std::hash<std::string_view>()(jid.text());
  }
};

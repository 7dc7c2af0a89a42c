#pragma once
// A vCard as XEP-0054 has it (sections 3 and 9). There is no way to change a part of one: a client reads it,
// changes it, and writes all of it. So whatever this struct has no member for is kept in `others` of where it
// stood, and nothing of a card is lost but its order, empty elements, and attributes of elements known here.
// Plain data; any thread.
//
// Known gaps: values are texts, not looked into; lists within one text (several nicknames) are not taken
// apart.
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "xml/element.h"
#include "xml/writer.h"

namespace starling::payload {

// What an address, telephone number or email is for; each knows some of these (section 9).
enum class VCardUse : std::uint8_t {
  home,
  work,
  postal,
  parcel,
  dom,
  intl,
  voice,
  fax,
  pager,
  msg,
  cell,
  video,
  bbs,
  modem,
  isdn,
  pcs,
  internet,
  x400,
  pref,
};
std::string_view to_string(VCardUse use);  // "HOME"

class VCardUses {
 public:
  VCardUses() = default;
  VCardUses(std::initializer_list<VCardUse> uses) {
    for (const VCardUse use : uses) set(use);
  }
  [[nodiscard]] bool has(VCardUse use) const { return (bits_ & bit(use)) != 0; }
  void set(VCardUse use) { bits_ |= bit(use); }
  bool operator==(const VCardUses&) const = default;

 private:
  static std::uint32_t bit(VCardUse use) { return std::uint32_t{1} << static_cast<unsigned>(use); }
  std::uint32_t bits_ = 0;
};

struct VCard {
  // `others` is well-formed XML in the namespace vcard-temp.
  struct Name {
    std::string family, given, middle, prefix, suffix;
    std::string others;
    bool operator==(const Name&) const = default;
  };
  struct Photo {
    std::string type;    // "image/png"
    std::string binval;  // Base64, with line ends if it came so
    std::string extval;  // a URI, in place of the two
    std::string others;
    bool operator==(const Photo&) const = default;
  };
  struct Tel {
    VCardUses uses;
    std::string number;
    std::string others;
    bool operator==(const Tel&) const = default;
  };
  struct Email {
    VCardUses uses;
    std::string userid;
    std::string others;
    bool operator==(const Email&) const = default;
  };
  struct Address {
    VCardUses uses;
    std::string pobox, extadd, street, locality, region, pcode, ctry;
    std::string others;
    bool operator==(const Address&) const = default;
  };
  struct Organization {
    std::string name;
    std::vector<std::string> units;
    std::string others;
    bool operator==(const Organization&) const = default;
  };

  std::string version;  // the attribute (section 8), or empty
  std::string fn, nickname, bday, title, role, url, desc, jabberid;
  Name n;
  Photo photo;
  Organization org;
  std::vector<Tel> tel;
  std::vector<Email> email;
  std::vector<Address> adr;
  std::string others;  // of further FN and the like too: one of each has a member

  bool operator==(const VCard&) const = default;
};

// Of <vCard xmlns='vcard-temp'/>. The error is `invalid`: it is another element.
Result<VCard> parse_vcard(const xml::Element& vcard);

// Writes the whole element.
void write(xml::Writer& writer, const VCard& vcard);

}  // namespace starling::payload

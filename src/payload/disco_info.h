#pragma once
// What an entity says it is and can do: the content of a disco#info result (XEP-0030 3.1) with its forms
// (XEP-0128), and the hash that stands for all of it in presence and stream features (XEP-0115 5.1). Plain
// data; any thread.
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "payload/data_form.h"
#include "xml/element.h"
#include "xml/writer.h"

namespace starling::payload {

struct DiscoInfo {
  struct Identity {
    std::string category, type, lang, name;
    auto operator<=>(const Identity&) const = default;
  };
  std::vector<Identity> identities;
  std::vector<std::string> features;
  std::vector<DataForm> forms;  // each with a hidden FORM_TYPE

  [[nodiscard]] bool has_feature(std::string_view feature) const;
  bool operator==(const DiscoInfo&) const = default;
};

// What XEP-0115 5.4 calls ill-formed: an identity, feature or form type that comes twice. Such an answer
// proves nothing about a hash, but is good enough for who only wants to know what is in it.
enum class Repeated : std::uint8_t { refused, dropped };

// Of <query xmlns='http://jabber.org/protocol/disco#info'/>. The error is `invalid` for what is repeated, and
// for an identity without category or type. What is no form, or one without a hidden FORM_TYPE, is left out.
Result<DiscoInfo> parse_disco_info(const xml::Element& query, Repeated repeated = Repeated::refused);

// Writes the children of <query/>.
void write(xml::Writer& writer, const DiscoInfo& info);

// The string S of XEP-0115 5.1, and what stands in `ver` for hash='sha-1'.
std::string caps_string(const DiscoInfo& info);
std::string caps_hash(const DiscoInfo& info);

}  // namespace starling::payload

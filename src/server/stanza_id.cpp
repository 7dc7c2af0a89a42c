#include "server/stanza_id.h"

#include <algorithm>

#include "base/crypto.h"
#include "xml/namespaces.h"
#include "xml/parser.h"
#include "xml/writer.h"

namespace starling::server {
namespace {

bool is_from(const xml::Element& element, const Jid& account) {
  if (!element.is("stanza-id", kStanzaIds)) return false;
  const auto by = Jid::parse(element.attribute("by").value_or(std::string_view()));
  return by && by->is_bare() && by->same_bare(account);
}

}  // namespace

std::string stanza_id(std::string_view by, std::string_view id) {
  std::string out;
  xml::Writer(out).open("stanza-id", kStanzaIds).attribute("by", by).attribute("id", id).close();
  return out;
}

bool has_ids(const Stanza& message) { return message.element().child_in(kStanzaIds) != nullptr; }

// Hostile and rare, so it is parsed again: cut out of its text, whose offsets are those of the copy.
std::optional<Stanza> without_stanza_id(const Stanza& message, const Jid& account) {
  if (std::ranges::none_of(message.element().children(),
                           [&](const xml::Element& child) { return is_from(child, account); }))
    return std::nullopt;
  std::string text;
  message.write(text);
  const auto copy = xml::parse_fragment(text, ns::client, xml::kNoLimits).value();
  std::string cut;
  const char* at = copy.root().bytes().data();
  const char* const end = at + copy.root().bytes().size();
  for (const xml::Element& child : copy.root().children()) {
    if (!is_from(child, account)) continue;
    cut.append(at, child.bytes().data());
    at = child.bytes().data() + child.bytes().size();
  }
  cut.append(at, end);
  auto without = Stanza::from(xml::parse_fragment(cut, ns::client, xml::kNoLimits).value());
  without->set_default_lang(message.lang());
  return *std::move(without);
}

Fingerprint fingerprint(const Stanza& message) {
  Fingerprint print{};
  const xml::Element* origin = message.child("origin-id", kStanzaIds);
  if (origin == nullptr || !origin->attribute("id")) return print;
  std::string all(message.from().bare());
  all += '\n';
  all += message.element().bytes();
  std::ranges::copy_n(crypto::digest(crypto::Hash::sha256, all).begin(), print.size(), print.begin());
  return print;
}

std::string as_text(const Fingerprint& fingerprint) { return {fingerprint.begin(), fingerprint.end()}; }

}  // namespace starling::server

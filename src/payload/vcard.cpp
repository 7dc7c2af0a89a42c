#include "payload/vcard.h"

#include <algorithm>
#include <array>

#include "payload/values.h"
#include "xml/namespaces.h"

namespace starling::payload {
namespace {

constexpr std::array<std::string_view, 19> kUses = {
    "HOME", "WORK",  "POSTAL", "PARCEL", "DOM",  "INTL", "VOICE",    "FAX",  "PAGER", "MSG",
    "CELL", "VIDEO", "BBS",    "MODEM",  "ISDN", "PCS",  "INTERNET", "X400", "PREF"};
static_assert(kUses.size() == static_cast<std::size_t>(VCardUse::pref) + 1);

// An element that holds text, and where that goes.
template <class T>
struct Part {
  std::string_view name;
  std::string T::* text;
};

constexpr Part<VCard> kTexts[] = {{"FN", &VCard::fn},     {"NICKNAME", &VCard::nickname},
                                  {"BDAY", &VCard::bday}, {"TITLE", &VCard::title},
                                  {"ROLE", &VCard::role}, {"URL", &VCard::url},
                                  {"DESC", &VCard::desc}, {"JABBERID", &VCard::jabberid}};
constexpr Part<VCard::Name> kName[] = {{"FAMILY", &VCard::Name::family},
                                       {"GIVEN", &VCard::Name::given},
                                       {"MIDDLE", &VCard::Name::middle},
                                       {"PREFIX", &VCard::Name::prefix},
                                       {"SUFFIX", &VCard::Name::suffix}};
constexpr Part<VCard::Photo> kPhoto[] = {
    {"TYPE", &VCard::Photo::type}, {"BINVAL", &VCard::Photo::binval}, {"EXTVAL", &VCard::Photo::extval}};
constexpr Part<VCard::Tel> kTel[] = {{"NUMBER", &VCard::Tel::number}};
constexpr Part<VCard::Email> kEmail[] = {{"USERID", &VCard::Email::userid}};
constexpr Part<VCard::Address> kAddress[] = {
    {"POBOX", &VCard::Address::pobox},   {"EXTADD", &VCard::Address::extadd},
    {"STREET", &VCard::Address::street}, {"LOCALITY", &VCard::Address::locality},
    {"REGION", &VCard::Address::region}, {"PCODE", &VCard::Address::pcode},
    {"CTRY", &VCard::Address::ctry}};
constexpr Part<VCard::Organization> kOrganization[] = {{"ORGNAME", &VCard::Organization::name}};

// --- reading ---

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

// False if the element has no member, or one that holds something already. An empty one says nothing.
template <class T, std::size_t size>
bool take_text(T& into, const Part<T> (&parts)[size], const xml::Element& element) {
  const auto part = std::ranges::find(parts, element.name(), &Part<T>::name);
  if (part == std::end(parts) || element.ns() != ns::vcard || element.first_child() != nullptr) return false;
  std::string& text = into.*(part->text);
  if (!text.empty() && !element.text().empty()) return false;
  if (text.empty()) text = element.text();
  return true;
}

bool take_use(VCardUses& uses, const xml::Element& element) {
  const auto use = std::ranges::find(kUses, element.name());
  if (use == kUses.end() || element.ns() != ns::vcard || element.first_child() != nullptr ||
      !is_blank(element.text()))
    return false;
  uses.set(static_cast<VCardUse>(use - kUses.begin()));
  return true;
}

void keep(std::string& others, const xml::Element& element) { xml::Writer(others, ns::vcard).copy(element); }

template <class T, std::size_t size>
T parse_parts(const xml::Element& element, const Part<T> (&parts)[size]) {
  T parsed;
  for (const auto& child : element.children()) {
    if constexpr (requires { parsed.uses; })
      if (take_use(parsed.uses, child)) continue;
    if (!take_text(parsed, parts, child)) keep(parsed.others, child);
  }
  return parsed;
}

VCard::Organization parse_organization(const xml::Element& element) {
  VCard::Organization parsed;
  for (const auto& child : element.children()) {
    if (take_text(parsed, kOrganization, child)) continue;
    if (!child.is("ORGUNIT", ns::vcard) || child.first_child() != nullptr) {
      keep(parsed.others, child);
    } else if (!child.text().empty()) {
      parsed.units.emplace_back(child.text());
    }
  }
  return parsed;
}

template <class T>
bool take_first(T& member, T parsed) {
  if (member != T() && parsed != T()) return false;
  if (member == T()) member = std::move(parsed);
  return true;
}

// False if the element has no member. Text between the parts has none either.
bool take_parts(VCard& card, const xml::Element& element) {
  if (element.ns() != ns::vcard || !is_blank(element.text())) return false;
  const std::string_view name = element.name();
  if (name == "N") return take_first(card.n, parse_parts(element, kName));
  if (name == "PHOTO") return take_first(card.photo, parse_parts(element, kPhoto));
  if (name == "ORG") return take_first(card.org, parse_organization(element));
  if (name == "TEL") {
    card.tel.push_back(parse_parts(element, kTel));
  } else if (name == "EMAIL") {
    card.email.push_back(parse_parts(element, kEmail));
  } else if (name == "ADR") {
    card.adr.push_back(parse_parts(element, kAddress));
  } else {
    return false;
  }
  return true;
}

// --- writing ---

template <class T, std::size_t size>
void write_texts(xml::Writer& writer, const T& from, const Part<T> (&parts)[size],
                 std::string_view needed = {}) {
  for (const auto& [name, text] : parts)
    if (!(from.*text).empty() || name == needed) writer.leaf(name, from.*text);
}

void write_uses(xml::Writer& writer, const VCardUses& uses) {
  for (std::size_t i = 0; i < kUses.size(); ++i)
    if (uses.has(static_cast<VCardUse>(i))) writer.leaf(kUses[i]);
}

// `needed` is a part that is written even if empty.
template <class T, std::size_t size>
void write_parts(xml::Writer& writer, std::string_view name, const T& from, const Part<T> (&parts)[size],
                 std::string_view needed = {}) {
  writer.open(name);
  if constexpr (requires { from.uses; }) write_uses(writer, from.uses);
  write_texts(writer, from, parts, needed);
  writer.raw(from.others).close();
}

void write_organization(xml::Writer& writer, const VCard::Organization& org) {
  writer.open("ORG");
  write_texts(writer, org, kOrganization);
  for (const auto& unit : org.units) writer.leaf("ORGUNIT", unit);
  writer.raw(org.others).close();
}

}  // namespace

std::string_view to_string(VCardUse use) { return kUses[static_cast<std::size_t>(use)]; }

Result<VCard> parse_vcard(const xml::Element& vcard) {
  if (!vcard.is("vCard", ns::vcard)) return fail(Errc::invalid, "this is no vCard");
  VCard card;
  card.version = attribute(vcard, "version");
  for (const auto& child : vcard.children())
    if (!take_text(card, kTexts, child) && !take_parts(card, child)) keep(card.others, child);
  return card;
}

void write(xml::Writer& writer, const VCard& vcard) {
  writer.open("vCard", ns::vcard).attribute_if("version", vcard.version);
  write_texts(writer, vcard, kTexts);
  if (vcard.n != VCard::Name()) write_parts(writer, "N", vcard.n, kName);
  if (vcard.photo != VCard::Photo()) write_parts(writer, "PHOTO", vcard.photo, kPhoto);
  if (vcard.org != VCard::Organization()) write_organization(writer, vcard.org);
  for (const auto& tel : vcard.tel) write_parts(writer, "TEL", tel, kTel, "NUMBER");
  for (const auto& email : vcard.email) write_parts(writer, "EMAIL", email, kEmail, "USERID");
  for (const auto& address : vcard.adr) write_parts(writer, "ADR", address, kAddress);
  writer.raw(vcard.others).close();
}

}  // namespace starling::payload

#include "modules/archive/preferences.h"

#include <array>
#include <ranges>

#include "modules/refuse.h"
#include "xml/namespaces.h"
#include "xml/writer.h"

namespace starling::modules {
namespace {

using server::Archiving;

constexpr std::array<std::string_view, 3> kNames{"always", "roster", "never"};  // in the order of Archiving
constexpr std::size_t kMostJids = 1000;
constexpr char kAlways = '+', kNever = '-';

std::optional<Archiving> parse_default(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Archiving>(found - kNames.begin());
}

std::string_view name_of(Archiving archiving) { return kNames.at(static_cast<std::size_t>(archiving)); }

// Calls with each line; the first says the default.
template <class Each>
void each_line(std::string_view setting, Each each) {
  for (const auto line : std::views::split(setting, '\n')) each(std::string_view(line.begin(), line.end()));
}

std::expected<std::vector<Jid>, StanzaError> parse_list(const xml::Element& prefs, std::string_view name) {
  std::vector<Jid> jids;
  const xml::Element* list = prefs.child(name, kMam);
  if (list == nullptr) return jids;
  for (const xml::Element& entry : list->children()) {
    if (!entry.is("jid", kMam)) continue;
    auto jid = Jid::parse(entry.text());
    if (!jid) return refuse(Condition::jid_malformed, jid.error().message);
    if (jids.size() == kMostJids) return refuse(Condition::policy_violation, "The lists are too long");
    if (std::ranges::find(jids, *jid) == jids.end()) jids.push_back(*std::move(jid));
  }
  return jids;
}

}  // namespace

std::string ArchivePreferences::encode() const {
  std::string setting(name_of(by_default));
  for (const Jid& jid : always) setting.append(1, '\n').append(1, kAlways).append(jid.text());
  for (const Jid& jid : never) setting.append(1, '\n').append(1, kNever).append(jid.text());
  return setting;
}

ArchivePreferences ArchivePreferences::decode(std::string_view setting, Archiving by_default) {
  ArchivePreferences preferences{.by_default = by_default, .always = {}, .never = {}};
  each_line(setting, [&](std::string_view line) {
    if (const auto said = parse_default(line)) preferences.by_default = *said;
    if (!line.starts_with(kAlways) && !line.starts_with(kNever)) return;
    auto& list = line.starts_with(kAlways) ? preferences.always : preferences.never;
    if (auto jid = Jid::parse(line.substr(1))) list.push_back(*std::move(jid));
  });
  return preferences;
}

std::expected<ArchivePreferences, StanzaError> ArchivePreferences::parse(const xml::Element& prefs) {
  const auto by_default = parse_default(prefs.attribute("default").value_or(std::string_view()));
  if (!by_default) return refuse(Condition::bad_request, "The default is one of always, roster and never");
  auto always = parse_list(prefs, "always");
  if (!always) return std::unexpected(std::move(always.error()));
  auto never = parse_list(prefs, "never");
  if (!never) return std::unexpected(std::move(never.error()));
  return ArchivePreferences{
      .by_default = *by_default, .always = *std::move(always), .never = *std::move(never)};
}

std::string ArchivePreferences::xml() const {
  std::string out;
  xml::Writer writer(out, ns::client);
  writer.open("prefs", kMam).attribute("default", name_of(by_default));
  for (const auto& [name, list] : {std::pair("always", &always), std::pair("never", &never)}) {
    writer.open(name);
    for (const Jid& jid : *list) writer.leaf("jid", jid.text());
    writer.close();
  }
  writer.close();
  return out;
}

bool keeps(std::string_view setting, Archiving by_default, const server::Account& account, const Jid& other) {
  bool always = false;
  bool never = false;
  each_line(setting, [&](std::string_view line) {
    if (const auto said = parse_default(line)) by_default = *said;
    if (!line.starts_with(kAlways) && !line.starts_with(kNever)) return;
    const std::string_view jid = line.substr(1);
    if (jid == (jid.contains('/') ? std::string_view(other.text()) : other.bare()))
      (line.starts_with(kAlways) ? always : never) = true;
  });
  if (never || always) return !never;
  if (by_default == Archiving::roster) return account.in_roster(other) || other.same_bare(account.jid());
  return by_default == Archiving::always;
}

}  // namespace starling::modules

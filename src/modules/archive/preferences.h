#pragma once
// Message Archive Management Preferences (XEP-0441): what of an account's messages its archive keeps. Plain
// data.
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "server/module.h"

namespace starling::modules {

inline constexpr std::string_view kMam = "urn:xmpp:mam:2";

struct ArchivePreferences {
  server::Archiving by_default = server::Archiving::always;
  std::vector<Jid> always, never;
  bool operator==(const ArchivePreferences&) const = default;

  // As an account's setting: a line each. Empty is the setting of a user who has not decided.
  [[nodiscard]] std::string encode() const;
  static ArchivePreferences decode(std::string_view setting, server::Archiving by_default);

  // Of <prefs/>. The error is what the client gets.
  static std::expected<ArchivePreferences, StanzaError> parse(const xml::Element& prefs);
  [[nodiscard]] std::string xml() const;
};

// Whether messages from or to `other` are kept (2.3), by the account's setting. Who is in both lists is in
// `never`. For every message, so nothing is made of the setting.
bool keeps(std::string_view setting, server::Archiving by_default, const server::Account& account,
           const Jid& other);

}  // namespace starling::modules

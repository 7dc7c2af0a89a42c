#pragma once
// Unique and stable ids of messages (XEP-0359).
#include <optional>
#include <string>
#include <string_view>

#include "server/envelope.h"

namespace starling::server {

inline constexpr std::string_view kStanzaIds = "urn:xmpp:sid:0";

// <stanza-id/>, by an account.
std::string stanza_id(std::string_view by, std::string_view id);

// Whether there is anything of XEP-0359 in it, which the others are for. Cheap.
[[nodiscard]] bool has_ids(const Stanza& message);
// The message without what says to be this account's <stanza-id/> (3, rule 2); nothing if there is none.
std::optional<Stanza> without_stanza_id(const Stanza& message, const Jid& account);

// Of a message with an <origin-id/>; else zeros.
Fingerprint fingerprint(const Stanza& message);
std::string as_text(const Fingerprint& fingerprint);

}  // namespace starling::server

#pragma once
// Secrets out of the debug log. Internal to this room; any thread.
#include <string>
#include <string_view>

namespace starling::client {

// `xml` with three stars in place of what passwords and logins consist of: SASL's exchange, passwords of
// registration (XEP-0077, also as a form), digests, tokens. What is no single element (a stream header) has
// none.
std::string mask_secrets(std::string_view xml);

}  // namespace starling::client

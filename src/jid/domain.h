#pragma once
// Domainparts beyond the plain ASCII name (RFC 7622 3.2). Any thread.
#include <string>
#include <string_view>

#include "base/error.h"

namespace starling {

// IDNA2008 by way of UTS 46 without the transitional mappings: lower-cased U-labels in NFC. A-labels are
// converted. A final separator has been removed, whichever of the Unicode dots it was.
Result<std::string> domain_to_unicode(std::string_view text);

// "[2001:DB8::1]" to "[2001:db8::1]": one text for one address.
Result<std::string> normalise_ipv6_literal(std::string_view text);

// What is wrong with the labels of a name that is ASCII; empty when nothing is. RFC 1034 3.5, RFC 1123 2.1: 1
// to 63 bytes, no hyphen at an end. (The length of a whole name is the resolver's concern.)
std::string_view fault_in_labels(std::string_view name);

}  // namespace starling

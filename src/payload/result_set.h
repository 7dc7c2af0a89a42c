#pragma once
// Result Set Management (XEP-0059): pages of a longer list. Plain data; any thread.
#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "xml/element.h"
#include "xml/writer.h"

namespace starling::payload {

// What is asked for.
struct PageRequest {
  std::optional<std::size_t> max;
  std::optional<std::string> after, before;  // ids of items; an empty `before` is the end of the list (2.5)
  std::optional<std::size_t> index;          // where the page begins (2.6)
  bool operator==(const PageRequest&) const = default;
};
// Of <set xmlns='http://jabber.org/protocol/rsm'/>. The error is `invalid`: another element, or a number that
// is none.
Result<PageRequest> parse_page_request(const xml::Element& set);
void write(xml::Writer& writer, const PageRequest& request);

// What came.
struct PageInfo {
  std::string first, last;  // ids of the page's items, empty for an empty page
  std::optional<std::size_t> first_index, count;
  bool operator==(const PageInfo&) const = default;
};
Result<PageInfo> parse_page_info(const xml::Element& set);
void write(xml::Writer& writer, const PageInfo& info);

}  // namespace starling::payload

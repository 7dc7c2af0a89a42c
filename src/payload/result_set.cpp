#include "payload/result_set.h"

#include "payload/values.h"
#include "xml/namespaces.h"

namespace starling::payload {
namespace {

std::optional<std::string> text_of(const xml::Element& set, std::string_view name) {
  const xml::Element* child = set.child(name, ns::result_sets);
  return child == nullptr ? std::nullopt : std::optional(std::string(child->text()));
}

Result<std::optional<std::size_t>> number_of(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  const auto number = parse_long(*text);
  if (!number || *number < 0) return fail(Errc::invalid, "a result set has a number that is none");
  return static_cast<std::size_t>(*number);
}

void write_number(xml::Writer& writer, std::string_view name, const std::optional<std::size_t>& number) {
  if (number) writer.leaf(name, std::to_string(*number));
}

Result<void> check(const xml::Element& set) {
  if (set.is("set", ns::result_sets)) return {};
  return fail(Errc::invalid, "this is no result set");
}

}  // namespace

Result<PageRequest> parse_page_request(const xml::Element& set) {
  if (auto is = check(set); !is) return std::unexpected(std::move(is.error()));
  const auto max = number_of(text_of(set, "max"));
  const auto index = number_of(text_of(set, "index"));
  if (!max || !index) return std::unexpected(max ? index.error() : max.error());
  return PageRequest{
      .max = *max, .after = text_of(set, "after"), .before = text_of(set, "before"), .index = *index};
}

void write(xml::Writer& writer, const PageRequest& request) {
  writer.open("set", ns::result_sets);
  write_number(writer, "max", request.max);
  if (request.after) writer.leaf("after", *request.after);
  if (request.before) writer.leaf("before", *request.before);
  write_number(writer, "index", request.index);
  writer.close();
}

Result<PageInfo> parse_page_info(const xml::Element& set) {
  if (auto is = check(set); !is) return std::unexpected(std::move(is.error()));
  PageInfo info;
  const auto count = number_of(text_of(set, "count"));
  if (!count) return std::unexpected(count.error());
  info.count = *count;
  const xml::Element* first = set.child("first", ns::result_sets);
  if (first == nullptr || first->text().empty()) return info;
  info.first = first->text();
  info.last = text_of(set, "last").value_or(std::string());
  const auto index =
      number_of(first->attribute("index").transform([](auto text) { return std::string(text); }));
  if (!index) return std::unexpected(index.error());
  info.first_index = *index;
  return info;
}

void write(xml::Writer& writer, const PageInfo& info) {
  writer.open("set", ns::result_sets);
  if (!info.first.empty()) {
    writer.open("first");
    if (info.first_index) writer.attribute("index", std::to_string(*info.first_index));
    writer.text(info.first).close();
    writer.leaf("last", info.last);
  }
  write_number(writer, "count", info.count);
  writer.close();
}

}  // namespace starling::payload

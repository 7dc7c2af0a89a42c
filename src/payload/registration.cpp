#include "payload/registration.h"

#include <algorithm>
#include <array>

#include "xml/namespaces.h"

namespace starling::payload {
namespace {

constexpr std::array<std::string_view, 17> kFields = {
    "username", "nick", "password", "name", "first", "last", "email", "address", "city",
    "state",    "zip",  "phone",    "url",  "date",  "misc", "text",  "key"};

}  // namespace

bool Registration::has(std::string_view name) const {
  return std::ranges::find(fields, name, &Field::name) != fields.end();
}

std::string_view Registration::value(std::string_view name) const {
  const auto found = std::ranges::find(fields, name, &Field::name);
  return found == fields.end() ? std::string_view() : std::string_view(found->value);
}

void Registration::set(std::string_view name, std::string value) {
  const auto found = std::ranges::find(fields, name, &Field::name);
  if (found == fields.end()) {
    fields.push_back({.name = std::string(name), .value = std::move(value)});
  } else {
    found->value = std::move(value);
  }
}

bool is_registration_field(std::string_view name) {
  return std::ranges::find(kFields, name) != kFields.end();
}

Result<Registration> parse_registration(const xml::Element& query) {
  if (!query.is("query", ns::reg)) return fail(Errc::invalid, "this is no registration");
  Registration parsed;
  for (const auto& child : query.children()) {
    if (child.is("x", ns::data_forms)) {
      auto form = parse_data_form(child);
      if (!form) return std::unexpected(form.error());
      parsed.form = std::move(*form);
    } else if (child.is("x", ns::oob)) {
      if (const xml::Element* url = child.child("url", ns::oob)) parsed.url = url->text();
    } else if (child.is("registered", ns::reg)) {
      parsed.registered = true;
    } else if (child.is("remove", ns::reg)) {
      parsed.remove = true;
    } else if (child.is("instructions", ns::reg)) {
      parsed.instructions = child.text();
    } else if (child.ns() == ns::reg && is_registration_field(child.name())) {
      parsed.fields.push_back({.name = std::string(child.name()), .value = std::string(child.text())});
    }
  }
  return parsed;
}

void write(xml::Writer& writer, const Registration& registration) {
  writer.open("query", ns::reg);
  if (registration.registered) writer.leaf("registered");
  if (!registration.instructions.empty()) writer.leaf("instructions", registration.instructions);
  for (const auto& [name, value] : registration.fields)
    if (is_registration_field(name)) writer.leaf(name, value);
  if (registration.remove) writer.leaf("remove");
  if (registration.form) write(writer, *registration.form);
  if (!registration.url.empty()) writer.open("x", ns::oob).leaf("url", registration.url).close();
  writer.close();
}

}  // namespace starling::payload

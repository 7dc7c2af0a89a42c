#include "payload/disco_info.h"

#include <algorithm>

#include "base/crypto.h"
#include "xml/namespaces.h"

namespace starling::payload {
namespace {

template <class Range, class Projection = std::identity>
bool has_duplicates(const Range& range, Projection projection = {}) {
  std::vector<const typename Range::value_type*> sorted;
  for (const auto& item : range) sorted.push_back(&item);
  const auto key = [&](const auto* item) -> const auto& { return std::invoke(projection, *item); };
  std::ranges::sort(sorted, {}, key);
  return std::ranges::adjacent_find(sorted, {}, key) != sorted.end();
}

std::string attribute(const xml::Element& element, std::string_view name) {
  return std::string(element.attribute(name).value_or(std::string_view()));
}

DiscoInfo::Field parse_field(const xml::Element& element) {
  DiscoInfo::Field field{.name = attribute(element, "var"), .values = {}};
  for (const auto& value : element.children())
    if (value.is("value", ns::data_forms)) field.values.emplace_back(value.text());
  return field;
}

// XEP-0115 5.4, steps 3.5 and 3.6.
Result<void> parse_form(const xml::Element& x, std::vector<DiscoInfo::Form>& forms) {
  DiscoInfo::Form form;
  bool typed = false;
  for (const auto& element : x.children()) {
    if (!element.is("field", ns::data_forms)) continue;
    DiscoInfo::Field field = parse_field(element);
    if (field.name != "FORM_TYPE") {
      form.fields.push_back(std::move(field));
    } else if (element.attribute("type") == "hidden" && !field.values.empty()) {
      if (typed ||
          std::ranges::any_of(field.values, [&](const auto& value) { return value != field.values.front(); }))
        return fail(Errc::invalid, "a form has two types");
      form.type = std::move(field.values.front());
      typed = true;
    }
  }
  if (typed) forms.push_back(std::move(form));
  return {};
}

// What ends each part of S cannot stand inside one (XEP-0115 5.1, the note below its list).
void append(std::string& s, std::string_view part) {
  for (const char c : part) {
    if (c == '<') {
      s += "&lt;";
    } else {
      s += c;
    }
  }
}

template <class T, class Projection = std::identity>
std::vector<T> sorted(std::vector<T> items, Projection projection = {}) {
  std::ranges::sort(items, {}, projection);
  return items;
}

}  // namespace

bool DiscoInfo::has_feature(std::string_view feature) const {
  return std::ranges::find(features, feature) != features.end();
}

Result<DiscoInfo> parse_disco_info(const xml::Element& query) {
  DiscoInfo info;
  for (const auto& child : query.children()) {
    if (child.is("identity", ns::disco_info)) {
      info.identities.push_back({.category = attribute(child, "category"),
                                 .type = attribute(child, "type"),
                                 .lang = std::string(child.lang()),
                                 .name = attribute(child, "name")});
      if (info.identities.back().category.empty() || info.identities.back().type.empty())
        return fail(Errc::invalid, "an identity has no category or no type");
    } else if (child.is("feature", ns::disco_info)) {
      info.features.push_back(attribute(child, "var"));
    } else if (child.is("x", ns::data_forms)) {
      if (auto done = parse_form(child, info.forms); !done) return std::unexpected(done.error());
    }
  }
  if (has_duplicates(info.identities)) return fail(Errc::invalid, "an identity comes twice");
  if (has_duplicates(info.features)) return fail(Errc::invalid, "a feature comes twice");
  if (has_duplicates(info.forms, &DiscoInfo::Form::type))
    return fail(Errc::invalid, "two forms have the same type");
  return info;
}

void write(xml::Writer& writer, const DiscoInfo& info) {
  for (const auto& identity : info.identities)
    writer.open("identity")
        .attribute("category", identity.category)
        .attribute("type", identity.type)
        .attribute_if("xml:lang", identity.lang)
        .attribute_if("name", identity.name)
        .close();
  for (const auto& feature : info.features) writer.open("feature").attribute("var", feature).close();
  for (const auto& form : info.forms) {
    writer.open("x", ns::data_forms).attribute("type", "result");
    writer.open("field")
        .attribute("var", "FORM_TYPE")
        .attribute("type", "hidden")
        .leaf("value", form.type)
        .close();
    for (const auto& field : form.fields) {
      writer.open("field").attribute("var", field.name);
      for (const auto& value : field.values) writer.leaf("value", value);
      writer.close();
    }
    writer.close();
  }
}

std::string caps_string(const DiscoInfo& info) {
  std::string s;
  for (const auto& identity : sorted(info.identities)) {
    for (const auto* part : {&identity.category, &identity.type, &identity.lang}) {
      append(s, *part);
      s += '/';
    }
    append(s, identity.name);
    s += '<';
  }
  const auto add = [&s](std::string_view part) {
    append(s, part);
    s += '<';
  };
  for (const auto& feature : sorted(info.features)) add(feature);
  for (const auto& form : sorted(info.forms, &DiscoInfo::Form::type)) {
    add(form.type);
    for (const auto& field : sorted(form.fields, &DiscoInfo::Field::name)) {
      add(field.name);
      for (const auto& value : sorted(field.values)) add(value);
    }
  }
  return s;
}

std::string caps_hash(const DiscoInfo& info) {
  return crypto::base64_encode(crypto::digest(crypto::Hash::sha1, caps_string(info)));
}

}  // namespace starling::payload

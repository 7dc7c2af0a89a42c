#include "payload/disco_info.h"

#include <algorithm>
#include <set>

#include "base/crypto.h"
#include "payload/values.h"
#include "xml/namespaces.h"

namespace starling::payload {
namespace {

constexpr std::string_view kFormType = "FORM_TYPE";

// Leaves the first of each; true if there was another one.
template <class T, class KeyOf>
bool drop_repeated(std::vector<T>& items, KeyOf key_of) {
  std::set<decltype(key_of(items.front()))> seen;
  return std::erase_if(items, [&](const T& item) { return !seen.insert(key_of(item)).second; }) > 0;
}

bool has_different(const std::vector<std::string>& values) {
  return std::ranges::any_of(values, [&](const auto& value) { return value != values.front(); });
}

// XEP-0115 5.4, step 3.5.
bool has_two_types(const DataForm& form) {
  std::size_t types = 0;
  for (const auto& field : form.fields) {
    if (field.var != kFormType || field.type != DataForm::FieldType::hidden) continue;
    types += has_different(field.values) ? 2 : field.values.empty() ? 0 : 1;
  }
  return types > 1;
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

Result<DiscoInfo> parse_disco_info(const xml::Element& query, Repeated repeated) {
  const bool strict = repeated == Repeated::refused;
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
      auto form = parse_data_form(child);
      if (!form || form->type == DataForm::Type::submit || form->form_type().empty()) continue;
      if (strict && has_two_types(*form)) return fail(Errc::invalid, "a form has two types");
      info.forms.push_back(std::move(*form));
    }
  }
  const auto itself = [](const auto& item) { return item; };
  if (drop_repeated(info.identities, itself) && strict) return fail(Errc::invalid, "an identity comes twice");
  if (drop_repeated(info.features, itself) && strict) return fail(Errc::invalid, "a feature comes twice");
  if (drop_repeated(info.forms, [](const DataForm& form) { return std::string(form.form_type()); }) && strict)
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
  for (const auto& form : info.forms) write(writer, form);
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
  for (const auto& form : sorted(info.forms, &DataForm::form_type)) {
    add(form.form_type());
    for (const auto& field : sorted(form.fields, &DataForm::Field::var)) {
      if (field.var == kFormType) continue;
      add(field.var);
      for (const auto& value : sorted(field.values)) add(value);
    }
  }
  return s;
}

std::string caps_hash(const DiscoInfo& info) {
  return crypto::base64_encode(crypto::digest(crypto::Hash::sha1, caps_string(info)));
}

}  // namespace starling::payload

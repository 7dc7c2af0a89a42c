#include "payload/data_form.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "payload/values.h"
#include "xml/namespaces.h"

namespace starling::payload {
namespace {

constexpr std::string_view kFormType = "FORM_TYPE";

constexpr std::array<std::string_view, 4> kTypes = {"form", "submit", "cancel", "result"};
constexpr std::array<std::string_view, 10> kFieldTypes = {
    "boolean",    "fixed",       "hidden",     "jid-multi",    "jid-single",
    "list-multi", "list-single", "text-multi", "text-private", "text-single"};
static_assert(kTypes.size() == static_cast<std::size_t>(DataForm::Type::result) + 1);
static_assert(kFieldTypes.size() == static_cast<std::size_t>(DataForm::FieldType::text_single) + 1);

template <class Enum, std::size_t size>
std::optional<Enum> find_name(const std::array<std::string_view, size>& names, std::string_view name) {
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Enum>(found - names.begin());
}

// --- reading ---

void parse_validation(const xml::Element& validate, DataForm::Field& field) {
  field.datatype = attribute(validate, "datatype");
  if (const xml::Element* range = validate.child("range", ns::data_validate)) {
    field.min = attribute(*range, "min");
    field.max = attribute(*range, "max");
  }
}

DataForm::Field parse_field(const xml::Element& element) {
  DataForm::Field field;
  field.var = attribute(element, "var");
  if (const auto type = element.attribute("type"))
    field.type =
        find_name<DataForm::FieldType>(kFieldTypes, *type).value_or(DataForm::FieldType::text_single);
  field.label = attribute(element, "label");
  for (const auto& child : element.children()) {
    if (child.is("value", ns::data_forms)) {
      field.values.emplace_back(child.text());
    } else if (child.is("desc", ns::data_forms)) {
      field.desc = child.text();
    } else if (child.is("required", ns::data_forms)) {
      field.required = true;
    } else if (child.is("option", ns::data_forms)) {
      if (const xml::Element* value = child.child("value", ns::data_forms))
        field.options.push_back({.label = attribute(child, "label"), .value = std::string(value->text())});
    } else if (child.is("validate", ns::data_validate)) {
      parse_validation(child, field);
    } else if (child.is("notSame", ns::dynamic_forms)) {
      field.not_same = true;
    } else if (child.is("parameterGroup", ns::iot_control)) {
      field.group = attribute(child, "name");
    }
  }
  return field;
}

void add_field(std::vector<DataForm::Field>& fields, const xml::Element& element) {
  DataForm::Field field = parse_field(element);
  if (!field.var.empty() || field.type == DataForm::FieldType::fixed) fields.push_back(std::move(field));
}

std::vector<DataForm::Field> parse_fields(const xml::Element& element) {
  std::vector<DataForm::Field> fields;
  for (const auto& child : element.children())
    if (child.is("field", ns::data_forms)) add_field(fields, child);
  return fields;
}

// --- writing ---

void write_validation(xml::Writer& writer, const DataForm::Field& field) {
  if (field.datatype.empty() && field.min.empty() && field.max.empty()) return;
  writer.open("validate", ns::data_validate).attribute_if("datatype", field.datatype);
  if (field.min.empty() && field.max.empty()) {
    writer.leaf("basic");
  } else {
    writer.open("range").attribute_if("min", field.min).attribute_if("max", field.max).close();
  }
  writer.close();
}

void write_field(xml::Writer& writer, const DataForm::Field& field) {
  writer.open("field").attribute_if("var", field.var);
  if (field.type) writer.attribute("type", to_string(*field.type));
  writer.attribute_if("label", field.label);
  if (!field.desc.empty()) writer.leaf("desc", field.desc);
  if (field.required) writer.leaf("required");
  for (const auto& value : field.values) writer.leaf("value", value);
  for (const auto& option : field.options)
    writer.open("option").attribute_if("label", option.label).leaf("value", option.value).close();
  write_validation(writer, field);
  if (field.not_same) writer.open("notSame", ns::dynamic_forms).close();
  if (!field.group.empty())
    writer.open("parameterGroup", ns::iot_control).attribute("name", field.group).close();
  writer.close();
}

void write_fields(xml::Writer& writer, const std::vector<DataForm::Field>& fields) {
  for (const auto& field : fields) write_field(writer, field);
}

}  // namespace

std::string_view DataForm::Field::value() const {
  return values.empty() ? std::string_view() : std::string_view(values.front());
}

std::optional<bool> DataForm::Field::boolean() const { return parse_boolean(value()); }

std::string DataForm::Field::text() const {
  std::string lines;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) lines += '\n';
    lines += values[i];
  }
  return lines;
}

std::vector<Jid> DataForm::Field::jids() const {
  std::vector<Jid> found;
  std::unordered_set<std::string> seen;
  for (const auto& text : values) {
    auto jid = Jid::parse(text);
    if (jid && seen.insert(std::string(jid->text())).second) found.push_back(std::move(*jid));
  }
  return found;
}

DataForm DataForm::of(Type type, std::string form_type) {
  DataForm form;
  form.type = type;
  form.set(kFormType, {std::move(form_type)});
  form.fields.front().type = FieldType::hidden;
  return form;
}

std::string_view DataForm::form_type() const {
  const auto says = [this](const Field& field) {
    return field.var == kFormType && !field.values.empty() &&
           (type == Type::submit || field.type == FieldType::hidden);
  };
  const auto found = std::ranges::find_if(fields, says);
  return found == fields.end() ? std::string_view() : found->value();
}

const DataForm::Field* DataForm::find(std::string_view var) const {
  const auto found = std::ranges::find(fields, var, &Field::var);
  return found == fields.end() ? nullptr : &*found;
}

std::string_view DataForm::value(std::string_view var) const {
  const Field* field = find(var);
  return field == nullptr ? std::string_view() : field->value();
}

void DataForm::set(std::string_view var, std::vector<std::string> values) {
  auto found = std::ranges::find(fields, var, &Field::var);
  if (found == fields.end()) {
    found = fields.emplace(found);
    found->var = var;
  }
  found->values = std::move(values);
}

DataForm DataForm::submission() const {
  DataForm submitted;
  submitted.type = Type::submit;
  for (const auto& field : fields) {
    if (field.var.empty() || field.type == FieldType::fixed || field.values.empty() || field.not_same)
      continue;
    Field& filled = submitted.fields.emplace_back();
    filled.var = field.var;
    filled.type = field.type;
    filled.values = field.values;
  }
  return submitted;
}

std::vector<std::string_view> DataForm::missing_in(const DataForm& submitted) const {
  std::vector<std::string_view> missing;
  for (const auto& field : fields)
    if (field.required && submitted.value(field.var).empty()) missing.push_back(field.var);
  return missing;
}

std::string_view to_string(DataForm::Type type) { return kTypes[static_cast<std::size_t>(type)]; }
std::string_view to_string(DataForm::FieldType type) { return kFieldTypes[static_cast<std::size_t>(type)]; }

Result<DataForm> parse_data_form(const xml::Element& x) {
  if (!x.is("x", ns::data_forms)) return fail(Errc::invalid, "this is no data form");
  const auto type = find_name<DataForm::Type>(kTypes, attribute(x, "type"));
  if (!type) return fail(Errc::invalid, "a data form has no type, or an unknown one");
  DataForm form;
  form.type = *type;
  for (const auto& child : x.children()) {
    if (child.is("title", ns::data_forms)) {
      form.title = child.text();
    } else if (child.is("instructions", ns::data_forms)) {
      form.instructions.emplace_back(child.text());
    } else if (child.is("field", ns::data_forms)) {
      add_field(form.fields, child);
    } else if (child.is("reported", ns::data_forms)) {
      form.reported = parse_fields(child);
    } else if (child.is("item", ns::data_forms)) {
      form.items.push_back(parse_fields(child));
    }
  }
  return form;
}

void write(xml::Writer& writer, const DataForm& form) {
  writer.open("x", ns::data_forms).attribute("type", to_string(form.type));
  if (!form.title.empty()) writer.leaf("title", form.title);
  for (const auto& line : form.instructions) writer.leaf("instructions", line);
  write_fields(writer, form.fields);
  if (!form.reported.empty()) {
    writer.open("reported");
    write_fields(writer, form.reported);
    writer.close();
  }
  for (const auto& item : form.items) {
    writer.open("item");
    write_fields(writer, item);
    writer.close();
  }
  writer.close();
}

}  // namespace starling::payload

#pragma once
// Data forms (XEP-0004), with the FORM_TYPE of XEP-0068, the datatypes and ranges of XEP-0122, and what
// control (XEP-0325) puts on fields. Plain data; any thread.
//
// Known gaps: no media (XEP-0221), no pages (XEP-0141), of XEP-0122 no regular expressions, open lists and
// numbers of choices; of XEP-0336 only <notSame/>. All of these are left out in reading.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "jid/jid.h"
#include "xml/element.h"
#include "xml/writer.h"

namespace starling::payload {

struct DataForm {
  enum class Type : std::uint8_t { form, submit, cancel, result };
  enum class FieldType : std::uint8_t {
    boolean,
    fixed,
    hidden,
    jid_multi,
    jid_single,
    list_multi,
    list_single,
    text_multi,
    text_private,
    text_single,
  };
  struct Option {
    std::string label, value;
    bool operator==(const Option&) const = default;
  };
  struct Field {
    std::string var;                // empty only for a fixed one
    std::optional<FieldType> type;  // as written; without one it is text_single, or clear from the context
    std::string label, desc;        // for a person
    bool required = false;
    std::vector<std::string> values;
    std::vector<Option> options;
    std::string datatype, min, max;  // XEP-0122: "xs:int" and its bounds; each may be empty
    bool not_same = false;           // XEP-0336 3.4: to be sent back only if it was edited
    std::string group;               // XEP-0325 5.4: parameters of one group are set together

    [[nodiscard]] std::string_view value() const;       // the first, or empty
    [[nodiscard]] std::optional<bool> boolean() const;  // of the first value
    [[nodiscard]] std::string text() const;             // all values, as lines of one text
    [[nodiscard]] std::vector<Jid> jids() const;        // the values that are addresses, each once (3.3)
    bool operator==(const Field&) const = default;
  };

  Type type = Type::form;
  std::string title;
  std::vector<std::string> instructions;
  std::vector<Field> fields;
  std::vector<Field> reported;  // the columns of a table, and its lines (3.4)
  std::vector<std::vector<Field>> items;

  // A form of the type with nothing but the hidden FORM_TYPE.
  static DataForm of(Type type, std::string form_type);

  // What says which form it is: of a hidden FORM_TYPE, in a submission of any (XEP-0068 4.1, 4.3); or empty.
  [[nodiscard]] std::string_view form_type() const;

  [[nodiscard]] const Field* find(std::string_view var) const;       // the first of the name, or nullptr
  [[nodiscard]] std::string_view value(std::string_view var) const;  // of find(), or empty
  void set(std::string_view var, std::vector<std::string> values);   // in find(), or in a new field

  // What goes back when nothing is changed: each field that has a value, without what it is for a person.
  [[nodiscard]] DataForm submission() const;
  // The required fields that `submitted` has no value for.
  [[nodiscard]] std::vector<std::string_view> missing_in(const DataForm& submitted) const;

  bool operator==(const DataForm&) const = default;
};
std::string_view to_string(DataForm::Type type);       // "form"
std::string_view to_string(DataForm::FieldType type);  // "text-single"

// Of <x xmlns='jabber:x:data'/>. The error is `invalid`: another element, or one of no type or of an unknown
// one. An unknown type of a field is text_single (3.3). What nobody can fill in is left out: fields without
// var that are not fixed, options without value.
Result<DataForm> parse_data_form(const xml::Element& x);

// Writes the whole element.
void write(xml::Writer& writer, const DataForm& form);

}  // namespace starling::payload

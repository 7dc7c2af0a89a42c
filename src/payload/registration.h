#pragma once
// In-band registration (XEP-0077): what <query xmlns='jabber:iq:register'/> holds, in both directions. Plain
// data; any thread.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "payload/data_form.h"
#include "xml/element.h"
#include "xml/writer.h"

namespace starling::payload {

struct Registration {
  struct Field {
    std::string name;   // one of the schema's (section 14.1); no other is read or written
    std::string value;  // empty in what a host asks for
    bool operator==(const Field&) const = default;
  };

  bool registered = false;   // a host: the sender has an account already, and this is what is on file
  bool remove = false;       // the end of the account; stands alone (3.2)
  std::string instructions;  // for a person
  std::vector<Field> fields;
  std::optional<DataForm> form;  // goes before `fields`; never are both submitted (section 4)
  std::string url;               // of a web page to register at instead (section 5)

  [[nodiscard]] bool has(std::string_view name) const;
  [[nodiscard]] std::string_view value(std::string_view name) const;  // of the first of the name, or empty
  void set(std::string_view name, std::string value);
  bool operator==(const Registration&) const = default;
};

bool is_registration_field(std::string_view name);

// The error is `invalid`: another element, or a data form that is none.
Result<Registration> parse_registration(const xml::Element& query);

// Writes the whole element.
void write(xml::Writer& writer, const Registration& registration);

}  // namespace starling::payload

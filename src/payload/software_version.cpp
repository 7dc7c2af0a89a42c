#include "payload/software_version.h"

#include "payload/values.h"
#include "xml/namespaces.h"

namespace starling::payload {

Result<SoftwareVersion> parse_software_version(const xml::Element& query) {
  if (!query.is("query", ns::version)) return fail(Errc::invalid, "this is no software version");
  if (query.child("name", ns::version) == nullptr || query.child("version", ns::version) == nullptr)
    return fail(Errc::invalid, "a software version has no name or no version");
  return SoftwareVersion{.name = std::string(child_text(query, "name")),
                         .version = std::string(child_text(query, "version")),
                         .os = std::string(child_text(query, "os"))};
}

void write(xml::Writer& writer, const SoftwareVersion& version) {
  writer.open("query", ns::version).leaf("name", version.name).leaf("version", version.version);
  if (!version.os.empty()) writer.leaf("os", version.os);
  writer.close();
}

}  // namespace starling::payload

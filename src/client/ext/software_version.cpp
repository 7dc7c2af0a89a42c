#include "client/ext/software_version.h"

#include "base/version.h"
#include "xml/namespaces.h"

namespace starling::client {

SoftwareVersion::SoftwareVersion(Client& client)
    : client_(client), own_{"Starling", std::string(kVersion), {}} {
  client.on_request(Type::get, "query", ns::version, [this](const Stanza&, const Responder& respond) {
    std::string answer;
    xml::Writer writer(answer, ns::client);
    payload::write(writer, own_);
    respond.result(answer);
  });
}

Extension::Info SoftwareVersion::info() const {
  return {
      "XEP-0092", "Software Version", {ns::version}, "1.1", "asks which software others run, and tells ours"};
}

Request<payload::SoftwareVersion> SoftwareVersion::of(const Jid& whom) {
  return client_.request(Type::get, whom, "<query xmlns='jabber:iq:version'/>")
      .map(content(payload::parse_software_version));
}

}  // namespace starling::client

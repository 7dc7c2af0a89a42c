#include "client/ext/entity_time.h"

#include "xml/namespaces.h"

namespace starling::client {

EntityTime::EntityTime(Client& client) : client_(client) {
  client.on_request(Type::get, "time", ns::time, [this](const Stanza&, const Responder& respond) {
    std::string answer;
    xml::Writer writer(answer, ns::client);
    payload::write(writer, payload::EntityTime{client_.loop().wall(), east_});
    respond.result(answer);
  });
}

Extension::Info EntityTime::info() const {
  return {"XEP-0202", "Entity Time", {ns::time}, "2.0", "asks for the time of others, and tells ours"};
}

Request<payload::EntityTime> EntityTime::of(const Jid& whom) {
  return client_.request(Type::get, whom, "<time xmlns='urn:xmpp:time'/>")
      .map(content(payload::parse_entity_time));
}

}  // namespace starling::client

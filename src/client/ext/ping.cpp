#include "client/ext/ping.h"

#include "xml/namespaces.h"

namespace starling::client {

Ping::Ping(Client& client) : client_(client) {
  client.on_request(Type::get, "ping", ns::ping,
                    [](const Stanza&, const Responder& respond) { respond.result(); });
}

Extension::Info Ping::info() const {
  return {
      "XEP-0199", "XMPP Ping", {ns::ping}, "2.0.1", "asks whether somebody is there, and answers when asked"};
}

Request<Milliseconds> Ping::ping(const Jid& to, Milliseconds timeout) {
  Request<Milliseconds> timed;
  client_.request(Type::get, to, "<ping xmlns='urn:xmpp:ping'/>", timeout)
      .then([resolve = timed.resolver(), &loop = client_.loop(),
             began = client_.loop().now()](const auto& answer) {
        const auto took = std::chrono::duration_cast<Milliseconds>(loop.now() - began);
        const bool unknown = !answer && answer.error().error.condition == Condition::feature_not_implemented;
        if (answer || unknown) return resolve(took);
        resolve(std::unexpected(answer.error()));
      });
  return timed;
}

}  // namespace starling::client

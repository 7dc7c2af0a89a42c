#include "client/ext/last_activity.h"

#include "xml/namespaces.h"

namespace starling::client {

LastActivity::LastActivity(Client& client) : client_(client), acted_at_(client.loop().now()) {
  client.on_request(Type::get, "query", ns::last,
                    [this, &roster = client.use<Roster>()](const Stanza& iq, const Responder& respond) {
                      if (!tells_ || !roster.sees_us(iq.from()))
                        return respond.error({.condition = Condition::service_unavailable});
                      std::string answer;
                      xml::Writer writer(answer, ns::client);
                      const auto idle =
                          std::chrono::floor<std::chrono::seconds>(client_.loop().now() - acted_at_);
                      payload::write(writer, payload::LastActivity{idle, {}});
                      respond.result(answer);
                    });
}

Extension::Info LastActivity::info() const {
  return {"XEP-0012",
          "Last Activity",
          {ns::last},
          "2.0",
          "asks since when somebody is idle, away or up, and tells it of us"};
}

Request<payload::LastActivity> LastActivity::of(const Jid& whom) {
  return client_.request(Type::get, whom, "<query xmlns='jabber:iq:last'/>")
      .map(content(payload::parse_last_activity));
}

void LastActivity::acted() { acted_at_ = client_.loop().now(); }

}  // namespace starling::client

#include "client/ext/vcard.h"

#include "xml/namespaces.h"

namespace starling::client {

Extension::Info VCards::info() const {
  return {"XEP-0054", "vcard-temp", {}, "1.3.0", "gets and sets vCards"};
}

Request<payload::VCard> VCards::get(const Jid& of) {
  Request<payload::VCard> request;
  client_.request(Type::get, of, "<vCard xmlns='vcard-temp'/>")
      .map(content(payload::parse_vcard))
      .then([resolve = request.resolver()](Outcome<payload::VCard> answer) {
        const bool none = !answer && answer.error().error.condition == Condition::item_not_found;
        resolve(none ? payload::VCard() : std::move(answer));
      });
  return request;
}

Request<void> VCards::set(const payload::VCard& vcard) {
  std::string out;
  xml::Writer writer(out, ns::client);
  payload::write(writer, vcard);
  return client_.request(Type::set, {}, out).map(no_content);
}

}  // namespace starling::client

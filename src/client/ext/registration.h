#pragma once
// In-band registration (XEP-0077): makes an account at a server or service, changes its password, ends it.
// An account of one's own at a server is made on a stream without login: Options::jid is the domain, and
// Options::password is empty. Passwords go over TLS alone, unless Options::plain_without_tls allows else
// (3.3, 11). Known gaps: a form that comes with a refusal (examples 16 and 23) is not read.
#include <string>
#include <string_view>

#include "client/client.h"
#include "payload/registration.h"

namespace starling::client {

// In all of this, no `host` is our own server.
class Registration final : public Extension {
 public:
  explicit Registration(Client& client) : client_(client) {}
  [[nodiscard]] Info info() const override;

  [[nodiscard]] bool offered() const;  // by the stream's features (8); a server may take some all the same

  // What the host wants to know, or has on file of us.
  Request<payload::Registration> fields(const Jid& host = {});
  // The same, filled in; of the fields and the form, the form if there is one (4).
  Request<void> submit(const payload::Registration& filled, const Jid& host = {});
  // Both at once, where name, password and email (if there is any) are enough; else it is refused with
  // not-acceptable, or with not-allowed where accounts are made on a web page; the text has the rest.
  Request<void> create(std::string name, std::string password, std::string email = {}, const Jid& host = {});

  Request<void> change_password(std::string_view password);  // our account's at our server (3.3)
  // The end of our account (3.2): our own server ends the session with not-authorized after this.
  Request<void> remove(const Jid& host = {});

 private:
  [[nodiscard]] bool safe() const;
  Request<void> send(const payload::Registration& registration, const Jid& host);

  Client& client_;
};

}  // namespace starling::client

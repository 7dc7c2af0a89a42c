#pragma once
// Software Version (XEP-0092): which software somebody runs, and which we are. The operating system is not
// told unless the program says so (5).
#include "client/client.h"
#include "payload/software_version.h"

namespace starling::client {

class SoftwareVersion final : public Extension {
 public:
  explicit SoftwareVersion(Client& client);
  [[nodiscard]] Info info() const override;

  Request<payload::SoftwareVersion> of(const Jid& whom);
  void set(payload::SoftwareVersion own) { own_ = std::move(own); }  // in place of Starling and its version

 private:
  Client& client_;
  payload::SoftwareVersion own_;
};

}  // namespace starling::client

#pragma once
// Entity Time (XEP-0202): what somebody's clock says, and what ours does. The time zone is not told unless
// the program says so, since it tells where we are (6).
#include "client/client.h"
#include "payload/entity_time.h"

namespace starling::client {

class EntityTime final : public Extension {
 public:
  explicit EntityTime(Client& client);
  [[nodiscard]] Info info() const override;

  Request<payload::EntityTime> of(const Jid& whom);
  void set_zone(std::chrono::minutes east) { east_ = east; }  // in place of UTC

 private:
  Client& client_;
  std::chrono::minutes east_{0};
};

}  // namespace starling::client

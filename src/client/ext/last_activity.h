#pragma once
// Last Activity (XEP-0012): since when somebody is idle (a full address), away (a bare one) or up (a domain),
// and for how long our user is idle, for who may know that we are there.
#include "client/ext/roster.h"
#include "payload/last_activity.h"

namespace starling::client {

class LastActivity final : public Extension {
 public:
  explicit LastActivity(Client& client);
  [[nodiscard]] Info info() const override;

  Request<payload::LastActivity> of(const Jid& whom);

  void acted();                        // the user has done something just now; he has when this was made
  void tell(bool on) { tells_ = on; }  // whether others hear of it: for the user to decide (8)

 private:
  Client& client_;
  SteadyTime acted_at_;
  bool tells_ = true;
};

}  // namespace starling::client

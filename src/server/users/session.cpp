#include "server/users/session.h"

#include "server/users/user.h"

namespace starling::server {

void UserSession::send(Outgoing outgoing) {
  if (management_) {
    management_->send({outgoing, {}});
    user_.bound_queue(*this);
  }
  link_->send(std::move(outgoing));
}

void UserSession::send_text(std::string_view xml) {
  if (management_) {
    management_->send({{}, std::string(xml)});
    user_.bound_queue(*this);
  }
  link_->send_text(xml);
}

}  // namespace starling::server

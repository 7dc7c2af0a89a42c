// PLAIN (RFC 4616): [authzid] NUL authcid NUL password in one message.
#include "stream/sasl/detail.h"

namespace starling::sasl {
namespace {

class PlainServer final : public ServerMechanism {
 public:
  explicit PlainServer(const Channel& channel) : domain_(channel.domain) {}

  Step respond(std::optional<std::string_view> data) override {
    if (!data && !challenged_) {
      challenged_ = true;
      return Challenge{};
    }
    const std::string_view message = data.value_or(std::string_view());
    const auto first = message.find('\0');
    const auto second = first == std::string_view::npos ? first : message.find('\0', first + 1);
    if (second == std::string_view::npos || message.find('\0', second + 1) != std::string_view::npos)
      return malformed();
    const auto authzid = message.substr(0, first);
    const auto user = message.substr(first + 1, second - first - 1);
    const auto password = message.substr(second + 1);
    if (user.empty() || password.empty()) return malformed();

    auto account = account_for(user, authzid, domain_);
    if (auto* failed = std::get_if<Failed>(&account)) return std::move(*failed);
    account_ = std::get<Jid>(std::move(account));
    auto prepared = prepare_password(password);
    if (!prepared || prepared->empty()) return Failed{Failure::not_authorized, {}, account_.text()};
    return NeedCheck{account_, *std::move(prepared)};
  }

  Step checked(bool right, bool disabled) override {
    if (!right) return Failed{Failure::not_authorized, {}, account_.text()};
    if (disabled) return Failed{Failure::account_disabled, {}, account_.text()};
    return Success{account_, {}};
  }

 private:
  static Failed malformed() {
    return {Failure::malformed_request, "PLAIN is [authzid] NUL user NUL password", {}};
  }

  std::string domain_;
  Jid account_;
  bool challenged_ = false;
};

class PlainClient final : public ClientMechanism {
 public:
  explicit PlainClient(const Credentials& credentials) : credentials_(credentials) {}
  ~PlainClient() override { crypto::wipe(credentials_.password); }

  Result<std::string> initial() override {
    std::string message(1, '\0');
    message += credentials_.jid.local();
    message += '\0';
    message += credentials_.password;
    return message;
  }
  Result<std::string> respond(std::string_view) override {
    return fail(Errc::invalid, "the server sent a challenge to PLAIN, which has none");
  }
  Result<void> verify(std::string_view) override { return {}; }

 private:
  Credentials credentials_;
};

}  // namespace

std::unique_ptr<ServerMechanism> plain_server(const Channel& channel) {
  return std::make_unique<PlainServer>(channel);
}
std::unique_ptr<ClientMechanism> plain_client(const Credentials& credentials) {
  return std::make_unique<PlainClient>(credentials);
}

}  // namespace starling::sasl

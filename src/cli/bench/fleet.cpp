#include "cli/bench/fleet.h"

#include <algorithm>

#include <fmt/format.h>

#include "stream/sasl/mechanism.h"

namespace starling::cli::bench {
namespace {

constexpr std::size_t kAtOnce = 50;  // logins under way

stream::TlsPolicy policy(std::string_view text) {
  return text == "off" ? stream::TlsPolicy::off : stream::TlsPolicy::required;
}

// The one of that name; empty: all.
std::span<const sasl::Mechanism> mechanisms(std::string_view name) {
  const auto all = sasl::standard_mechanisms();
  const auto found = std::ranges::find(all, name, &sasl::Mechanism::name);
  return found == all.end() ? all : all.subspan(static_cast<std::size_t>(found - all.begin()), 1);
}

}  // namespace

std::string account_name(std::size_t number) { return fmt::format("u{}", number); }
std::string password_of(std::size_t number) { return "pw-" + account_name(number); }

client::Options options_for(const Target& target, std::size_t number) {
  return {.jid = *Jid::parse(fmt::format("{}@{}/bench", account_name(number), target.domain)),
          .password = password_of(number),
          .connect = target.connect,
          .tls = policy(target.tls),
          .insecure = true,
          .plain_without_tls = true,
          .mechanisms = mechanisms(target.mechanism),
          .stream_management = target.stream_management};
}

Task<Result<void>> Fleet::grow(std::size_t count) {
  wanted_ = clients_.size() + count;
  if (count > 0) {
    Completion<bool> settled;
    waiting_.emplace(settled.resolver());
    for (std::size_t i = 0; i < kAtOnce; ++i) connect_next();
    co_await std::move(settled);
  }
  if (failure_) co_return std::unexpected(*failure_);
  co_return Result<void>();
}

void Fleet::connect_next() {
  if (clients_.size() == wanted_ || failure_) return;
  auto& client = *clients_.emplace_back(
      std::make_unique<client::Client>(options_for(target_, target_.first + clients_.size()), reactor_));
  client.on.session_start([this] {
    ++online_;
    if (online_ == wanted_)
      settle();
    else
      connect_next();
  });
  client.on.disconnected([this, &client](const client::Ended& ended) { lost(client, ended); });
  client.connect();
}

void Fleet::lost(const client::Client& client, const client::Ended& ended) {
  ++gone_;
  if (!leaving_ && !failure_)
    failure_ = Error{Errc::unavailable, fmt::format("{}: {}", client.jid().to_bare().text(), ended.text)};
  if (!leaving_ || gone_ == clients_.size()) settle();
}

void Fleet::settle() {
  if (auto waiting = std::exchange(waiting_, {})) (*waiting)(true);
}

Task<void> Fleet::leave() {
  leaving_ = true;
  if (gone_ == clients_.size()) co_return;
  Completion<bool> settled;
  waiting_.emplace(settled.resolver());
  for (const auto& client : clients_) client->close();
  co_await std::move(settled);
}

}  // namespace starling::cli::bench

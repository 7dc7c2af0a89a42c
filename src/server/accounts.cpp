#include "server/accounts.h"

#include <fmt/format.h>

#include "base/crypto.h"
#include "stream/sasl/mechanism.h"

namespace starling::server {
namespace {

Result<void> check(const Jid& jid) {
  if (jid.local().empty() || !jid.is_bare())
    return fail(Errc::invalid, fmt::format("'{}' is no account; expected NAME@DOMAIN", jid.text()));
  return {};
}

std::unexpected<Error> missing(const Jid& jid) {
  return fail(Errc::not_found, fmt::format("there is no account {}", jid.text()));
}

std::unexpected<Error> taken(const Jid& jid) {
  return fail(Errc::conflict, fmt::format("{} exists already", jid.text()));
}

storage::ScramKeys make_keys(crypto::Hash hash, std::string_view password) {
  auto keys = sasl::derive_keys(hash, password, crypto::random_bytes(sasl::kSaltBytes));
  return {std::move(keys.salt), std::move(keys.stored_key), std::move(keys.server_key), keys.iterations};
}

}  // namespace

Task<Result<void>> Accounts::derive(std::string password, storage::Account& into) {
  auto prepared = prepare_password(password);
  crypto::wipe(password);
  if (!prepared)
    co_return fail(Errc::invalid, fmt::format("the password cannot be used: {}", prepared.error().message));
  auto work = [secret = *std::move(prepared)]() mutable {
    auto both = std::pair(make_keys(crypto::Hash::sha1, secret), make_keys(crypto::Hash::sha256, secret));
    crypto::wipe(secret);
    return both;
  };
  auto keys = co_await pool_.run(std::move(work));
  if (!keys)
    co_return fail(Errc::unavailable, "too many passwords are being set or checked; try again in a moment");
  into.sha1 = std::move(keys->first);
  into.sha256 = std::move(keys->second);
  co_return Result<void>();
}

Task<std::optional<bool>> Accounts::verify(storage::ScramKeys sha256, std::string password) {
  // What RFC 8265 refuses is derived all the same: time tells nothing.
  if (auto prepared = prepare_password(password)) password = *std::move(prepared);
  auto work = [keys = std::move(sha256), secret = std::move(password)]() mutable {
    const auto derived = sasl::derive_keys(crypto::Hash::sha256, secret, keys.salt, keys.iterations);
    crypto::wipe(secret);
    return crypto::constant_time_equal(derived.stored_key, keys.stored_key);
  };
  co_return co_await pool_.run(std::move(work));
}

Task<Result<void>> Accounts::add(Jid jid, std::string password) {
  if (auto fine = check(jid); !fine) co_return fine;
  auto existing = co_await store_.account(jid.text());
  if (!existing) co_return std::unexpected(existing.error());
  if (*existing) co_return taken(jid);
  storage::Account account;
  account.jid = jid.text();
  const auto now = Loop::current()->wall().time_since_epoch();
  account.created_at = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  auto derived = co_await derive(std::move(password), account);
  if (!derived) co_return derived;
  storage::Batch batch;
  batch.emplace_back(storage::PutAccount{std::move(account), true});
  auto committed = co_await store_.commit(std::move(batch));
  if (committed) co_return Result<void>();
  if (committed.error().code == Errc::conflict) co_return taken(jid);
  co_return std::unexpected(committed.error());
}

Task<Result<void>> Accounts::set_password(Jid jid, std::string password) {
  if (auto fine = check(jid); !fine) co_return fine;
  storage::Account keys;
  auto derived = co_await derive(std::move(password), keys);
  if (!derived) co_return derived;
  storage::Batch batch;
  batch.emplace_back(storage::SetKeys{jid.text(), std::move(keys.sha1), std::move(keys.sha256)});
  auto committed = co_await store_.commit(std::move(batch));
  if (committed) co_return Result<void>();
  if (committed.error().code == Errc::not_found) co_return missing(jid);
  co_return std::unexpected(committed.error());
}

Task<Result<void>> Accounts::remove(Jid jid) {
  auto existing = co_await show(jid);
  if (!existing) co_return std::unexpected(existing.error());
  storage::Batch batch;
  batch.emplace_back(storage::DeleteAccount{jid.text()});
  auto committed = co_await store_.commit(std::move(batch));
  if (!committed) co_return std::unexpected(committed.error());
  co_return Result<void>();
}

Task<Result<std::vector<std::string>>> Accounts::list(std::string domain, std::string after,
                                                      std::size_t limit) {
  co_return co_await store_.accounts(std::move(domain), std::move(after), limit);
}

Task<Result<storage::Account>> Accounts::show(Jid jid) {
  if (auto fine = check(jid); !fine) co_return std::unexpected(fine.error());
  auto existing = co_await store_.account(jid.text());
  if (!existing) co_return std::unexpected(existing.error());
  if (!*existing) co_return missing(jid);
  co_return **std::move(existing);
}

Task<Result<storage::TailSize>> Accounts::waiting(Jid jid) {
  co_return co_await store_.undelivered_size(jid.text());
}

}  // namespace starling::server

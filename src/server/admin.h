#pragma once
// The operator's interface: a table of named commands with JSON in and out. The control socket
// (control_socket.h), the command line without a server, and later the web console call the same table. One
// loop's thread.
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "base/task.h"
#include "jid/jid.h"
#include "server/accounts.h"

namespace starling::server {

using Json = nlohmann::ordered_json;

// What else has to happen when an account changes. Called on the control loop's thread.
class AccountObserver {
 public:
  virtual ~AccountObserver() = default;
  // Ends its sessions and subscriptions and deletes it with all that it owns.
  virtual Task<Result<void>> remove_account(Jid bare) = 0;
  virtual Task<Result<void>> password_changed(Jid bare) = 0;  // ends the account's sessions
};

// What commands need of a live server. All are called on the control loop's thread.
class Operations : public AccountObserver {
 public:
  virtual Task<Json> status() = 0;    // an object: what `starling status` shows
  virtual Task<Json> sessions() = 0;  // an array of objects with at least "jid" (full) and "address"
  virtual Task<Result<void>> kick(Jid full) = 0;   // not_found when there is no such session
  virtual Task<Result<std::string>> reload() = 0;  // a sentence about what changed
};

class Admin {
 public:
  using Handler = std::function<Task<Result<Json>>(Json params)>;
  using Domains = std::function<std::vector<std::string>()>;

  // With a live server; they outlive it.
  Admin(Accounts& accounts, Operations& operations, Domains domains);
  // Without one: only the commands on accounts are there.
  Admin(Accounts& accounts, AccountObserver& observer, Domains domains);

  void add(std::string name, Handler handler);
  // Errors: invalid (no such command, or bad parameters, named), and those of the command.
  Task<Result<Json>> run(std::string command, Json params);
  [[nodiscard]] std::vector<std::string> commands() const;

 private:
  void add_user_commands();
  void add_server_commands();
  [[nodiscard]] Result<Jid> account_of(const Json& params) const;

  Accounts& accounts_;
  Domains domains_;
  AccountObserver& observer_;
  Operations* operations_ = nullptr;
  std::map<std::string, Handler, std::less<>> handlers_;
};

}  // namespace starling::server

#include "cli/control.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "modules/all.h"
#include "net/reactor.h"
#include "net/worker_pool.h"
#include "server/accounts.h"
#include "server/admin.h"
#include "server/control_socket.h"
#include "server/core.h"
#include "storage/store.h"

namespace starling::cli {
namespace {

constexpr auto kAnswerWithin = std::chrono::seconds(60);
constexpr auto kStartWithin = std::chrono::seconds(5);
constexpr auto kNap = std::chrono::milliseconds(50);

std::unexpected<Failure> failed(Error error, int exit = kFailed) {
  return std::unexpected(Failure{exit, std::move(error)});
}

Errc parse_code(std::string_view name) {
  for (const auto code : {Errc::invalid, Errc::not_found, Errc::conflict, Errc::limit, Errc::io,
                          Errc::unavailable, Errc::corrupt})
    if (to_string(code) == name) return code;
  return Errc::io;
}

class Connection {
 public:
  explicit Connection(int descriptor) : descriptor_(descriptor) {
    const timeval patience{.tv_sec = kAnswerWithin.count(), .tv_usec = 0};
    ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { ::close(descriptor_); }

  Outcome ask(const std::string& command, const Json& params) const {
    const Json request{{"command", command}, {"params", params}};
    const auto line = request.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n';
    for (std::size_t at = 0; at < line.size();) {
      const auto sent = ::send(descriptor_, line.data() + at, line.size() - at, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent <= 0) return failed({Errc::io, "the server closed the connection"});
      at += static_cast<std::size_t>(sent);
    }
    std::string answer;
    std::array<char, 65536> chunk;
    while (!answer.ends_with('\n')) {
      const auto got = ::recv(descriptor_, chunk.data(), chunk.size(), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return failed(
            {Errc::io, fmt::format("the server did not answer within {} seconds", kAnswerWithin.count())});
      if (got <= 0) return failed({Errc::io, "the server closed the connection without an answer"});
      answer.append(chunk.data(), static_cast<std::size_t>(got));
    }
    const auto reply = Json::parse(answer, nullptr, false);
    if (reply.is_object() && reply.contains("result")) return reply["result"];
    if (reply.is_object() && reply.contains("error")) {
      const auto& error = reply["error"];
      return failed({parse_code(error.value("code", "")), error.value("message", "")});
    }
    return failed({Errc::io, "the server's answer cannot be understood"});
  }

 private:
  int descriptor_;
};

// A server without listeners and connections, on this thread: contacts of an account that goes are told, as
// ever.
class Unserved : public server::AccountObserver {
 public:
  explicit Unserved(server::Core& core) : core_(core) {}
  Task<Result<void>> remove_account(Jid bare) override {
    return core_.home(bare.bare()).remove_account(bare);
  }
  Task<Result<void>> password_changed(Jid /*bare*/) override { co_return Result<void>(); }

 private:
  server::Core& core_;
};

Outcome ask_store(const Context& context, const std::string& command, const Json& params) {
  const auto config = server::load_config(context.sources());
  if (!config) return failed(config.error());
  if (config->storage == "memory:")
    return failed(
        {Errc::unavailable, "storage = memory: has accounts only while a server runs, and none does"},
        kNoServer);
  net::Reactor reactor;
  net::WorkerPool here(0, 1);
  auto store = storage::open(config->storage, context.data, config->store);
  if (!store) return failed(store.error());
  server::Accounts accounts(**store, here);
  const std::array<Loop*, 1> loops{&reactor};
  server::Core core(*config, **store, accounts, loops, &modules::all);
  Unserved observer(core);
  server::Admin admin(accounts, observer, [&] { return config->domains; });
  std::optional<Result<Json>> result;
  reactor.post(
      [&] { spawn(admin.run(command, params), [&](Result<Json> done) { result = std::move(done); }); });
  const auto deadline = std::chrono::steady_clock::now() + kAnswerWithin;
  while (!result || (!core.shard(0).quiet() && std::chrono::steady_clock::now() < deadline))
    reactor.turn(kNap);
  (*store)->close();
  if (!*result) return failed(result->error());
  return **std::move(result);
}

}  // namespace

Outcome ask_server(const Context& context, const std::string& command, const Json& params) {
  const auto descriptor = server::connect_control_socket(context.paths().control_socket());
  if (descriptor) return Connection(*descriptor).ask(command, params);
  if (descriptor.error().code != Errc::not_found) return failed(descriptor.error());
  return failed(
      {Errc::unavailable,
       fmt::format("no server runs on {0}; start one with `starling serve --data {0}`", context.data)},
      kNoServer);
}

Outcome ask_server_or_store(const Context& context, const std::string& command, const Json& params) {
  const auto deadline = std::chrono::steady_clock::now() + kStartWithin;
  for (;;) {
    auto asked = ask_server(context, command, params);
    if (asked || asked.error().exit != kNoServer) return asked;
    struct stat status{};
    if (command != "user.add" && ::stat(context.data.c_str(), &status) != 0)
      return failed(
          {Errc::not_found, fmt::format("there is no data directory {}; --data names it", context.data)});
    const auto directory = server::DataDir::open(context.data, server::DataDir::Use::tool);
    if (directory) return ask_store(context, command, params);
    // A server that has the lock but no socket yet is starting; or ending, and then the lock is free soon.
    if (directory.error().code != Errc::conflict || std::chrono::steady_clock::now() > deadline)
      return failed(directory.error());
    std::this_thread::sleep_for(kNap);
  }
}

}  // namespace starling::cli

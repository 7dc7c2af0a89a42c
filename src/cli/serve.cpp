// starling serve: the server in the foreground, from its lock to its last byte.
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/commands.h"
#include "modules/all.h"
#include "server/admin.h"
#include "server/control_socket.h"
#include "server/server.h"
#include "storage/store.h"

namespace starling::cli {
namespace {

// Of the 5 s that a stop may take, what streams get to read their last words; the rest is for the disk.
constexpr Milliseconds kLastWords{2500};
constexpr std::chrono::milliseconds kLongestStop{4800};

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  return set;
}

// Runs `work` on the control loop and waits for its value.
template <class Work>
auto on_control_loop(server::Server& server, Work work) {
  std::packaged_task<std::invoke_result_t<Work>()> task(std::move(work));
  auto value = task.get_future();
  server.control_reactor().post([task = std::move(task)]() mutable { task(); });
  return value.get();
}

// A stop that hangs ends here: whoever asked for it was promised 5 s.
class Deadline {
 public:
  Deadline() : thread_([this] { wait(); }) {}
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  ~Deadline() {
    {
      const std::lock_guard guard(lock_);
      met_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

 private:
  void wait() {
    std::unique_lock guard(lock_);
    if (changed_.wait_for(guard, kLongestStop, [this] { return met_; })) return;
    log::error("the server did not stop within {} ms; giving up", kLongestStop.count());
    ::_exit(kFailed);
  }
  std::mutex lock_;
  std::condition_variable changed_;
  bool met_ = false;
  std::thread thread_;
};

// Whoever has closed stdout does not wait for it.
void print_ready(const Context& context, const std::vector<std::string>& addresses) {
  const auto line =
      context.json ? fmt::format("ready {}\n", Json{{"pid", ::getpid()}, {"listening", addresses}}.dump())
                   : fmt::format("ready {}\n", fmt::join(addresses, ", "));
  if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) log::warn("nobody reads `ready` on stdout");
}

// Until SIGTERM or SIGINT.
void wait_for_end(server::Server& server) {
  const auto signals = handled_signals();
  for (;;) {
    int number = 0;
    if (::sigwait(&signals, &number) != 0) continue;
    if (number != SIGHUP) {
      log::info("stopping signal={}", number);
      return;
    }
    server.control_reactor().post([&server] {
      spawn(server.reload(), [](const Result<std::string>& done) {
        if (!done) log::error("reload: {}", done.error().message);
      });
    });
  }
}

Result<void> serve(const Context& context) {
  // Blocked before there are threads, so that sigwait() alone gets them.
  const auto signals = handled_signals();
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  log::set_level(log::Level::info);

  auto directory = server::DataDir::open(context.data, server::DataDir::Use::serve);
  if (!directory) return std::unexpected(directory.error());
  const server::ConfigLoader load = [sources = context.sources()] { return server::load_config(sources); };
  auto config = load();
  if (!config) return std::unexpected(config.error());
  log::set_level(config->log.level);
  if (directory->is_new()) log::info("made {}", directory->paths().config_file());
  auto store = storage::open(config->storage, directory->path(), config->store);
  if (!store) return std::unexpected(store.error());
  if (config->storage != "memory:" && config->store.durability == storage::Durability::process)
    log::info(
        "storage.durability = process: a killed server loses nothing that it acknowledged, and a loss of "
        "power takes the last of it");

  server::Server server(*std::move(config), *directory, *std::move(store), &modules::all, load);
  const auto addresses = server.start();
  if (!addresses) return std::unexpected(addresses.error());
  server::Admin admin(server.accounts(), server, [&server] { return server.domains(); });
  auto socket = on_control_loop(server, [&] {
    return server::ControlSocket::listen(server.control_reactor(), admin,
                                         directory->paths().control_socket());
  });
  if (socket) {
    print_ready(context, *addresses);
    wait_for_end(server);
  }

  const Deadline deadline;
  if (socket) on_control_loop(server, [&] { socket->reset(); });
  server.stop(kLastWords);
  if (!socket) return std::unexpected(socket.error());
  log::info("stopped");
  return {};
}

}  // namespace

void add_serve(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("serve", "run the server in the foreground");
  add_common_options(*command, context);
  add_set_option(*command, context);
  const auto threads = std::make_shared<std::optional<unsigned>>();
  command->add_option("--threads", *threads, "the same as --set threads=N")->type_name("N");
  command->footer(
      "Prints one line starting with `ready` once it accepts connections; logs to stderr. SIGTERM and SIGINT "
      "end it, SIGHUP\n"
      "makes it read configuration and certificates again. Everything it writes is in DIR, which is made if "
      "it is missing.\n\n"
      "Examples:\n"
      "  starling serve --data /var/lib/starling\n"
      "  starling serve --set domains=example.org --set listen.c2s=127.0.0.1:5222 --set tls.policy=off");
  command->callback([&context, threads] {
    if (*threads) context.sets.push_back(fmt::format("threads={}", **threads));
    const auto done = serve(context);
    if (!done) print_error(context, done.error());
    context.exit = done ? kDone : kFailed;
  });
}

}  // namespace starling::cli

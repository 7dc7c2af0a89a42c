#pragma once
// What every subcommand shares: the options that all have, exit codes, and how answers are printed. Main
// thread.
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "server/config.h"
#include "server/data_dir.h"

namespace CLI {
class App;
}

namespace starling::cli {

using Json = nlohmann::ordered_json;

// 3 to 6 are for commands that log in to a server; 3 is also what those say that want a running one here.
enum Exit : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kNoServer = 3,
  kCouldNotConnect = 3,
  kNotAuthorized = 4,
  kTimedOut = 5,
  kRefused = 6,
  kNobodyReads = 141  // as in a shell whose command SIGPIPE has ended
};

struct Context {
  std::string data = "data";      // --data; the default can be set in the environment, STARLING_DATA
  bool json = false;              // --json
  std::vector<std::string> sets;  // --set
  int exit = kDone;               // of the subcommand that ran

  [[nodiscard]] server::DataPaths paths() const { return {data}; }
  [[nodiscard]] server::ConfigSources sources() const;
};

// --data and --json.
void add_common_options(CLI::App& command, Context& context);
// --set; a name that is no key is a usage error.
void add_set_option(CLI::App& command, Context& context);

struct Failure {
  int exit = kFailed;
  Error error;
};
using Outcome = std::expected<Json, Failure>;

// Prints the answer (with --json as it is, else with `print`) or the error, and returns the exit code.
int finish(const Context& context, const Outcome& outcome, const std::function<void(const Json&)>& print);
void print_json(const Json& json);
void print_error(const Context& context, const Error& error);
int usage(const Context& context, std::string message);  // the same, and the exit code
// A line on stderr. One that cannot be written is lost: nobody is left to hear of it.
void say(std::string_view line);
// Hands on what was printed, where a reader waits for each line. Throws std::system_error when any of it is
// lost.
void flush_output();
// "key: value" for each member; lists joined. What others have said is made safe for the screen, here and in
// tables.
void print_members(const Json& object);
// A line a row, columns aligned, `first` leftmost.
void print_table(const Json& rows, const std::string& first);

}  // namespace starling::cli

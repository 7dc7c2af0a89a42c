#include "cli/context.h"

#include <cerrno>
#include <cstdio>
#include <system_error>

#include <CLI/CLI.hpp>
#include <fmt/color.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/text.h"

namespace starling::cli {
namespace {

std::string plain(const Json& value) {
  if (value.is_null()) return "-";
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return text.empty() ? "-" : text;
  }
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_object()) {
    std::string members;
    for (const auto& [name, member] : value.items())
      members += fmt::format("{}{}={}", members.empty() ? "" : " ", name, plain(member));
    return members;
  }
  if (!value.is_array()) return value.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string joined;
  for (const auto& entry : value) joined += (joined.empty() ? "" : ", ") + plain(entry);
  return joined.empty() ? "-" : joined;
}

}  // namespace

server::ConfigSources Context::sources() const {
  return {.directory = data,
          .file = paths().config_file(),
          .environment = server::process_environment(),
          .sets = sets};
}

void add_common_options(CLI::App& command, Context& context) {
  command.add_option("--data", context.data, "the server's data directory")
      ->type_name("DIR")
      ->envname("STARLING_DATA")
      ->capture_default_str();
  command.add_flag("--json", context.json, "answer in JSON");
}

void add_set_option(CLI::App& command, Context& context) {
  const auto check = [](const std::string& entry) -> std::string {
    const auto equals = entry.find('=');
    if (equals == std::string::npos) return fmt::format("'{}': expected KEY=VALUE", entry);
    const auto key = server::find_config_key(entry.substr(0, equals));
    return key ? std::string() : key.error().message;
  };
  command
      .add_option("--set", context.sets,
                  "a key of the configuration; lists are comma-separated (may be repeated)")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->take_all()
      ->check(CLI::Validator(check, ""));
}

void print_json(const Json& json) {
  fmt::print("{}\n", json.dump(-1, ' ', false, Json::error_handler_t::replace));
  flush_output();
}

void print_error(const Context& context, const Error& error) {
  if (context.json)
    return print_json({{"error", {{"code", to_string(error.code)}, {"message", error.message}}}});
  const std::string label =
      ::isatty(STDERR_FILENO) != 0 ? fmt::format(fmt::fg(fmt::terminal_color::red), "error:") : "error:";
  say(fmt::format("starling: {} {}", label, indented(error.message)));
}

int usage(const Context& context, std::string message) {
  print_error(context, {Errc::invalid, std::move(message)});
  return kUsage;
}

void say(std::string_view line) {
  const std::string whole = fmt::format("{}\n", line);
  std::fwrite(whole.data(), 1, whole.size(), stderr);  // at once: one write, which others cannot get into
}

void flush_output() {
  static int lost = 0;  // why an earlier part never got out: the stream itself only knows that one did not
  errno = 0;
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return;
  if (lost == 0) lost = errno != 0 ? errno : EIO;
  throw std::system_error(lost, std::generic_category(), "cannot write the output");
}

int finish(const Context& context, const Outcome& outcome, const std::function<void(const Json&)>& print) {
  if (!outcome) {
    print_error(context, outcome.error().error);
    return outcome.error().exit;
  }
  if (context.json)
    print_json(*outcome);
  else
    print(*outcome);
  return kDone;
}

void print_members(const Json& object) {
  std::size_t width = 0;
  for (const auto& [name, value] : object.items()) width = std::max(width, name.size());
  for (const auto& [name, value] : object.items()) {
    auto label = name + ':';
    std::ranges::replace(label, '_', ' ');
    fmt::print("{:{}} {}\n", label, width + 1, indented(plain(value)));
  }
}

void print_table(const Json& rows, const std::string& first) {
  std::vector<std::string> columns{first};
  for (const auto& row : rows)
    for (const auto& [name, value] : row.items())
      if (std::ranges::find(columns, name) == columns.end()) columns.push_back(name);
  std::vector<std::vector<std::string>> lines{columns};
  for (const auto& row : rows) {
    auto& line = lines.emplace_back();
    for (const auto& column : columns)
      line.push_back(row.contains(column) ? one_line(plain(row[column])) : "-");
  }
  std::vector<std::size_t> widths(columns.size());
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  for (const auto& line : lines) {
    std::string text;
    for (std::size_t i = 0; i < line.size(); ++i) text += fmt::format("{:{}}  ", line[i], widths[i]);
    text.erase(text.find_last_not_of(' ') + 1);
    fmt::print("{}\n", text);
  }
}

}  // namespace starling::cli

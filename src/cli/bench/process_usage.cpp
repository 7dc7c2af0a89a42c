#include "cli/bench/process_usage.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

namespace starling::cli::bench {
namespace {

struct Process {
  pid_t id = 0, parent = 0;
  Usage usage;
};

// proc(5): the name stands in parentheses and may have any in it; the parent is the 2nd field after it, the
// times are the 12th and 13th, the resident pages the 22nd.
std::optional<Process> read_process(pid_t id) {
  std::ifstream file(fmt::format("/proc/{}/stat", id));
  std::string text;
  if (!std::getline(file, text) || text.rfind(')') == std::string::npos) return std::nullopt;
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  Process process{.id = id};
  std::string skipped;
  std::uint64_t user = 0, system = 0, pages = 0;
  fields >> skipped >> process.parent;
  for (int i = 3; i < 12; ++i) fields >> skipped;
  fields >> user >> system;
  for (int i = 14; i < 22; ++i) fields >> skipped;
  if (!(fields >> pages)) return std::nullopt;
  process.usage.cpu = std::chrono::duration<double>(static_cast<double>(user + system) /
                                                    static_cast<double>(::sysconf(_SC_CLK_TCK)));
  process.usage.resident_bytes = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return process;
}

std::vector<Process> all_processes() {
  std::vector<Process> all;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    pid_t id = 0;
    const auto [end, wrong] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (wrong != std::errc() || end != name.data() + name.size()) continue;
    if (auto process = read_process(id)) all.push_back(*process);  // else it has ended meanwhile
  }
  return all;
}

}  // namespace

Result<Usage> usage_of(std::span<const pid_t> processes) {
  const auto all = all_processes();
  std::vector<pid_t> tree;
  Usage sum;
  const auto add = [&](const Process& process) {
    tree.push_back(process.id);
    sum.cpu += process.usage.cpu;
    sum.resident_bytes += process.usage.resident_bytes;
  };
  for (const pid_t id : processes) {
    const auto found = std::ranges::find(all, id, &Process::id);
    if (found == all.end()) return fail(Errc::not_found, fmt::format("there is no process {}", id));
    if (std::ranges::find(tree, id) == tree.end()) add(*found);
  }
  for (std::size_t i = 0; i < tree.size(); ++i)
    for (const Process& process : all)
      if (process.parent == tree[i] && std::ranges::find(tree, process.id) == tree.end()) add(process);
  return sum;
}

Usage own_usage() {
  const auto process = read_process(::getpid());
  return process ? process->usage : Usage{};
}

}  // namespace starling::cli::bench

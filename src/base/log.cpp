#include "base/log.h"

#include <array>
#include <atomic>

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace starling::log {
namespace {

constexpr std::array<std::string_view, 6> kNames{"trace", "debug", "info", "warn", "error", "off"};
std::atomic<Level> threshold{Level::info};

spdlog::logger& logger() {
  // stderr_color: colours only when stderr is a terminal.
  static const auto instance = [] {
    auto made =
        std::make_shared<spdlog::logger>("starling", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%-5l%$ %v");
    made->set_level(spdlog::level::trace);
    return made;
  }();
  return *instance;
}

}  // namespace

Result<Level> parse_level(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<Level>(i);
  return fail(Errc::invalid,
              fmt::format("'{}' is no log level; expected one of {}", name, fmt::join(kNames, ", ")));
}

void set_level(Level level) { threshold.store(level, std::memory_order_relaxed); }
bool enabled(Level level) { return level >= threshold.load(std::memory_order_relaxed); }

void write(Level level, std::string_view line) {
  constexpr std::array kLevels{spdlog::level::trace, spdlog::level::debug, spdlog::level::info,
                               spdlog::level::warn,  spdlog::level::err,   spdlog::level::off};
  logger().log(kLevels[static_cast<std::size_t>(level)], fmt::string_view(line.data(), line.size()));
}

}  // namespace starling::log

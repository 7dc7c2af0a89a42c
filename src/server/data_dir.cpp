#include "server/data_dir.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/config.h"

namespace starling::server {
namespace {

constexpr auto kPatience = std::chrono::seconds(10);
constexpr auto kNap = std::chrono::milliseconds(20);
constexpr std::string_view kServe = "serve";

std::unexpected<Error> failed(std::string_view what, const std::string& path) {
  return fail(Errc::io, fmt::format("{} {}: {}", what, path, std::strerror(errno)));
}

Result<void> make_directory(const std::string& path) {
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return failed("cannot make the data directory", path);
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return failed("cannot look at the data directory", path);
  if (!S_ISDIR(status.st_mode))
    return fail(Errc::io, fmt::format("{} is no directory; --data takes one", path));
  if ((status.st_mode & 077U) == 0) return {};
  // /tmp and its like belong to everybody; closing them to others would break the machine.
  if ((status.st_mode & S_ISVTX) != 0)
    return fail(Errc::io,
                fmt::format("{} is shared with other users; --data takes a directory of its own", path));
  if (::chmod(path.c_str(), 0700) != 0)
    return failed("cannot make private (mode 0700) the data directory", path);
  return {};
}

struct Holder {
  std::string pid;
  bool serves = false;
};

// "123 serve"; empty while the holder has not written it yet.
Holder read_holder(int lock) {
  std::array<char, 64> text{};
  const auto size = ::pread(lock, text.data(), text.size(), 0);
  const std::string_view line(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  const auto space = line.find(' ');
  if (space == std::string_view::npos) return {};
  return {std::string(line.substr(0, space)), line.substr(space + 1).starts_with(kServe)};
}

Result<void> take_lock(int lock, const std::string& directory, DataDir::Use use) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return failed("cannot lock", directory);
    const auto holder = read_holder(lock);
    if (holder.serves)
      return fail(Errc::conflict, fmt::format("another starling (pid {}) serves {}", holder.pid, directory));
    if (std::chrono::steady_clock::now() > deadline)
      return fail(Errc::conflict,
                  fmt::format("another starling (pid {}) is at work in {}", holder.pid, directory));
    std::this_thread::sleep_for(kNap);
  }
  const auto line = fmt::format("{} {}\n", ::getpid(), use == DataDir::Use::serve ? kServe : "tool");
  if (::ftruncate(lock, 0) != 0 ||
      ::pwrite(lock, line.data(), line.size(), 0) != static_cast<ssize_t>(line.size()))
    return failed("cannot write the lock file of", directory);
  return {};
}

// True if there was none.
Result<bool> write_default_config(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) {
    if (errno == EEXIST) return false;
    return failed("cannot write", path);
  }
  const auto text = default_config_file();
  const auto written = ::write(file, text.data(), text.size());
  if (::close(file) != 0 || written != static_cast<ssize_t>(text.size())) return failed("cannot write", path);
  return true;
}

}  // namespace

Result<DataDir> DataDir::open(std::string_view path, Use use) {
  DataPaths paths{std::string(path)};
  while (paths.root.size() > 1 && paths.root.ends_with('/')) paths.root.pop_back();
  if (paths.root.empty()) return fail(Errc::invalid, "--data: expected a directory");
  if (auto made = make_directory(paths.root); !made) return std::unexpected(made.error());
  const int lock = ::open(paths.lock_file().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return failed("cannot open", paths.lock_file());
  DataDir directory(std::move(paths), lock, false);
  if (auto taken = take_lock(lock, directory.path(), use); !taken) {
    ::close(std::exchange(directory.lock_, -1));
    return std::unexpected(taken.error());
  }
  auto written = write_default_config(directory.paths_.config_file());
  if (!written) return std::unexpected(written.error());
  directory.is_new_ = *written;
  return directory;
}

DataDir::DataDir(DataDir&& other) noexcept
    : paths_(std::move(other.paths_)), lock_(std::exchange(other.lock_, -1)), is_new_(other.is_new_) {}

DataDir& DataDir::operator=(DataDir&& other) noexcept {
  std::swap(paths_, other.paths_);
  std::swap(lock_, other.lock_);
  std::swap(is_new_, other.is_new_);
  return *this;
}

DataDir::~DataDir() {
  if (lock_ < 0) return;
  // Emptied so that nobody reads the name of a process that is gone.
  (void)!::ftruncate(lock_, 0);
  ::close(lock_);
}

}  // namespace starling::server

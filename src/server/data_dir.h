#pragma once
// The server's data directory: everything it writes is in it. Private to its owner (0700). Whoever uses it
// holds its lock, so that one process at a time has the database open. Any thread.
#include <string>
#include <string_view>

#include "base/error.h"

namespace starling::server {

// Where things are; touches nothing.
struct DataPaths {
  std::string root;  // as given

  [[nodiscard]] std::string config_file() const { return root + "/starling.toml"; }
  [[nodiscard]] std::string lock_file() const { return root + "/starling.lock"; }
  [[nodiscard]] std::string control_socket() const { return root + "/control.sock"; }
  [[nodiscard]] std::string tls_directory() const { return root + "/tls"; }  // the self-signed certificate
};

class DataDir {
 public:
  enum class Use {
    serve,  // a server, for as long as it runs
    tool,   // a command, for a moment: others wait for it
  };

  // Creates `path` (0700) if it is missing, writes starling.toml with commented defaults if there is none,
  // and takes the lock. Waits up to ten seconds for a tool that holds it. Errors: conflict when a server
  // holds it ("another starling (pid 123) serves DIR"), io.
  static Result<DataDir> open(std::string_view path, Use use);

  DataDir(DataDir&& other) noexcept;
  DataDir& operator=(DataDir&& other) noexcept;
  ~DataDir();  // gives up the lock

  [[nodiscard]] const std::string& path() const { return paths_.root; }
  [[nodiscard]] const DataPaths& paths() const { return paths_; }
  [[nodiscard]] bool is_new() const { return is_new_; }  // it had no starling.toml

 private:
  DataDir(DataPaths paths, int lock, bool is_new) : paths_(std::move(paths)), lock_(lock), is_new_(is_new) {}
  DataPaths paths_;
  int lock_ = -1;
  bool is_new_ = false;
};

}  // namespace starling::server

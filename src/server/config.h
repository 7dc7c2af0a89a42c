#pragma once
// What the operator decides. Every key stands in one table (config.cpp) that drives the file, the
// environment, --set, the commented default file and docs/configuration.md. A value comes from --set, else
// the environment, else the file, else the default below. A Config is a plain value: made on one thread, then
// read by any.
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/log.h"
#include "jid/jid.h"
#include "net/tcp.h"
#include "net/tls.h"
#include "storage/options.h"

namespace starling::server {

// RFC 6120 5.3.1; `off` offers no STARTTLS at all.
enum class TlsPolicy { required, optional, off };

// Whose messages go into an archive (XEP-0441 2.1.1).
enum class Archiving : std::uint8_t { always, roster, never };

struct Config {
  std::vector<std::string> domains{
      "localhost"};         // prepared (RFC 7622 3.2); at least one, the first is the main one
  std::vector<Jid> admins;  // bare
  std::string storage = "sqlite:starling.db";  // what storage::open() takes
  storage::Options store;                      // and how
  std::size_t threads = 0;                     // shards; 0: the cores that the cgroup grants

  struct Listen {
    std::vector<net::Endpoint> c2s{{"0.0.0.0", 5222}, {"::", 5222}};
    std::vector<net::Endpoint> c2s_tls{{"0.0.0.0", 5223}, {"::", 5223}};
    std::vector<net::Endpoint> s2s, http;
  } listen;

  struct Tls {
    TlsPolicy policy = TlsPolicy::required;
    bool force_off = false;
    std::vector<std::string>
        certificates;               // absolute paths; empty: the self-signed one of the data directory
    std::vector<std::string> keys;  // absolute paths, one for each certificate; empty: in the same files
    [[nodiscard]] std::vector<net::CertificateFiles> files() const;
  } tls;

  struct Registration {
    bool open = false;
    std::vector<std::string>
        fields;  // names of XEP-0077 section 14.1 that must be filled in beside username and password
  } registration;

  struct Auth {
    bool plain_without_tls = false;
  } auth;

  struct Offline {
    bool enabled = true;
  } offline;

  struct Archive {
    Archiving by_default = Archiving::always;
    std::size_t days = 0, messages = 0, bytes = 0;  // what is kept of each account's at most, 0 for no limit
  } archive;

  struct Log {
    log::Level level = log::Level::info;
  } log;

  struct Limits {
    std::size_t stanza_bytes = 262144;
    std::size_t depth = 100;
    std::size_t attributes = 100;
    std::size_t children = 10000;
    std::size_t sessions_per_account = 100;
    std::size_t connections_per_address = 1000;
    bool rate = true;  // false lifts every rate, attempt and per-address limit
    std::size_t stanzas_per_second = 500;
    std::size_t bytes_per_second = 1000000;
    std::size_t login_seconds = 60;
    std::size_t bytes_before_login = 65536;
    std::size_t offline_messages = 1000;
    std::size_t offline_bytes = 10485760;
    std::size_t queue_bytes = 2097152;
    std::size_t unacknowledged_stanzas = 5000;
    std::size_t resume_seconds = 600;
    std::size_t roster_items = 10000;
    std::size_t accounts_per_address = 10;  // an hour
    std::size_t private_bytes = 1048576;
    std::size_t idle_ping_seconds = 300;
    std::size_t ping_timeout_seconds = 60;
  } limits;
};

using ConfigValue = std::variant<std::string, bool, std::int64_t, std::vector<std::string>>;

struct ConfigKey {
  enum class Kind {
    text,
    flag,
    number,
    list,
    choice
  };  // what ConfigValue holds: string, bool, int64, vector, string
  std::string_view name;  // "tls.policy"
  Kind kind = Kind::text;
  std::string_view doc;                                          // one line, without a full stop
  std::vector<std::string_view> choices;                         // of a choice, or of each entry of a list
  std::int64_t least = 0, most = 0;                              // of a number
  std::function<Result<void>(Config&, const ConfigValue&)> set;  // the error says what was expected
  std::function<ConfigValue(const Config&)> get;

  [[nodiscard]] std::string variable() const;  // "STARLING_TLS_POLICY"
};

// In the order of the reference.
std::span<const ConfigKey> config_keys();
// The error names the key and the nearest one that exists.
Result<const ConfigKey*> find_config_key(std::string_view name);
// Plain text, as --set and the environment have it: lists are comma-separated, empty is the empty list.
Result<ConfigValue> parse_config_text(const ConfigKey& key, std::string_view text);
// As TOML writes it.
std::string config_value_toml(const ConfigValue& value);

// The file written into a new data directory: every key with its default, commented out.
std::string default_config_file();
// docs/configuration.md.
std::string config_reference();

// The candidate nearest to a misspelt word, if any is near enough to be meant.
std::optional<std::string_view> nearest_word(std::string_view word,
                                             std::span<const std::string_view> candidates);

struct ConfigSources {
  std::string directory;                 // relative paths of the configuration are under it
  std::string file;                      // may be missing: then nothing comes from it
  std::vector<std::string> environment;  // "NAME=value"; names that are no key's are ignored
  std::vector<std::string> sets;         // "KEY=VALUE"; the last of a key counts
};
// Of this process.
std::vector<std::string> process_environment();

struct Finding {
  enum class Severity { error, warning, note };
  Severity severity = Severity::error;
  std::string where;  // "DIR/starling.toml:3:1", "--set tls.policy", "STARLING_TLS_POLICY"; empty: nowhere in
                      // particular
  std::string message;                     // what was found, what was expected, what to do
  [[nodiscard]] std::string text() const;  // "where: message"
};

struct ReadConfig {
  Config config;  // usable only when ok()
  std::vector<Finding> findings;
  std::map<std::string, std::string, std::less<>>
      origins;                                // where each key that is not at its default was set
  std::set<std::string, std::less<>> unread;  // keys whose value could not be read: `config` has another one
  [[nodiscard]] bool ok() const;
  // Where `key` was set; empty for a default.
  [[nodiscard]] std::string where(std::string_view key) const;
};

// All that is wrong, not only the first of it.
ReadConfig read_config(const ConfigSources& sources);
// The error is every error of read_config(), one a line. Warnings are logged.
Result<Config> load_config(const ConfigSources& sources);

// Reads the configuration again, for a reload.
using ConfigLoader = std::function<Result<Config>()>;

}  // namespace starling::server

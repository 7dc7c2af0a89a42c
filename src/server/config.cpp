#include "server/config.h"

#include <charconv>
#include <limits>

namespace starling::server {
namespace {

using Kind = ConfigKey::Kind;
using Strings = std::vector<std::string>;

// Each row names its field once: `field(config)` is a reference for reading and for writing.
template <class Field>
ConfigKey number(std::string_view name, std::string_view doc, std::int64_t least, std::int64_t most,
                 Field field) {
  ConfigKey key{.name = name, .kind = Kind::number, .doc = doc, .least = least, .most = most};
  key.set = [field](Config& config, const ConfigValue& value) -> Result<void> {
    field(config) = static_cast<std::size_t>(std::get<std::int64_t>(value));
    return {};
  };
  key.get = [field](const Config& config) { return ConfigValue(static_cast<std::int64_t>(field(config))); };
  return key;
}

template <class Field>
ConfigKey flag(std::string_view name, std::string_view doc, Field field) {
  ConfigKey key{.name = name, .kind = Kind::flag, .doc = doc};
  key.set = [field](Config& config, const ConfigValue& value) -> Result<void> {
    field(config) = std::get<bool>(value);
    return {};
  };
  key.get = [field](const Config& config) { return ConfigValue(bool{field(config)}); };
  return key;
}

// `names[i]` stands for the field's value `i`.
template <class Field>
ConfigKey choice(std::string_view name, std::string_view doc, std::vector<std::string_view> names,
                 Field field) {
  ConfigKey key{.name = name, .kind = Kind::choice, .doc = doc, .choices = names};
  key.set = [field, names](Config& config, const ConfigValue& value) -> Result<void> {
    using Target = std::remove_reference_t<decltype(field(config))>;
    const auto at = std::ranges::find(names, std::get<std::string>(value)) - names.begin();
    field(config) = static_cast<Target>(at);
    return {};
  };
  key.get = [field, names](const Config& config) {
    return ConfigValue(std::string(names.at(static_cast<std::size_t>(field(config)))));
  };
  return key;
}

template <class Field>
ConfigKey text_list(std::string_view name, std::string_view doc, Field field,
                    std::vector<std::string_view> choices = {}) {
  ConfigKey key{.name = name, .kind = Kind::list, .doc = doc, .choices = std::move(choices)};
  key.set = [field](Config& config, const ConfigValue& value) -> Result<void> {
    field(config) = std::get<Strings>(value);
    return {};
  };
  key.get = [field](const Config& config) { return ConfigValue(field(config)); };
  return key;
}

// A list of something that has a parser; `text_of` is its inverse.
template <class Field, class Parse, class TextOf>
ConfigKey parsed_list(std::string_view name, std::string_view doc, Field field, Parse parse, TextOf text_of) {
  ConfigKey key{.name = name, .kind = Kind::list, .doc = doc};
  key.set = [field, parse, text_of](Config& config, const ConfigValue& value) -> Result<void> {
    std::remove_reference_t<decltype(field(config))> parsed;
    for (const auto& entry : std::get<Strings>(value)) {
      auto one = parse(entry);
      if (!one) return std::unexpected(one.error());
      if (std::ranges::find(parsed, text_of(*one), text_of) == parsed.end())
        parsed.push_back(*std::move(one));
    }
    field(config) = std::move(parsed);
    return {};
  };
  key.get = [field, text_of](const Config& config) {
    Strings texts;
    for (const auto& one : field(config)) texts.push_back(text_of(one));
    return ConfigValue(std::move(texts));
  };
  return key;
}

template <class Field>
ConfigKey endpoints(std::string_view name, std::string_view doc, Field field) {
  return parsed_list(name, doc, field, &net::Endpoint::parse,
                     [](const net::Endpoint& endpoint) { return endpoint.text(); });
}

Result<Jid> parse_admin(const std::string& text) {
  auto jid = Jid::parse(text);
  if (!jid) return jid;
  if (jid->local().empty() || jid->is_full())
    return fail(Errc::invalid, fmt::format("'{}' is no account; expected NAME@DOMAIN", text));
  return jid;
}

Result<std::string> parse_storage(const std::string& text) {
  if (text == "memory:" || (text.starts_with("sqlite:") && text.size() > std::strlen("sqlite:"))) return text;
  return fail(Errc::invalid, fmt::format("'{}' is no storage; expected sqlite:FILE or memory:", text));
}

ConfigKey storage_key(std::string_view doc) {
  ConfigKey key{.name = "storage", .kind = Kind::text, .doc = doc};
  key.set = [](Config& config, const ConfigValue& value) -> Result<void> {
    auto parsed = parse_storage(std::get<std::string>(value));
    if (!parsed) return std::unexpected(parsed.error());
    config.storage = *std::move(parsed);
    return {};
  };
  key.get = [](const Config& config) { return ConfigValue(config.storage); };
  return key;
}

constexpr std::int64_t kMost = 1'000'000'000;

#define STARLING_FIELD(path) ([](auto& config) -> auto& { return config.path; })
std::vector<ConfigKey> make_keys() {
  const auto self = [](const auto& one) { return one; };
  const auto jid_text = [](const Jid& jid) { return jid.text(); };
  // XEP-0077 section 14.1, without the two that are always asked for.
  const std::vector<std::string_view> fields{"nick",    "name", "first", "last", "email",
                                             "address", "city", "state", "zip",  "phone",
                                             "url",     "date", "misc",  "text", "key"};
  return {
      parsed_list(
          "domains", "the domains served; the first is the main one", STARLING_FIELD(domains),
          [](const std::string& text) { return prepare_domain(text); }, self),
      parsed_list("admins", "accounts that may administer the server", STARLING_FIELD(admins), &parse_admin,
                  jid_text),
      endpoints("listen.c2s", "where clients connect with STARTTLS, each host:port",
                STARLING_FIELD(listen.c2s)),
      endpoints("listen.c2s_tls", "where clients connect with TLS from the first byte (XEP-0368)",
                STARLING_FIELD(listen.c2s_tls)),
      endpoints("listen.s2s",
                "where other servers connect; accepted, but nothing listens there in this version",
                STARLING_FIELD(listen.s2s)),
      endpoints("listen.http", "where HTTP is served; accepted, but nothing listens there in this version",
                STARLING_FIELD(listen.http)),
      choice("tls.policy", "whether clients must encrypt; off (no encryption at all) is for loopback",
             {"required", "optional", "off"}, STARLING_FIELD(tls.policy)),
      flag("tls.force_off", "allow tls.policy = off on addresses that others can reach",
           STARLING_FIELD(tls.force_off)),
      text_list("tls.certificate",
                "PEM files with the certificate chains, leaf first; none: a self-signed one is made and kept "
                "in tls/",
                STARLING_FIELD(tls.certificates)),
      text_list(
          "tls.key",
          "PEM files with their private keys, in the same order; none: they are in the certificate files",
          STARLING_FIELD(tls.keys)),
      choice("registration", "whether anybody may make an account from a client (XEP-0077)",
             {"closed", "open"}, STARLING_FIELD(registration.open)),
      text_list("registration.fields", "what a registration must fill in beside user name and password",
                STARLING_FIELD(registration.fields), fields),
      flag("auth.plain_without_tls",
           "offer SASL PLAIN on unencrypted streams; only with listeners on loopback",
           STARLING_FIELD(auth.plain_without_tls)),
      flag("offline.enabled",
           "deliver messages later to accounts that are offline; else they return to the sender, unless the "
           "archive keeps them",
           STARLING_FIELD(offline.enabled)),
      choice("archive.default",
             "whose messages an account's archive keeps (XEP-0313) until its user decides: everybody's, "
             "those of "
             "contacts, or nobody's",
             {"always", "roster", "never"}, STARLING_FIELD(archive.by_default)),
      number("archive.days", "days that archives keep a message; 0: for ever", 0, 100'000,
             STARLING_FIELD(archive.days)),
      number("archive.messages", "newest messages that each archive keeps; 0: all", 0, kMost,
             STARLING_FIELD(archive.messages)),
      number("archive.bytes", "bytes of newest messages that each archive keeps; 0: all", 0,
             std::numeric_limits<std::int64_t>::max(), STARLING_FIELD(archive.bytes)),
      storage_key(
          "where accounts and messages are kept: sqlite:FILE, or memory: which forgets them at the end"),
      choice("storage.durability",
             "what an acknowledged message survives: disk, a killed server and a machine that loses power; "
             "process, a killed server only: the machine may lose the last second or two",
             {"disk", "process"}, STARLING_FIELD(store.durability)),
      choice("log.level", "what is logged to stderr", {"trace", "debug", "info", "warn", "error", "off"},
             STARLING_FIELD(log.level)),
      number("threads", "event loops, each on its own thread; 0: as many as there are cores to use", 0, 1024,
             STARLING_FIELD(threads)),
      // RFC 6120 13.12 lets nobody refuse stanzas of 10000 bytes.
      number("limits.stanza_bytes", "largest stanza", 10000, kMost, STARLING_FIELD(limits.stanza_bytes)),
      number("limits.depth", "deepest nesting of elements in a stanza", 8, 10000,
             STARLING_FIELD(limits.depth)),
      number("limits.attributes", "attributes of one element", 16, 10000, STARLING_FIELD(limits.attributes)),
      number("limits.children", "elements of one stanza", 16, kMost, STARLING_FIELD(limits.children)),
      number("limits.sessions_per_account", "sessions of one account at a time", 1, kMost,
             STARLING_FIELD(limits.sessions_per_account)),
      number("limits.connections_per_address",
             "connections from one address (IPv6: one /64 network) at a time, over all threads", 1, kMost,
             STARLING_FIELD(limits.connections_per_address)),
      choice("limits.rate", "off lifts every limit on rates, attempts and addresses, for load tests",
             {"off", "on"}, STARLING_FIELD(limits.rate)),
      number("limits.stanzas_per_second", "stanzas a session may send in the long run; twice as many at once",
             1, kMost, STARLING_FIELD(limits.stanzas_per_second)),
      number("limits.bytes_per_second", "bytes a session may send in the long run; twice as many at once",
             1000, kMost, STARLING_FIELD(limits.bytes_per_second)),
      number("limits.login_seconds", "time to log in before the connection is closed", 1, 86400,
             STARLING_FIELD(limits.login_seconds)),
      number("limits.bytes_before_login", "bytes a client may send before it has logged in", 4096, kMost,
             STARLING_FIELD(limits.bytes_before_login)),
      number("limits.offline_messages", "messages kept for an account that is offline", 0, kMost,
             STARLING_FIELD(limits.offline_messages)),
      number("limits.offline_bytes", "bytes of messages kept for an account that is offline", 0,
             std::numeric_limits<std::int64_t>::max(), STARLING_FIELD(limits.offline_bytes)),
      number("limits.queue_bytes", "bytes that may wait for a slow client before it loses its connection",
             65536, kMost, STARLING_FIELD(limits.queue_bytes)),
      number(
          "limits.unacknowledged_stanzas",
          "stanzas that may wait for a client's acknowledgement (XEP-0198) before it loses its connection, "
          "and twice as many before it loses its session",
          10, kMost, STARLING_FIELD(limits.unacknowledged_stanzas)),
      number("limits.resume_seconds",
             "time that a session waits for a client that lost its connection (XEP-0198); 0: none is resumed",
             0, 86400, STARLING_FIELD(limits.resume_seconds)),
      number("limits.roster_items", "contacts in one roster; beside them 1000 unanswered requests of others",
             1, kMost, STARLING_FIELD(limits.roster_items)),
      number("limits.accounts_per_address",
             "accounts that one address (IPv6: one /64 network) may register in an hour, on each thread", 1,
             kMost, STARLING_FIELD(limits.accounts_per_address)),
      number("limits.private_bytes", "bytes of private XML storage and vCard of one account", 0, kMost,
             STARLING_FIELD(limits.private_bytes)),
      number("limits.idle_ping_seconds", "silence after which a client is pinged (XEP-0199)", 1,
             std::int64_t{86400} * 7, STARLING_FIELD(limits.idle_ping_seconds)),
      number("limits.ping_timeout_seconds", "time to answer that ping before the session is closed", 1, 86400,
             STARLING_FIELD(limits.ping_timeout_seconds)),
  };
}
#undef STARLING_FIELD

// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min(
          {cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

constexpr std::size_t kLongestWord = 64;  // nobody misspells a key at such length

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t";
  const auto first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// TOML cannot have `registration` both as a value and as a table: there the longer key goes in quotes.
bool is_below_a_value(std::string_view name) {
  const auto dot = name.find('.');
  const auto keys = config_keys();
  return dot != std::string_view::npos &&
         std::ranges::find(keys, name.substr(0, dot), &ConfigKey::name) != keys.end();
}

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::text:
      return "text";
    case Kind::flag:
      return "true or false";
    case Kind::number:
      return "number";
    case Kind::list:
      return "list";
    case Kind::choice:
      return "one of";
  }
  return "";
}

}  // namespace

std::vector<net::CertificateFiles> Config::Tls::files() const {
  std::vector<net::CertificateFiles> files;
  for (std::size_t i = 0; i < certificates.size(); ++i)
    files.push_back({certificates[i], i < keys.size() ? keys[i] : certificates[i]});
  return files;
}

std::string ConfigKey::variable() const {
  std::string variable = "STARLING_";
  for (const char c : name)
    variable += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return variable;
}

std::span<const ConfigKey> config_keys() {
  static const auto keys = make_keys();
  return keys;
}

std::optional<std::string_view> nearest_word(std::string_view word,
                                             std::span<const std::string_view> candidates) {
  if (word.empty() || word.size() > kLongestWord) return std::nullopt;
  std::optional<std::string_view> nearest;
  auto least = std::max<std::size_t>(2, word.size() / 4) + 1;
  for (const auto candidate : candidates) {
    // "stanza_bytes" is meant for "limits.stanza_bytes".
    const auto last = candidate.substr(candidate.rfind('.') + 1);
    const auto distance = last == word ? 0 : edit_distance(word, candidate);
    // Half of it wrong is another word: "on" is not nearly "off".
    if (distance < least && distance * 2 <= std::max<std::size_t>(word.size(), 2)) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

Result<const ConfigKey*> find_config_key(std::string_view name) {
  const auto keys = config_keys();
  if (const auto found = std::ranges::find(keys, name, &ConfigKey::name); found != keys.end()) return &*found;
  std::vector<std::string_view> names;
  for (const auto& key : keys) names.push_back(key.name);
  if (const auto nearest = nearest_word(name, names))
    return fail(Errc::invalid, fmt::format("there is no key '{}'; did you mean '{}'?", name, *nearest));
  return fail(Errc::invalid, fmt::format("there is no key '{}'; docs/configuration.md lists them", name));
}

Result<ConfigValue> parse_config_text(const ConfigKey& key, std::string_view text) {
  switch (key.kind) {
    case Kind::text:
      return ConfigValue(std::string(text));
    case Kind::choice:
      return ConfigValue(std::string(trimmed(text)));
    case Kind::flag: {
      const auto word = trimmed(text);
      if (word == "true" || word == "on" || word == "yes" || word == "1") return ConfigValue(true);
      if (word == "false" || word == "off" || word == "no" || word == "0") return ConfigValue(false);
      return fail(Errc::invalid, fmt::format("expected true or false, found '{}'", text));
    }
    case Kind::number: {
      const auto digits = trimmed(text);
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (error != std::errc() || end != digits.data() + digits.size())
        return fail(Errc::invalid, fmt::format("expected a number, found '{}'", text));
      return ConfigValue(value);
    }
    case Kind::list: {
      Strings entries;
      for (std::size_t at = 0; at <= text.size();) {
        const auto comma = std::min(text.find(',', at), text.size());
        if (const auto entry = trimmed(text.substr(at, comma - at)); !entry.empty())
          entries.emplace_back(entry);
        at = comma + 1;
      }
      return ConfigValue(std::move(entries));
    }
  }
  return fail(Errc::invalid, "a key of no known kind");
}

std::string config_value_toml(const ConfigValue& value) {
  struct Writer {
    static std::string quoted(std::string_view text) {
      std::string out = "\"";
      for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
      }
      return out + '"';
    }
    std::string operator()(const std::string& text) const { return quoted(text); }
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(std::int64_t number) const { return fmt::to_string(number); }
    std::string operator()(const Strings& entries) const {
      std::string out = "[";
      for (const auto& entry : entries) out += (out.size() > 1 ? ", " : "") + quoted(entry);
      return out + "]";
    }
  };
  return std::visit(Writer{}, value);
}

std::string default_config_file() {
  std::string text =
      "# Configuration of starling (TOML). Every key is here with its default; remove the # in front of a "
      "key to change it.\n"
      "# The same keys can be given as `--set KEY=VALUE` and in the environment (tls.policy is "
      "STARLING_TLS_POLICY); --set\n"
      "# beats the environment, and the environment beats this file. Relative paths are under this file's "
      "directory.\n"
      "# `starling check` says what is wrong with it, `starling reload` makes a running server read it "
      "again.\n";
  const Config defaults;
  for (const auto& key : config_keys()) {
    text += fmt::format("\n# {}", key.doc);
    if (key.kind == Kind::choice) text += fmt::format(" ({})", fmt::join(key.choices, ", "));
    const char* quote = is_below_a_value(key.name) ? "\"" : "";
    text += fmt::format("\n#{}{}{} = {}\n", quote, key.name, quote, config_value_toml(key.get(defaults)));
  }
  return text;
}

std::string config_reference() {
  std::string text =
      "# Configuration\n\n"
      "Printed by `starling config-reference`; do not edit.\n\n"
      "A key can be set in `starling.toml` in the data directory (TOML), in the environment (`STARLING_` and "
      "the key in capitals, `_`\n"
      "for `.`: `tls.policy` is `STARLING_TLS_POLICY`), and on the command line (`--set tls.policy=off`). "
      "`--set` beats the environment,\n"
      "and the environment beats the file. Outside of the file values are plain text: a list is "
      "comma-separated, and an empty text\n"
      "is the empty list. In the file a list may be written as such a text too. `registration` and "
      "`registration.fields` cannot both be\n"
      "plain TOML keys: write the latter in quotes, `\"registration.fields\" = [\"email\"]`; the same goes "
      "for `storage.durability`. Relative\n"
      "paths are under the data directory.\n"
      "A wrong value or an unknown key in the file is an error; an unknown `STARLING_` variable is "
      "ignored.\n\n"
      "| Key | Value | Default | What it is |\n|---|---|---|---|\n";
  const Config defaults;
  for (const auto& key : config_keys()) {
    std::string kind(kind_name(key.kind));
    if (key.kind == Kind::choice)
      kind = fmt::format("`{}`", fmt::join(key.choices, "`, `"));
    else if (key.kind == Kind::list && !key.choices.empty())
      kind = fmt::format("list of `{}`", fmt::join(key.choices, "`, `"));
    else if (key.kind == Kind::number)
      kind = key.most >= kMost ? fmt::format("number, at least {}", key.least)
                               : fmt::format("number, {} to {}", key.least, key.most);
    text += fmt::format("| `{}` | {} | `{}` | {} |\n", key.name, kind, config_value_toml(key.get(defaults)),
                        key.doc);
  }
  return text;
}

}  // namespace starling::server

// From the file, the environment and --set to a Config, and what is wrong with them.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#include <fstream>
#include <sstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include "server/config.h"

namespace starling::server {
namespace {

using Kind = ConfigKey::Kind;
using Severity = Finding::Severity;
using Strings = std::vector<std::string>;

std::string_view kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "a number";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

std::string_view expected_of(const ConfigKey& key) {
  switch (key.kind) {
    case Kind::text:
      return "a string";
    case Kind::flag:
      return "true or false";
    case Kind::number:
      return "a number";
    case Kind::list:
      return "a list of strings";
    case Kind::choice:
      return "a string";
  }
  return "";
}

class Reader {
 public:
  explicit Reader(const ConfigSources& sources) : sources_(sources) {}

  ReadConfig read() {
    read_file();
    for (const auto& entry : sources_.environment) {
      const auto name = std::string_view(entry).substr(0, entry.find('='));
      for (const auto& key : config_keys())
        if (name.size() < entry.size() && key.variable() == name)
          from_text(key, std::string_view(entry).substr(name.size() + 1), std::string(name));
    }
    for (const auto& entry : sources_.sets) {
      const auto name = std::string_view(entry).substr(0, entry.find('='));
      if (name.size() == entry.size()) {
        add(Severity::error, fmt::format("--set {}", entry), "expected KEY=VALUE");
        continue;
      }
      auto where = fmt::format("--set {}", name);
      const auto key = find_config_key(name);
      if (key)
        from_text(**key, std::string_view(entry).substr(name.size() + 1), std::move(where));
      else
        add(Severity::error, std::move(where), key.error().message);
    }
    resolve(out_.config.tls.certificates);
    resolve(out_.config.tls.keys);
    validate();
    return std::move(out_);
  }

 private:
  void add(Severity severity, std::string where, std::string message) {
    out_.findings.push_back({severity, std::move(where), std::move(message)});
  }

  void read_file() {
    if (sources_.file.empty()) return;
    struct stat status{};
    if (::stat(sources_.file.c_str(), &status) != 0 && errno == ENOENT) return;
    std::ifstream in(sources_.file, std::ios::binary);
    std::ostringstream text;
    if (!S_ISREG(status.st_mode) || !in || !(text << in.rdbuf()).good()) {
      if (S_ISREG(status.st_mode) && status.st_size == 0) return;
      all_unread();
      add(Severity::error, sources_.file, "cannot be read; expected a TOML file that this user may read");
      return;
    }
    const auto parsed = toml::parse(text.view(), sources_.file);
    if (!parsed) {
      all_unread();
      std::string message(parsed.error().description());
      message += quotes_hint(text.view(), parsed.error().source().begin.line);
      // TOML has no key that is a value and a table at once.
      if (message.find("cannot redefine existing string") != std::string::npos)
        message +=
            "; beside registration or storage = \"...\" the longer key goes in quotes: "
            "\"registration.fields\" = [...], \"storage.durability\" = ...";
      add(Severity::error, position(parsed.error().source()), message);
      return;
    }
    walk(parsed.table(), "");
    sort_findings();
  }

  // Any of them may stand in a file that cannot be read.
  void all_unread() {
    for (const auto& key : config_keys()) out_.unread.emplace(key.name);
  }

  // For `domains = localhost`, where TOML's own words are of no help.
  static std::string quotes_hint(std::string_view text, std::size_t line) {
    for (; line > 1; --line) text.remove_prefix(std::min(text.size(), text.find('\n') + 1));
    if (text.empty()) return {};
    text = text.substr(0, text.find('\n'));
    const auto value = text.find_first_not_of(" \t", std::min(text.find('='), text.size() - 1) + 1);
    const bool is_word =
        value != std::string_view::npos && std::isalpha(static_cast<unsigned char>(text[value])) != 0;
    return is_word ? "; a text goes in quotes: KEY = \"TEXT\"" : "";
  }

  // Tables are sorted by name; a person reads from top to bottom.
  void sort_findings() {
    std::ranges::sort(out_.findings, {},
                      [this](const Finding& finding) { return positions_[finding.where]; });
  }

  std::string position(const toml::source_region& region) {
    auto text = fmt::format("{}:{}:{}", sources_.file, region.begin.line, region.begin.column);
    positions_[text] = {region.begin.line, region.begin.column};
    return text;
  }

  // `outer` is where a dotted key begins, of which `table` is a part.
  void walk(const toml::table& table, const std::string& prefix, const toml::source_region* outer = nullptr) {
    for (const auto& [name, node] : table) {
      const auto full = prefix + std::string(name.str());
      const bool continues =
          outer != nullptr && outer->begin.line == name.source().begin.line && !table.is_inline();
      const auto& begin = continues ? *outer : name.source();
      const auto key = find_config_key(full);
      const auto* inner = node.as_table();
      if (inner != nullptr && (!key || begins_others(full)))  // [storage], with its durability
        walk(*inner, full + '.', &begin);
      else if (key)
        from_toml(**key, node);
      else
        add(Severity::error, position(begin), key.error().message);
    }
  }

  static bool begins_others(const std::string& name) {
    return std::ranges::any_of(config_keys(),
                               [&](const ConfigKey& key) { return key.name.starts_with(name + '.'); });
  }

  void from_toml(const ConfigKey& key, const toml::node& node) {
    const auto where = position(node.source());
    const auto wrong = [&](const toml::node& found) {
      out_.unread.emplace(key.name);
      add(Severity::error, position(found.source()),
          fmt::format("{}: expected {}, found {}", key.name, expected_of(key), kind_of(found)));
    };
    if (const auto text = node.value_exact<std::string>(); text && key.kind != Kind::number)
      return from_text(key, *text, where);
    if (const auto number = node.value_exact<std::int64_t>(); number && key.kind == Kind::number)
      return assign(key, *number, where);
    if (const auto flag = node.value_exact<bool>(); flag) {
      if (key.kind == Kind::flag) return assign(key, *flag, where);
      // limits.rate = false is what `off` means.
      if (key.kind == Kind::choice && std::ranges::find(key.choices, "on") != key.choices.end())
        return assign(key, std::string(*flag ? "on" : "off"), where);
    }
    if (const auto* array = node.as_array(); array != nullptr && key.kind == Kind::list) {
      Strings entries;
      for (const auto& element : *array) {
        const auto entry = element.value_exact<std::string>();
        if (!entry) return wrong(element);
        entries.push_back(*entry);
      }
      return assign(key, std::move(entries), where);
    }
    wrong(node);
  }

  void from_text(const ConfigKey& key, std::string_view text, std::string where) {
    auto value = parse_config_text(key, text);
    if (value)
      assign(key, *std::move(value), std::move(where));
    else
      refuse(key, std::move(where), value.error());
  }

  void refuse(const ConfigKey& key, std::string where, const Error& error) {
    out_.unread.emplace(key.name);
    add(Severity::error, std::move(where), fmt::format("{}: {}", key.name, error.message));
  }

  void assign(const ConfigKey& key, const ConfigValue& value, std::string where) {
    auto done = check_choices(key, value);
    if (done) done = key.set(out_.config, value);
    if (!done) return refuse(key, std::move(where), done.error());
    out_.unread.erase(std::string(key.name));
    out_.origins[std::string(key.name)] = std::move(where);
  }

  static Result<void> check_choices(const ConfigKey& key, const ConfigValue& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value);
        number && (*number < key.least || *number > key.most))
      return fail(Errc::invalid,
                  fmt::format("expected a number from {} to {}, found {}", key.least, key.most, *number));
    if (key.choices.empty()) return {};
    const auto* one = std::get_if<std::string>(&value);
    const auto entries = one ? Strings{*one} : std::get<Strings>(value);
    for (const auto& entry : entries) {
      if (std::ranges::find(key.choices, entry) != key.choices.end()) continue;
      const auto nearest = nearest_word(entry, key.choices);
      return fail(Errc::invalid,
                  fmt::format("expected one of {}; found '{}'{}", fmt::join(key.choices, ", "), entry,
                              nearest ? fmt::format(", did you mean '{}'?", *nearest) : ""));
    }
    return {};
  }

  void resolve(Strings& paths) const {
    for (auto& path : paths)
      if (!path.starts_with('/') && !sources_.directory.empty()) path = sources_.directory + '/' + path;
  }

  static std::string reachable(const std::vector<net::Endpoint>& endpoints) {
    for (const auto& endpoint : endpoints)
      if (!endpoint.is_loopback()) return endpoint.text();
    return "";
  }

  // What no key can see by itself.
  void validate() {
    const auto& config = out_.config;
    if (config.domains.empty())
      add(Severity::error, out_.where("domains"), "domains: expected at least one domain");
    if (config.tls.certificates.empty() && !config.tls.keys.empty())
      add(Severity::error, out_.where("tls.key"),
          "tls.key: there is no certificate for it; set tls.certificate too");
    if (!config.tls.keys.empty() && !config.tls.certificates.empty() &&
        config.tls.keys.size() != config.tls.certificates.size())
      add(Severity::error, out_.where("tls.key"),
          fmt::format("tls.key: expected as many files as tls.certificate has ({}), found {}",
                      config.tls.certificates.size(), config.tls.keys.size()));
    const auto open_to_others = reachable(config.listen.c2s);
    if (config.tls.policy == TlsPolicy::off && !config.tls.force_off && !open_to_others.empty())
      add(Severity::error, out_.where("tls.policy"),
          fmt::format("tls.policy: off sends everything in the clear and is for loopback, but listen.c2s has "
                      "{}; listen on 127.0.0.1 "
                      "and [::1] alone, or set tls.force_off if the network is trusted",
                      open_to_others));
    if (config.auth.plain_without_tls && !open_to_others.empty())
      add(Severity::error, out_.where("auth.plain_without_tls"),
          fmt::format("auth.plain_without_tls: would send passwords in the clear, but listen.c2s has {}; "
                      "listen on 127.0.0.1 and [::1] "
                      "alone, or leave it false",
                      open_to_others));
    if (!config.listen.s2s.empty())
      add(Severity::warning, out_.where("listen.s2s"),
          "listen.s2s: this version does not talk to other servers yet; nothing listens there");
    if (!config.listen.http.empty())
      add(Severity::warning, out_.where("listen.http"),
          "listen.http: this version has no HTTP yet; nothing listens there");
  }

  const ConfigSources& sources_;
  ReadConfig out_;
  std::map<std::string, std::pair<std::size_t, std::size_t>>
      positions_;  // of every place in the file that was named
};

}  // namespace

std::vector<std::string> process_environment() {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (std::string_view(*entry).starts_with("STARLING_")) entries.emplace_back(*entry);
  return entries;
}

std::string Finding::text() const { return fmt::format("{}{}{}", where, where.empty() ? "" : ": ", message); }

bool ReadConfig::ok() const {
  return std::ranges::none_of(findings,
                              [](const Finding& finding) { return finding.severity == Severity::error; });
}

std::string ReadConfig::where(std::string_view key) const {
  const auto found = origins.find(key);
  return found == origins.end() ? std::string() : found->second;
}

ReadConfig read_config(const ConfigSources& sources) { return Reader(sources).read(); }

Result<Config> load_config(const ConfigSources& sources) {
  auto read = read_config(sources);
  std::string errors;
  for (const auto& finding : read.findings) {
    if (finding.severity == Severity::error)
      errors += (errors.empty() ? "" : "\n") + finding.text();
    else
      log::warn("{}", finding.text());
  }
  if (!errors.empty()) return fail(Errc::invalid, std::move(errors));
  return std::move(read.config);
}

}  // namespace starling::server

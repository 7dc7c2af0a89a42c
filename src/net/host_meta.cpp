#include "net/host_meta.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>

#include <curl/curl.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/running.h"
#include "net/address.h"

namespace starling::net {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxDocument = 65'536;
constexpr std::size_t kMaxTargets = 64;
constexpr std::size_t kMaxUrls = 16;
constexpr std::size_t kMaxUrl = 2048;
constexpr long kMaxRedirects = 5;

constexpr std::string_view kRelation = "urn:xmpp:alt-connections:";

// XEP-0156 2.2: secure schemes only.
void add_url(std::vector<std::string>& urls, std::string_view scheme, const std::string& url) {
  const bool clean = std::ranges::all_of(url, [](char c) { return c > ' ' && c <= '~'; });
  if (clean && url.starts_with(scheme) && url.size() <= kMaxUrl && urls.size() < kMaxUrls)
    urls.push_back(url);
}

void add_link(HostMeta& found, std::string_view relation, const std::string& url) {
  if (!relation.starts_with(kRelation)) return;
  relation.remove_prefix(kRelation.size());
  if (relation == "websocket") add_url(found.websocket, "wss://", url);
  if (relation == "xbosh") add_url(found.bosh, "https://", url);
}

const Json* member(const Json& object, const char* name) {
  const auto at = object.find(name);
  return at == object.end() ? nullptr : &*at;
}
std::string text_of(const Json& object, const char* name) {
  const Json* const value = member(object, name);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}
std::optional<std::uint16_t> number_of(const Json& object, const char* name) {
  const Json* const value = member(object, name);
  if (value == nullptr || !value->is_number_unsigned()) return std::nullopt;
  const auto number = value->get<std::uint64_t>();
  if (number > std::numeric_limits<std::uint16_t>::max()) return std::nullopt;
  return static_cast<std::uint16_t>(number);
}

// XEP-0487 2.1: port, priority, weight, sni and at least one address are mandatory.
void add_candidates(std::vector<Candidate>& candidates, const Json& link) {
  const auto port = number_of(link, "port");
  const auto priority = number_of(link, "priority");
  const auto weight = number_of(link, "weight");
  const std::string sni = text_of(link, "sni");
  const Json* const addresses = member(link, "ips");
  if (!port || !priority || !weight || !is_host_name(sni) || addresses == nullptr || !addresses->is_array())
    return;
  for (const Json& each : *addresses) {
    const auto address = each.is_string() ? ip_literal(each.get_ref<const std::string&>()) : std::nullopt;
    if (address && candidates.size() < kMaxTargets)
      candidates.push_back({{*address, *port, true, sni}, *priority, *weight});
  }
}

// OpenSSL's sockets raise SIGPIPE, and curl, told to leave the program's signals alone, leaves it at that.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigset_t pending;
    ::sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutSigpipe() {
    const timespec now{};
    if (!was_pending_) ::sigtimedwait(&pipe_, nullptr, &now);  // takes the one that came meanwhile
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
  bool was_pending_ = false;
};

// Ends a worker's fetch at once, from another thread.
class Interrupt {
 public:
  void raise() {
    const std::lock_guard lock(mutex_);
    raised_ = true;
    if (multi_ != nullptr) curl_multi_wakeup(multi_);
  }
  [[nodiscard]] bool raised() const { return raised_; }
  void attach(CURLM* multi) {  // what the worker waits in; null before it goes away
    const std::lock_guard lock(mutex_);
    multi_ = multi;
  }

 private:
  std::mutex mutex_;
  CURLM* multi_ = nullptr;
  std::atomic<bool> raised_ = false;
};

// One transfer handle, so that the second document comes over the first one's connection. Blocking: a
// worker's.
class Https {
 public:
  Https(const HostMetaOptions& options, const std::vector<std::string>& addresses, const std::string& domain,
        Interrupt& interrupt)
      : interrupt_(interrupt),
        deadline_(std::chrono::steady_clock::now() + options.timeout),
        ca_file_(options.ca_file) {
    static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (ready == CURLE_OK) multi_.reset(curl_multi_init());
    if (multi_) handle_.reset(curl_easy_init());
    interrupt_.attach(multi_.get());
    if (!options.connect_to.empty())
      connect_to_.reset(curl_slist_append(nullptr, ("::" + options.connect_to).c_str()));
    else
      resolve_.reset(
          curl_slist_append(nullptr, fmt::format("{}:443:{}", domain, fmt::join(addresses, ",")).c_str()));
  }

  ~Https() { interrupt_.attach(nullptr); }
  Https(const Https&) = delete;
  Https& operator=(const Https&) = delete;

  // Errc::not_found: the server has no such document for us.
  Result<std::string> get(const std::string& url) {
    if (!handle_) return fail(Errc::io, "cannot set up HTTPS");
    const auto left = std::chrono::ceil<Milliseconds>(deadline_ - std::chrono::steady_clock::now());
    if (left.count() <= 0) return fail(Errc::unavailable, "no time left");
    CURL* const handle = handle_.get();
    curl_easy_reset(handle);  // keeps the connection
    body_.clear();
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(handle, CURLOPT_MAXREDIRS, kMaxRedirects);
    curl_easy_setopt(handle, CURLOPT_FAILONERROR, 1L);  // error pages are of no interest
    curl_easy_setopt(handle, CURLOPT_PROXY, "");        // as XMPP's own connections, which take none
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(left.count()));
    curl_easy_setopt(handle, CURLOPT_MAXFILESIZE, static_cast<long>(kMaxDocument));
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &Https::take);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, this);
    if (!ca_file_.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, ca_file_.c_str());
    if (connect_to_) curl_easy_setopt(handle, CURLOPT_CONNECT_TO, connect_to_.get());
    if (resolve_) curl_easy_setopt(handle, CURLOPT_RESOLVE, resolve_.get());
    const CURLcode outcome = perform();
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    if (outcome == CURLE_HTTP_RETURNED_ERROR || (outcome == CURLE_OK && status != 200))
      return fail(Errc::not_found, fmt::format("{}: HTTP status {}", url, status));
    if (outcome != CURLE_OK)
      return fail(Errc::unavailable, fmt::format("{}: {}", url, curl_easy_strerror(outcome)));
    return std::move(body_);
  }

 private:
  static std::size_t take(char* bytes, std::size_t, std::size_t count, void* self) {
    std::string& body = static_cast<Https*>(self)->body_;
    if (count > kMaxDocument - body.size()) return 0;  // ends the transfer
    body.append(bytes, count);
    return count;
  }
  // curl_easy_perform(), but for the interrupt.
  CURLcode perform() {
    CURLcode outcome = CURLE_ABORTED_BY_CALLBACK;
    if (curl_multi_add_handle(multi_.get(), handle_.get()) != CURLM_OK) return CURLE_FAILED_INIT;
    int under_way = 1, left = 0;
    while (under_way > 0 && !interrupt_.raised()) {
      if (curl_multi_perform(multi_.get(), &under_way) != CURLM_OK) break;
      while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left))
        if (message->msg == CURLMSG_DONE) outcome = message->data.result;
      if (under_way > 0) curl_multi_poll(multi_.get(), nullptr, 0, kMostWait, nullptr);
    }
    curl_multi_remove_handle(multi_.get(), handle_.get());
    return outcome;
  }

  struct FreeMulti {
    void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
  };
  struct FreeHandle {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  };
  struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  static constexpr int kMostWait = 60'000;  // milliseconds; it knows its own deadlines

  Interrupt& interrupt_;
  SteadyTime deadline_;
  std::string ca_file_;
  std::string body_;
  std::unique_ptr<curl_slist, FreeList> connect_to_;
  std::unique_ptr<curl_slist, FreeList> resolve_;
  std::unique_ptr<CURLM, FreeMulti> multi_;
  std::unique_ptr<CURL, FreeHandle> handle_;
};

Result<HostMeta> fetch(const std::string& domain, Service service, ReadXrd read_xrd,
                       const HostMetaOptions& options, const std::vector<std::string>& addresses,
                       Interrupt& interrupt) {
  const WithoutSigpipe without_sigpipe;
  Https https(options, addresses, domain, interrupt);
  const std::string base = fmt::format("https://{}/.well-known/host-meta", domain);
  const auto json = https.get(base + ".json");
  if (json) {
    auto found = read_host_meta_json(*json, service);
    if (found && !found->empty()) return found;
  } else if (json.error().code != Errc::not_found) {
    return std::unexpected(json.error());  // nor would the other one come
  }
  HostMeta found;
  if (service == Service::client) {  // the XML form has nothing for servers
    const auto xml = https.get(base);
    if (!xml) return std::unexpected(xml.error());
    const auto links = read_xrd(*xml);
    if (!links) return std::unexpected(links.error());
    found = from_links(*links);
  }
  if (found.empty())
    return fail(Errc::not_found, fmt::format("the host-meta of {} tells of no way to XMPP", domain));
  return found;
}

}  // namespace

Result<HostMeta> read_host_meta_json(std::string_view text, Service service) {
  const Json document = Json::parse(text, nullptr, false);
  if (!document.is_object()) return fail(Errc::invalid, "host-meta.json is no JSON object");
  HostMeta found;
  const Json* const links = member(document, "links");
  if (links == nullptr || !links->is_array()) return found;
  // Without the "xmpp" object XEP-0156 alone applies (XEP-0487 2.2).
  const Json* const xmpp = member(document, "xmpp");
  const bool direct = xmpp != nullptr && xmpp->is_object();
  const std::string direct_relation =
      fmt::format("{}{}", kRelation, service == Service::client ? "tls" : "s2s-tls");
  std::vector<Candidate> candidates;
  for (const Json& link : *links) {
    if (!link.is_object()) continue;
    const std::string relation = text_of(link, "rel");
    if (direct && relation == direct_relation)
      add_candidates(candidates, link);
    else if (service == Service::client)
      add_link(found, relation, text_of(link, "href"));
  }
  found.targets = order(std::move(candidates));
  return found;
}

HostMeta from_links(const Links& links) {
  HostMeta found;
  for (const auto& [relation, url] : links) add_link(found, relation, url);
  return found;
}

Task<Result<HostMeta>> host_meta(Resolver& resolver, WorkerPool& pool, std::string domain, Service service,
                                 ReadXrd read_xrd, HostMetaOptions options) {
  if (domain.ends_with('.')) domain.pop_back();
  if (ip_literal(domain) || is_local_name(domain) || !domain.contains('.') || !is_host_name(domain))
    co_return fail(Errc::not_found, fmt::format("{} is no name that could have a host-meta", domain));

  std::vector<std::string> addresses;
  if (options.connect_to.empty()) {
    auto running_six = start(resolver.addresses(domain, Family::ipv6));
    auto running_four = start(resolver.addresses(domain, Family::ipv4));
    const auto six = co_await running_six;
    const auto four = co_await running_four;
    if (!six && !four) co_return std::unexpected(four.error());
    if (six)
      for (const std::string& address : *six) addresses.push_back("[" + address + "]");
    if (four) addresses.insert(addresses.end(), four->begin(), four->end());
  }

  // Ends the fetch when this coroutine is destroyed.
  struct Abandon {
    std::shared_ptr<Interrupt> interrupt = std::make_shared<Interrupt>();
    Abandon() = default;
    Abandon(const Abandon&) = delete;
    Abandon& operator=(const Abandon&) = delete;
    ~Abandon() { interrupt->raise(); }
  };
  const Abandon abandon;
  auto fetched = co_await pool.run([=, interrupt = abandon.interrupt] {
    return fetch(domain, service, read_xrd, options, addresses, *interrupt);
  });
  if (!fetched) co_return fail(Errc::unavailable, "too much is going on to fetch a host-meta");
  co_return std::move(*fetched);
}

}  // namespace starling::net

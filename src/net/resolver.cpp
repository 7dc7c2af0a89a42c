#include "net/resolver.h"

#include <csignal>
#include <optional>
#include <unordered_set>
#include <utility>

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <unbound.h>

#include "base/log.h"
#include "net/address.h"

namespace starling::net {
namespace {

// RFC 1035 3.2.2, RFC 3596 2.1, RFC 2782
enum class Type : int { a = 1, aaaa = 28, srv = 33 };
constexpr int kInternet = 1;

// RFC 1035 4.1.1
constexpr int kServerFailure = 2;
constexpr int kRefused = 5;

// More than anybody publishes; the rest of an answer made to keep us busy is left out.
constexpr std::size_t kMaxRecords = 64;

using Rdata = std::vector<std::string>;
using Answer = Result<Rdata>;

struct FreeResult {
  void operator()(ub_result* result) const { ub_resolve_free(result); }
};
using ResultPtr = std::unique_ptr<ub_result, FreeResult>;

struct DeleteContext {
  void operator()(ub_ctx* context) const { ub_ctx_delete(context); }
};
using ContextPtr = std::unique_ptr<ub_ctx, DeleteContext>;

// The name at the end of a record's data, which is never compressed (RFC 2782, RFC 3597 4).
std::optional<std::string> read_name(std::string_view bytes) {
  std::string name;
  while (!bytes.empty()) {
    const auto size = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    if (size == 0) {
      if (!bytes.empty()) return std::nullopt;
      if (name.empty()) return ".";
      return is_host_name(name) ? std::optional(std::move(name)) : std::nullopt;
    }
    const std::string_view label = bytes.substr(0, size);
    if (size > bytes.size() || label.contains('.')) return std::nullopt;
    if (!name.empty()) name += '.';
    name += label;
    bytes.remove_prefix(size);
  }
  return std::nullopt;
}

std::optional<SrvRecord> read_srv(std::string_view rdata) {
  constexpr std::size_t kFixed = 6;
  if (rdata.size() < kFixed) return std::nullopt;
  const auto number = [&](std::size_t at) {
    return static_cast<std::uint16_t>((static_cast<unsigned char>(rdata[at]) << 8U) |
                                      static_cast<unsigned char>(rdata[at + 1]));
  };
  auto target = read_name(rdata.substr(kFixed));
  if (!target) return std::nullopt;
  return SrvRecord{number(0), number(2), number(4), std::move(*target)};
}

std::optional<std::string> read_address(std::string_view rdata, Family family) {
  char text[INET6_ADDRSTRLEN] = "";
  const int kind = family == Family::ipv4 ? AF_INET : AF_INET6;
  if (rdata.size() != (family == Family::ipv4 ? sizeof(in_addr) : sizeof(in6_addr))) return std::nullopt;
  if (::inet_ntop(kind, rdata.data(), text, sizeof text) == nullptr) return std::nullopt;
  return text;
}

std::string_view type_name(Type type) {
  switch (type) {
    case Type::a:
      return "A";
    case Type::aaaa:
      return "AAAA";
    case Type::srv:
      break;
  }
  return "SRV";
}

std::unexpected<Error> no_records(std::string_view name, Type type) {
  return fail(Errc::not_found, fmt::format("{} has no {} records", name, type_name(type)));
}

// "127.0.0.1:5353" in the library's words: "127.0.0.1@5353".
Result<std::string> forwarder(const std::string& server) {
  if (const auto address = ip_literal(server)) return *address;
  const auto endpoint = Endpoint::parse(server);
  if (!endpoint || !ip_literal(endpoint->host))
    return fail(Errc::invalid,
                fmt::format("'{}' is no name server: write an IP address, with a port (127.0.0.1:5353, "
                            "[::1]:5353) or without",
                            server));
  return fmt::format("{}@{}", endpoint->host, endpoint->port);
}

Result<ContextPtr> make_context(const Resolver::Options& options) {
  ContextPtr made(ub_ctx_create());
  if (!made) return fail(Errc::io, "cannot set up DNS: out of memory");
  ub_ctx* const context = made.get();
  ub_ctx_debugout(context, nullptr);  // its complaints come as results
  int outcome = ub_ctx_async(context, 1);
  const auto set = [&](const char* option, const char* value) {
    if (outcome == UB_NOERROR) outcome = ub_ctx_set_option(context, option, value);
  };
  set("module-config:", "iterator");     // no validation
  set("do-not-query-localhost:", "no");  // where the name server often is
  set("infra-keep-probing:", "yes");     // a network that was gone comes back
  if (outcome == UB_NOERROR && options.hosts_file) {
    // No such file: no names from it.
    if (const int read = ub_ctx_hosts(context, nullptr); read != UB_READFILE) outcome = read;
  }
  if (outcome == UB_NOERROR) {
    if (!options.server.empty()) {
      const auto server = forwarder(options.server);
      if (!server) return std::unexpected(server.error());
      outcome = ub_ctx_set_fwd(context, server->c_str());
    } else if (outcome = ub_ctx_resolvconf(context, nullptr); outcome == UB_READFILE) {
      outcome = ub_ctx_set_fwd(context, "127.0.0.1");  // resolv.conf(5): without the file, this machine
    }
  }
  // The library answers these itself, as a server on the public Internet should; a client asks (RFC 6761 6.2,
  // RFC 8375 4).
  for (const char* zone : {"test.", "home.arpa."})
    if (outcome == UB_NOERROR) outcome = ub_ctx_zone_remove(context, zone);
  if (outcome != UB_NOERROR)
    return fail(Errc::io, fmt::format("cannot set up DNS: {}", ub_strerror(outcome)));
  return made;
}

// The library starts its thread with the first query: signals are for the program's own threads.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

struct Resolver::State final : Reactor::Watcher {
  class Query;

  Reactor& loop;
  const Milliseconds timeout;
  ContextPtr context;  // none when the Resolver has gone
  std::unordered_set<Query*> queries;
  Query* answered = nullptr;  // a list of those whose result has come in this ub_process()

  State(Reactor& reactor, Milliseconds limit, ContextPtr made)
      : loop(reactor), timeout(limit), context(std::move(made)) {}

  void on_events(std::uint32_t events) override;
  void close(std::string_view why);
  static Task<Answer> look_up(std::shared_ptr<State> self, std::string name, Type type);
};

// One question, in the frame of the coroutine that waits for its answer.
class Resolver::State::Query {
 public:
  Query(State& state, std::string name, Type type)
      : state_(state), name_(std::move(name)), type_(type), resolve_(done_.resolver()) {}
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;
  ~Query() {
    if (under_way_) forget(true);
  }

  Result<void> ask() {
    if (!state_.context) return fail(Errc::unavailable, "the resolver is closed");
    const SignalsBlocked blocked;
    const int outcome = ub_resolve_async(state_.context.get(), name_.c_str(), static_cast<int>(type_),
                                         kInternet, this, on_answer, &id_);
    if (outcome != UB_NOERROR)
      return fail(Errc::unavailable, fmt::format("cannot look up {}: {}", name_, ub_strerror(outcome)));
    under_way_ = true;
    state_.queries.insert(this);
    timer_ = state_.loop.run_after(state_.timeout, [this] {
      settle(fail(Errc::unavailable,
                  fmt::format("no name server told the {} records of {} within {} s", type_name(type_), name_,
                              static_cast<double>(state_.timeout.count()) / 1000)),
             true);
    });
    return {};
  }

  Completion<Answer>& answer() { return done_; }

  // The result that on_answer() left.
  void take_result() { settle(read(), false); }
  void settle(Answer value, bool still_asked) {
    forget(still_asked);
    resolve_(std::move(value));
  }
  Query* next() { return std::exchange(next_, nullptr); }

 private:
  // Called by the library, out of C: it keeps what it gets and no more.
  static void on_answer(void* data, int problem, ub_result* result) {
    auto& self = *static_cast<Query*>(data);
    self.problem_ = problem;
    self.result_.reset(result);
    self.next_ = std::exchange(self.state_.answered, &self);
  }

  Answer read() {
    if (problem_ != UB_NOERROR || !result_)
      return fail(Errc::unavailable, fmt::format("cannot look up {}: {}", name_, ub_strerror(problem_)));
    const ub_result& result = *result_;
    if (result.havedata != 0) {
      Rdata all;
      for (std::size_t i = 0; result.data[i] != nullptr && all.size() < kMaxRecords; ++i)
        all.emplace_back(result.data[i], static_cast<std::size_t>(result.len[i]));
      return all;
    }
    if (result.nxdomain != 0 || result.rcode == 0) return no_records(name_, type_);
    const std::string_view why = result.rcode == kServerFailure ? "the name servers failed (SERVFAIL)"
                                 : result.rcode == kRefused     ? "the name servers refuse to answer"
                                                                : "the name servers report an error";
    return fail(Errc::unavailable,
                fmt::format("cannot look up the {} records of {}: {}", type_name(type_), name_, why));
  }

  void forget(bool cancel) {
    under_way_ = false;
    state_.loop.cancel(std::exchange(timer_, 0));
    state_.queries.erase(this);
    if (cancel && state_.context) ub_cancel(state_.context.get(), id_);  // on_answer() is not called any more
  }

  State& state_;
  std::string name_;
  Type type_;
  Completion<Answer> done_;
  Completion<Answer>::Resolver resolve_;
  bool under_way_ = false;
  int id_ = 0;
  Loop::TimerId timer_ = 0;
  int problem_ = UB_NOERROR;
  ResultPtr result_;
  Query* next_ = nullptr;
};

void Resolver::State::on_events(std::uint32_t) {
  const int outcome = ub_process(context.get());
  for (Query* query = std::exchange(answered, nullptr); query != nullptr;) {
    Query* const next = query->next();
    query->take_result();
    query = next;
  }
  if (outcome != UB_NOERROR) {
    log::error("DNS has stopped working: {}", ub_strerror(outcome));
    close("DNS has stopped working");
  }
}

void Resolver::State::close(std::string_view why) {
  loop.unwatch(*this);
  context.reset();  // its queries end without a word
  while (!queries.empty()) (*queries.begin())->settle(fail(Errc::unavailable, std::string(why)), false);
}

Task<Answer> Resolver::State::look_up(std::shared_ptr<State> self, std::string name, Type type) {
  if (!is_host_name(name)) co_return fail(Errc::invalid, fmt::format("'{}' is no domain name", name));
  Query query(*self, std::move(name), type);
  if (auto asked = query.ask(); !asked) co_return std::unexpected(asked.error());
  co_return co_await query.answer();
}

Resolver::Resolver(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Resolver>> Resolver::make(Reactor& loop, Options options) {
  auto context = make_context(options);
  if (!context) return std::unexpected(context.error());
  const int descriptor = ub_fd(context->get());
  auto state = std::make_shared<State>(loop, options.timeout, std::move(*context));
  if (auto watched = loop.watch(descriptor, EPOLLIN, *state); !watched)
    return std::unexpected(watched.error());
  return std::unique_ptr<Resolver>(new Resolver(std::move(state)));
}

Resolver::~Resolver() { state_->close("the resolver is closed"); }

Task<Result<std::vector<SrvRecord>>> Resolver::srv(std::string name) {
  const std::string asked = name;
  const auto found = co_await State::look_up(state_, std::move(name), Type::srv);
  if (!found) co_return std::unexpected(found.error());
  std::vector<SrvRecord> records;
  for (const std::string& rdata : *found)
    if (auto record = read_srv(rdata)) records.push_back(std::move(*record));
  if (records.empty()) co_return no_records(asked, Type::srv);
  co_return records;
}

Task<Result<std::vector<std::string>>> Resolver::addresses(std::string name, Family family) {
  const Type type = family == Family::ipv4 ? Type::a : Type::aaaa;
  std::vector<std::string> texts;
  if (auto literal = ip_literal(name)) {
    if (literal->contains(':') != (family == Family::ipv6)) co_return no_records(name, type);
    texts.push_back(std::move(*literal));
    co_return texts;
  }
  if (is_local_name(name)) {
    texts.emplace_back(family == Family::ipv4 ? "127.0.0.1" : "::1");
    co_return texts;
  }
  const std::string asked = name;
  const auto found = co_await State::look_up(state_, std::move(name), type);
  if (!found) co_return std::unexpected(found.error());
  for (const std::string& rdata : *found)
    if (auto text = read_address(rdata, family)) texts.push_back(std::move(*text));
  if (texts.empty()) co_return no_records(asked, type);
  co_return texts;
}

}  // namespace starling::net

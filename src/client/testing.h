#pragma once
// For the tests of this room: a server of one account on the other end of a memory stream, and a client on a
// virtual loop that dials it.
#include <deque>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "client/client.h"
#include "client/core.h"
#include "stream/machine.h"
#include "support/memory_stream.h"
#include "support/virtual_loop.h"
#include "xml/namespaces.h"
#include "xml/parser.h"

namespace starling::client {

// alice@example.org, whose password is "secret".
class FakeServer final : public net::ByteStream::Handler {
 public:
  FakeServer(Loop& loop, std::unique_ptr<net::ByteStream> stream, std::string answer_to_header = {})
      : settings_(make_settings()),
        machine_(settings_),
        answer_(std::move(answer_to_header)),
        stream_(std::move(stream)) {
    stream_->attach(loop, *this);
  }

  void send(std::string_view xml) {
    if (stream_) stream_->write(xml);
  }
  void drop() {
    if (stream_) stream_->detach();
    stream_.reset();
  }
  void take_nothing(bool from_now_on) { stream_->pause_reading(from_now_on); }  // its pipe fills
  void fail(StreamCondition condition, std::string text = {}) {
    machine_.fail({condition, std::move(text), {}});
    flush();
  }
  void close() {
    machine_.close();
    flush();
  }

  // Before the client has said anything.
  void only_plain() {
    settings_.mechanisms = settings_.mechanisms.last(1);
    machine_ = stream::Machine(settings_);
  }
  void without_tls() {
    settings_.tls = stream::TlsPolicy::off;
    machine_ = stream::Machine(settings_);
  }
  // Before the client has said anything: who does not log in may send IQs, as registration needs.
  void register_accounts() {
    settings_.features.push_back({"register",
                                  [](const stream::View& view, xml::Writer& writer) {
                                    if (!view.authenticated) writer.open("register", ns::reg_feature).close();
                                  },
                                  [](const stream::View& view, const xml::Element& element) {
                                    return !view.authenticated && element.name() == "iq";
                                  }});
  }
  // The same; `element` stands among the stream's features once the client has logged in.
  void advertise(std::string_view element) {
    settings_.features.push_back({"",
                                  [element](const stream::View& view, xml::Writer& writer) {
                                    if (view.authenticated) writer.raw(element);
                                  },
                                  {}});
  }

  // The same; elements of that namespace are taken once the client has logged in. The caller keeps `ns`.
  void claim(std::string_view ns) {
    settings_.features.push_back({"", {}, [ns](const stream::View& view, const xml::Element& element) {
                                    return view.authenticated && element.ns() == ns;
                                  }});
  }
  void resume(const Jid& full) { machine_.bound(full); }  // in place of binding

  std::function<void(const xml::Element&)> on_element;  // each of `stanzas`; may drop()
  std::vector<std::string> stanzas;                     // as they came, and what was claimed
  std::string bytes;                                    // all of them
  bool bound = false, client_closed = false, ended = false;
  bool silent = false;                                 // takes everything and says nothing
  bool keep_open = false;                              // does not answer </stream:stream>
  sasl::Failure refuse_with = sasl::Failure::aborted;  // other than that: every login fails so

  void on_readable() override {
    std::array<char, 4096> buffer;
    while (stream_) {
      const auto got = stream_->read(buffer);
      if (got.status == net::IoResult::Status::would_block) return;
      if (got.status != net::IoResult::Status::ok) {
        ended = true;
        return;
      }
      bytes.append(buffer.data(), got.bytes);
      if (silent) continue;
      if (!answer_.empty()) {
        send(std::exchange(answer_, {}));
        continue;
      }
      input_.append(buffer.data(), got.bytes);
      run();
    }
  }
  void on_writable() override {}

 private:
  static stream::Settings make_settings() {
    stream::Settings settings;
    settings.tls = stream::TlsPolicy::required;
    settings.serves = [](std::string_view domain) { return domain == "example.org"; };
    return settings;
  }
  void flush() {
    if (keep_open && client_closed) return;
    send(std::exchange(machine_.output(), {}));
  }
  void run() {
    std::string_view rest = input_;
    for (;;) {
      auto event = machine_.next(rest);
      if (!stream_) return;
      if (std::holds_alternative<stream::NeedInput>(event) || std::holds_alternative<stream::Waiting>(event))
        break;
      answer(event);
    }
    input_ = std::string(rest);
    flush();
  }
  void answer(stream::Event& event) {
    if (std::holds_alternative<stream::StartTls>(event)) {
      flush();
      ASSERT_TRUE(stream_->start_tls_server(nullptr).has_value());
      machine_.tls_established({});
    } else if (const auto* keys = std::get_if<stream::LookUpKeys>(&event)) {
      if (refuse_with != sasl::Failure::aborted) return machine_.give_up_auth(refuse_with, "no");
      machine_.give_keys(sasl::derive_keys(keys->hash, "secret", "0123456789abcdef"), true, false);
    } else if (const auto* check = std::get_if<stream::CheckPassword>(&event)) {
      machine_.give_check(check->password == "secret", false);
    } else if (const auto* bind = std::get_if<stream::BindRequest>(&event)) {
      machine_.bound(*machine_.jid().with_resource(bind->resource.empty() ? "made-up" : bind->resource));
      bound = true;
    } else if (auto* stanza = std::get_if<stream::Received>(&event)) {
      take(stanza->document.root());
    } else if (auto* request = std::get_if<stream::Claimed>(&event)) {
      take(request->document.root());
    } else if (std::holds_alternative<stream::Closed>(event)) {
      client_closed = true;
    }
  }

  void take(const xml::Element& element) {
    stanzas.emplace_back(element.bytes());
    if (on_element) on_element(element);
  }

  stream::Settings settings_;
  stream::Machine machine_;
  std::string answer_, input_;
  std::unique_ptr<net::ByteStream> stream_;
};

// A client with its loop, and the servers that it meets: one for each time it dials.
struct Bench {
  explicit Bench(Options with = {}) {
    if (with.jid.empty()) with.jid = *Jid::parse("alice@example.org/balcony");
    if (with.password.empty() && !with.jid.is_domain()) with.password = "secret";
    with.trace = [this](Trace kind, std::string_view line) {
      if (kind == Trace::event) events.emplace_back(line);
      log.emplace_back(line);
      if (on_trace) on_trace(line);
    };
    core = std::make_shared<Core>(loop, std::move(with));
    core->set_dialer([this](std::string host) -> Result<std::unique_ptr<Dialer>> {
      hosts.push_back(host);
      return std::make_unique<MemoryDialer>(*this);
    });
    client = std::make_unique<Client>(core);
  }
  ~Bench() {
    loop.in_turn([&] {
      for (auto& server : servers) server->drop();
      client.reset();
      core.reset();
    });
  }

  // Connects and settles: a session with servers.back().
  FakeServer& log_in() {
    in_turn([&] { client->connect(); });
    return *servers.back();
  }
  template <class F>
  void in_turn(F&& call) {
    loop.in_turn(std::forward<F>(call));
    loop.settle();
  }
  void server_sends(std::string_view xml) {
    in_turn([&] { servers.back()->send(xml); });
  }
  // Answers the last stanza that the client sent, a request, in the name of whom it was sent to.
  void answer(std::string_view content = {}, std::string_view type = "result") {
    const auto request = xml::parse_fragment(servers.back()->stanzas.back(), ns::client).value();
    std::string out;
    xml::Writer(out, ns::client)
        .open("iq")
        .attribute("type", type)
        .attribute("id", request.root().attribute("id").value())
        .attribute_if("from", request.root().attribute("to").value_or(""))
        .raw(content)
        .close();
    server_sends(out);
  }
  // What comes of the Request that `ask` returns when the answer to it has that content.
  template <class Ask, class T = typename std::invoke_result_t<Ask>::Value>
  Outcome<T> outcome(Ask ask, std::string_view content = {}, std::string_view type = "result") {
    std::optional<Outcome<T>> outcome;
    in_turn([&] { ask().then([&](Outcome<T> got) { outcome.emplace(std::move(got)); }); });
    if (!outcome) answer(content, type);
    return std::move(outcome).value();
  }
  // The kind of the error that comes of it.
  template <class Ask>
  std::optional<RequestError::Kind> failure(Ask ask, std::string_view content,
                                            std::string_view type = "result") {
    auto got = outcome(std::move(ask), content, type);
    return got ? std::nullopt : std::optional(got.error().kind);
  }
  [[nodiscard]] bool saw(std::string_view event) const {
    return std::ranges::find(events, event) != events.end();
  }
  [[nodiscard]] std::size_t logged(std::string_view part) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        log, [&](const std::string& line) { return line.find(part) != std::string::npos; }));
  }

  struct MemoryDialer final : Dialer {
    explicit MemoryDialer(Bench& in) : bench(in) {}
    Task<Result<Dialled>> next() override {
      ++bench.dials;
      if (bench.never_connects) co_await Completion<int>();
      if (bench.refusals > 0) {
        --bench.refusals;
        co_return starling::fail(Errc::unavailable, "nobody listens there");
      }
      if (tried++ >= bench.places) co_return starling::fail(Errc::unavailable, "no place is left");
      auto [ours, theirs] = memory_pair({.capacity = bench.pipe_bytes});
      auto server = std::make_unique<FakeServer>(
          bench.loop, std::move(theirs),
          bench.first_words.empty() ? std::string() : std::exchange(bench.first_words.front(), {}));
      if (!bench.first_words.empty()) bench.first_words.pop_front();
      if (bench.on_server) bench.on_server(*server);
      bench.servers.push_back(std::move(server));
      co_return Dialled{std::move(ours), false};
    }
    Bench& bench;
    int tried = 0;
  };

  VirtualLoop loop;
  std::vector<std::unique_ptr<FakeServer>> servers;
  std::deque<std::string> first_words;  // what the next servers say in place of what they ought to
  std::function<void(FakeServer&)> on_server;
  std::function<void(std::string_view)> on_trace;
  int refusals = 0;  // times that nobody listens
  int dials = 0;
  int places = 1;                                                    // in one attempt
  std::size_t pipe_bytes = std::numeric_limits<std::size_t>::max();  // that wait unread, in each direction
  bool never_connects = false;
  std::vector<std::string> events, log, hosts;
  std::shared_ptr<Core> core;
  std::unique_ptr<Client> client;
};

}  // namespace starling::client

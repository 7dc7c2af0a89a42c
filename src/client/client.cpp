#include "client/client.h"

#include "client/core.h"
#include "client/net_dialer.h"
#include "net/reactor.h"

namespace starling::client {
namespace {

std::shared_ptr<Core> make_core(net::Reactor& reactor, Options options) {
  auto core = std::make_shared<Core>(reactor, std::move(options));
  Core& self = *core;
  core->set_dialer([&self, &reactor](std::string host) {
    return make_net_dialer(reactor, self.options(), std::move(host),
                           [&self](Trace kind, std::string_view line) { self.trace(kind, line); });
  });
  return core;
}

}  // namespace

Client::Client(Options options)
    : Client([&] {
        auto reactor = std::make_unique<net::Reactor>();
        auto core = make_core(*reactor, std::move(options));
        return std::pair(std::move(reactor), std::move(core));
      }()) {}
Client::Client(Options options, net::Reactor& reactor) : Client(make_core(reactor, std::move(options))) {}
Client::Client(std::shared_ptr<Core> core) : Client(std::pair(nullptr, std::move(core))) {}
Client::Client(std::pair<std::unique_ptr<net::Reactor>, std::shared_ptr<Core>> parts)
    : on(parts.second->events), own_reactor_(std::move(parts.first)), core_(std::move(parts.second)) {
  static constexpr auto kCore = std::to_array<std::pair<std::string_view, std::string_view>>({
      {"RFC 6120", "Stream Feature: STARTTLS"},
      {"RFC 6120", "Stream Feature: SASL"},
      {"RFC 6120", "Stream Feature: Resource Binding"},
      {"RFC 3921", "Stream Feature: Start Session"},
      {"XEP-0198", "Stream Management"},
  });
  for (const auto& [specification, name] : kCore) trace_plugin(specification, name);
}

Client::~Client() { core_->shut_down(); }

void Client::connect() { core_->connect(); }
void Client::close() { core_->close(); }

Ended Client::run() {
  connect();
  auto& reactor = static_cast<net::Reactor&>(core_->loop());
  while (!core_->ended()) reactor.turn(Milliseconds::max());
  return outcome();
}
Ended Client::outcome() { return core_->take_outcome(); }

int Client::descriptor() const { return static_cast<net::Reactor&>(core_->loop()).descriptor(); }
void Client::turn() { static_cast<net::Reactor&>(core_->loop()).turn(Milliseconds{0}); }
bool Client::ended() const { return core_->ended(); }
void Client::post(Job job) { core_->loop().post(std::move(job)); }
Loop::TimerId Client::run_after(Milliseconds delay, Job job) {
  return core_->run_after(delay, std::move(job));
}
void Client::guarded(Job call) { core_->guarded(call); }
Loop& Client::loop() const { return core_->loop(); }

State Client::state() const { return core_->state(); }
const Jid& Client::jid() const { return core_->jid(); }
const Options& Client::options() const { return core_->options(); }
const xml::Document& Client::stream_features() const { return core_->stream_features(); }
bool Client::encrypted() const {
  return core_->connection() != nullptr && core_->connection()->stream().tls() != nullptr;
}
std::string Client::local_address() const {
  return core_->connection() != nullptr ? core_->connection()->stream().local_address() : std::string();
}

std::string Client::send(const Message& message) { return core_->send(message); }
bool Client::send(const Presence& presence) { return core_->send(presence); }
bool Client::send_xml(std::string_view stanza) { return core_->send_xml(stanza); }
std::size_t Client::queued_bytes() const {
  return core_->connection() != nullptr ? core_->connection()->queued_bytes() : 0;
}
Request<StanzaPtr> Client::request(Type type, const Jid& to, std::string_view payload, Milliseconds timeout) {
  return core_->request(type, to, payload, timeout);
}
void Client::on_request(Type type, std::string_view name, std::string_view ns, RequestHandler handler) {
  core_->on_request(type, name, ns, std::move(handler));
}
Request<void> Client::acknowledged() { return core_->acknowledged(); }
bool Client::acknowledges() const { return core_->acknowledges(); }
void Client::on_session_over(std::move_only_function<void()> forget) {
  core_->on_session_over(std::move(forget));
}
void Client::on_own_presence(std::move_only_function<void(xml::Writer&)> writer) {
  core_->on_own_presence(std::move(writer));
}

std::vector<Extension::Info> Client::extensions() const {
  std::vector<Extension::Info> infos;
  for (const auto& [type, extension] : extensions_) infos.push_back(extension->info());
  return infos;
}
Extension* Client::find(std::type_index type) const {
  for (const auto& [known, extension] : extensions_)
    if (known == type) return extension.get();
  return nullptr;
}
void Client::add(std::type_index type, std::unique_ptr<Extension> extension) {
  const auto info = extension->info();
  trace_plugin(info.specification, info.name);
  extensions_.emplace_back(type, std::move(extension));
}

void Client::trace(Trace kind, std::string_view line) const { core_->trace(kind, line); }
void Client::trace_event(std::string_view name) const { core_->trace(Trace::event, name); }
void Client::trace_plugin(std::string_view specification, std::string_view name) const {
  std::string line("Loaded Plugin: ");
  line.append(specification).append(": ").append(name);
  core_->trace(Trace::plugin, line);
}
std::string Client::next_id() { return core_->next_id(); }

}  // namespace starling::client

// The negotiation's events, answered: TLS, SASL, binding; and from then on the session's stanzas.
#include "base/log.h"
#include "base/pause.h"
#include "server/connection/connection.h"
#include "server/core.h"
#include "xml/namespaces.h"

namespace starling::server {
namespace {

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

sasl::ScramKeys to_sasl(const storage::ScramKeys& keys) {
  return {keys.salt, keys.stored_key, keys.server_key, keys.iterations};
}

}  // namespace

bool Connection::handle(stream::Event event, std::string_view& input) {
  return std::visit(Overloaded{
                        [](const stream::NeedInput&) { return false; },
                        [](const stream::Waiting&) { return false; },
                        [&](const stream::StartTls&) {
                          // What came along with <starttls/> was never encrypted: kept aside, and refused
                          // once TLS is up.
                          pending_ = std::string(input);
                          input = {};
                          take_machine_output();
                          start_handshake();
                          return false;
                        },
                        [&](stream::LookUpKeys& asked) {
                          awaiting_answer_ = true;
                          spawn(answer_keys(std::move(asked.account), asked.hash));
                          return !awaiting_answer_;
                        },
                        [&](stream::CheckPassword& asked) {
                          awaiting_answer_ = true;
                          spawn(answer_check(std::move(asked.account), std::move(asked.password)));
                          return !awaiting_answer_;
                        },
                        [&](const stream::Authenticated& done) {
                          mechanism_ = done.mechanism;
                          shard_->throttle().login_succeeded(address(), done.account.text());
                          log::info("login account={} mechanism={} address={}", done.account.text(),
                                    done.mechanism, address());
                          return true;
                        },
                        [&](const stream::AuthFailed& failed) {
                          // Only a wrong password is a reason to slow the next attempt: clients try
                          // mechanisms that they cannot do.
                          if (failed.condition == sasl::Failure::not_authorized && !failed.account.empty())
                            shard_->throttle().login_failed(address(), failed.account, shard_->loop().now());
                          // Without an account it is a client that tries a mechanism it cannot do, not a
                          // guess.
                          log::at(failed.account.empty() ? log::Level::info : log::Level::warn,
                                  "login failed account={} mechanism={} condition={} address={}{}{}",
                                  failed.account, failed.mechanism, sasl::to_string(failed.condition),
                                  address(), failed.text.empty() ? "" : " reason=", failed.text);
                          return true;
                        },
                        [&](const stream::BindRequest& request) {
                          bind(request.resource);
                          return !awaiting_answer_;
                        },
                        [](const stream::Ready&) { return true; },
                        [&](stream::Received& got) {
                          received(std::move(got.document));
                          return true;
                        },
                        [&](stream::Claimed& claimed) {
                          if (claimed.document.root().ns() == ns::sm)
                            managed(claimed.document.root());
                          else if (claimed.document.root().ns() == kClientState)
                            client_state(claimed.document.root());
                          else if (shard_->guest_handler(claimed.feature))
                            spawn(run_claimed(claimed.feature, std::move(claimed.document)));
                          return true;
                        },
                        [&](const stream::Closed&) {
                          resumable_end_ = false;
                          begin_close();
                          return false;
                        },
                        [&](const stream::Failed& failed) {
                          log::at(failed.error.condition == StreamCondition::host_unknown ? log::Level::info
                                                                                          : log::Level::debug,
                                  "stream address={} ended by {}: {} {}", address(),
                                  failed.by_peer ? "the client" : "us", to_string(failed.error.condition),
                                  failed.error.text);
                          resumable_end_ = false;
                          begin_close();
                          return false;
                        },
                    },
                    event);
}

void Connection::start_handshake() {
  flush();
  awaiting_tls_ = true;
  if (auto started = stream_->start_tls_server(tls_); !started) {
    log::error("TLS cannot be started: {}", started.error().message);
    closed();
    return;
  }
  if (stream_->tls() != nullptr) tls_through();
}

void Connection::tls_through() {
  awaiting_tls_ = false;
  const net::TlsInfo& info = *stream_->tls();
  sasl::Bindings bindings{info.exporter_binding, info.end_point_binding};
  if (transport_ == Transport::direct_tls) {
    machine_.assume_tls(std::move(bindings));
  } else {
    const std::string injected = std::exchange(pending_, {});
    machine_.tls_established(std::move(bindings), injected);
  }
  resume();
}

// --- SASL ---

Task<void> Connection::delay_login(const Jid& account) {
  const Milliseconds delay = setup_->config.limits.rate ? shard_->throttle().login_delay(
                                                              address(), account.text(), shard_->loop().now())
                                                        : Milliseconds(0);
  if (delay.count() != 0) co_await pause(shard_->loop(), delay);
}

Task<void> Connection::answer_keys(Jid account, crypto::Hash hash) {
  const auto self = shared_from_this();
  co_await delay_login(account);
  auto found = co_await shard_->store().account(account.text());
  awaiting_answer_ = false;
  if (phase_ != Phase::open) co_return;
  if (!found) {
    log::error("account {} cannot be read: {}", account.text(), found.error().message);
    machine_.give_up_auth(sasl::Failure::temporary_auth_failure, "The account cannot be read at the moment");
  } else if (*found) {
    machine_.give_keys(to_sasl(hash == crypto::Hash::sha1 ? (*found)->sha1 : (*found)->sha256), true,
                       (*found)->disabled);
  } else {
    machine_.give_keys(sasl::decoy_keys(hash, shard_->core().secret(), account.text()), false, false);
  }
  resume();
}

Task<void> Connection::answer_check(Jid account, std::string password) {
  const auto self = shared_from_this();
  co_await delay_login(account);
  auto found = co_await shard_->store().account(account.text());
  std::optional<bool> right;
  const bool exists = found.has_value() && found->has_value();
  if (found) {
    // An unknown user costs the same derivation, so that time tells nothing.
    storage::ScramKeys keys;
    if (exists) {
      keys = (*found)->sha256;
    } else {
      sasl::ScramKeys decoy = sasl::decoy_keys(crypto::Hash::sha256, shard_->core().secret(), account.text());
      keys = {std::move(decoy.salt), std::move(decoy.stored_key), std::move(decoy.server_key),
              decoy.iterations};
    }
    right = co_await shard_->accounts().verify(std::move(keys), std::move(password));
  }
  awaiting_answer_ = false;
  if (phase_ != Phase::open) co_return;
  if (right)
    machine_.give_check(*right && exists, exists && (*found)->disabled);
  else
    machine_.give_up_auth(sasl::Failure::temporary_auth_failure, "Logins cannot be checked at the moment");
  resume();
}

// --- binding ---

void Connection::go_home(const Jid& account, Job then) {
  Shard& home = shard_->core().home(account.bare());
  if (&home == shard_) {
    then();
    return;
  }
  // At the end of the turn, after the last use of this shard's loop by this connection.
  shard_->loop().at_turn_end([self = shared_from_this(), &home, then = std::move(then)]() mutable {
    self->flush();
    if (self->phase_ != Phase::open) return;
    self->stream_->detach();
    self->shard_->release(self);
    home.loop().post([self, &home, then = std::move(then)]() mutable {
      self->shard_ = &home;
      home.adopt(self);
      self->stream_->attach(home.loop(), *self);
      if (home.stopping())
        self->end(*home.stopping());
      else
        then();
    });
  });
}

void Connection::bind(const std::string& resource) {
  awaiting_answer_ = true;
  go_home(machine_.jid(), [self = shared_from_this(), resource] { self->bind_here(resource); });
}

void Connection::bind_here(const std::string& resource) {
  const Jid account = machine_.jid();
  shard_->user(account).when_loaded([self = shared_from_this(), resource](User& user, bool ok) {
    self->awaiting_answer_ = false;
    if (self->phase_ != Phase::open) return;
    if (!ok) {
      self->machine_.refuse_bind({Condition::internal_server_error,
                                  "The account's data cannot be read at the moment", ErrorType::wait});
    } else if (!user.exists()) {
      self->end({StreamCondition::not_authorized, "The account is gone"});
    } else if (auto session = user.bind(self, resource); !session) {
      self->machine_.refuse_bind(session.error());
    } else {
      self->session_ = *session;
      self->machine_.bound((*session)->jid());
    }
    self->resume();
  });
}

// --- stanzas ---

void Connection::received(xml::Document document) {
  const auto& limits = setup_->config.limits;
  if (limits.rate) {
    stanza_bucket_.take(1, static_cast<double>(limits.stanzas_per_second), shard_->loop().now());
    limit_rate();
  }
  auto stanza = Stanza::from(std::move(document));
  Management* management = session_->management();
  const bool message = stanza && stanza->kind() == Kind::message;
  bool repeat = false;
  const Counted counted = management != nullptr ? management->receive(message, repeat) : Counted();
  if (repeat) return;
  if (!stanza) {
    refuse(document.root(), stanza.error());  // NOLINT(bugprone-use-after-move): taken only on success
    return;
  }
  stanza->set_default_lang(machine_.lang());  // RFC 6120 8.1.5
  // RFC 6120 8.1.2.1: the address that the client gives must be its own.
  if (!stanza->from().empty() && stanza->from() != session_->jid() &&
      stanza->from() != session_->user().jid()) {
    end({StreamCondition::invalid_from, "A session may speak only for itself"});
    return;
  }
  shard_->from_session(*session_, std::move(*stanza), message ? counted : Counted());
  if (!counted || message || session_ == nullptr) return;
  if (holds_ > 0)  // a request that waits for its answer, and the stream with it
    session_->management()->wait_for((held_ = counted).number);
}

// What is no stanza of the RFC's (a bad address, a bad type, no id) never gets further than its sender.
void Connection::refuse(const xml::Element& element, const StanzaError& error) {
  const auto attribute = [&](std::string_view name) {
    return element.attribute(name).value_or(std::string_view());
  };
  if (attribute("type") == "error" || (element.name() == "iq" && attribute("type") == "result")) return;
  std::string text;
  xml::Writer writer(text, ns::client);
  writer.open(element.name()).attribute("type", "error").attribute_if("id", attribute("id"));
  writer.attribute("from", session_->jid().domain()).attribute("to", session_->jid().text());
  write_error(writer, error);
  writer.close();
  session_->send_text(text);
}

// XEP-0352 4.2: no answer.
void Connection::client_state(const xml::Element& nonza) {
  const bool active = nonza.name() == "active";
  if (session_ == nullptr || (!active && nonza.name() != "inactive"))
    end({StreamCondition::unsupported_stanza_type, {}});
  else
    session_->set_active(active);
}

Task<void> Connection::run_claimed(std::size_t feature, xml::Document document) {
  const auto self = shared_from_this();
  hold();
  co_await shard_->guest_handler(feature)(self, std::move(document));
  release();
}

}  // namespace starling::server

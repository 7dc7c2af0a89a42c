#include "server/connection/connection.h"

#include "base/log.h"
#include "server/core.h"
#include "server/delay.h"
#include "server/stanza_id.h"
#include "xml/namespaces.h"

namespace starling::server {
namespace {

constexpr int kReadsPerTurn = 8;               // then the others have their turn
constexpr std::size_t kBurst = 8;              // times the queue's limit, for a moment
constexpr std::chrono::seconds kStuck{5};      // without a byte taken
constexpr std::chrono::seconds kCloseTime{4};  // for a peer to take our last words and close its side

}  // namespace

Connection::Connection(Shard& shard, std::unique_ptr<net::ByteStream> stream, Transport transport,
                       std::shared_ptr<net::TlsContext> tls)
    : shard_(&shard),
      stream_(std::move(stream)),
      tls_(std::move(tls)),
      setup_(shard.setup()),
      machine_(setup_->stream),
      last_input_(shard.loop().now()),
      phase_since_(last_input_),
      opened_at_(shard.loop().wall()),
      transport_(transport) {}

Connection::~Connection() = default;

void Connection::start() {
  shard_->adopt(shared_from_this());
  stream_->attach(shard_->loop(), *this);
  if (transport_ == Transport::direct_tls) start_handshake();
}

// --- in ---

void Connection::on_readable() {
  const auto self = shared_from_this();
  for (int i = 0; i < kReadsPerTurn && phase_ != Phase::closed && !reading_paused_; ++i) {
    const net::IoResult got = stream_->read(shard_->scratch());
    if (awaiting_tls_ && stream_->tls() != nullptr) tls_through();
    switch (got.status) {
      case net::IoResult::Status::would_block:
        return;
      case net::IoResult::Status::closed:
        closed();
        return;
      case net::IoResult::Status::error:
        log::debug("connection address={} ended: {}", address(), got.error);
        closed();
        return;
      case net::IoResult::Status::ok:
        break;
    }
    last_input_ = shard_->loop().now();
    pinged_ = false;
    if (phase_ == Phase::closing) continue;  // drained, so that the peer gets to read our last words
    if (session_ == nullptr) {
      bytes_before_login_ += got.bytes;
      if (bytes_before_login_ > setup_->config.limits.bytes_before_login) {
        end({StreamCondition::policy_violation, "Too many bytes before login"});
        continue;
      }
    } else if (setup_->config.limits.rate) {
      byte_bucket_.take(static_cast<double>(got.bytes),
                        static_cast<double>(setup_->config.limits.bytes_per_second), last_input_);
    }
    feed({shard_->scratch().data(), got.bytes});
  }
}

void Connection::feed(std::string_view input) {
  if (feeding_ || phase_ != Phase::open) return;
  const auto self = shared_from_this();
  feeding_ = true;
  std::string held;
  if (!pending_.empty()) {
    held = std::exchange(pending_, {}).append(input);
    input = held;
  }
  try {
    take_machine_output();
    bool more = true;
    while (more && phase_ == Phase::open && !awaiting_tls_ && !rate_wait_ && holds_ == 0) {
      auto event = machine_.next(input);
      take_machine_output();  // before what the event leads to, so that everything is sent in its order
      more = handle(std::move(event), input);
    }
    feeding_ = false;
    take_machine_output();
  } catch (
      const std::exception& problem) {  // the environment's fault; this stream pays for it, the others do not
    feeding_ = false;
    log::error("connection address={}: {}", address(), problem.what());
    end({StreamCondition::internal_server_error, {}});
  }
  if (phase_ != Phase::open) return;
  if (!input.empty()) pending_ = std::string(input);
  if (session_ != nullptr) limit_rate();
  const bool pause = awaiting_answer_ || rate_wait_ || holds_ > 0;
  if (pause != reading_paused_) stream_->pause_reading(reading_paused_ = pause);
}

void Connection::limit_rate() {
  const auto& limits = setup_->config.limits;
  if (!limits.rate || rate_wait_) return;
  const SteadyTime now = shard_->loop().now();
  const Milliseconds wait = std::max(stanza_bucket_.wait(static_cast<double>(limits.stanzas_per_second), now),
                                     byte_bucket_.wait(static_cast<double>(limits.bytes_per_second), now));
  if (wait.count() == 0) return;
  rate_wait_ = true;  // this session is slowed; nobody else notices
  shard_->loop().run_after(wait, [self = shared_from_this()] {
    self->rate_wait_ = false;
    self->resume();
  });
}

void Connection::release() {
  if (--holds_ > 0) return;
  // Its session may have gone on without this connection.
  if (const Counted held = std::exchange(held_, {}))
    if (UserSession* session = shard_->managed(held.session)) session->safe(held, false);
  resume();
}

// --- out ---

std::string& Connection::output() {
  std::string& bytes = output_.bytes();
  if (bytes.empty()) bytes = shard_->take_buffer();
  touch_output();
  return bytes;
}

void Connection::send(Outgoing outgoing) {
  if (phase_ != Phase::open) return;  // a closing connection has left its user
  const Envelope& envelope = outgoing.envelope;
  const Stanza& stanza = *envelope.stanza;
  std::string added;
  if (envelope.archive_id != 0)
    added = stanza_id(session_->jid().bare(), shard_->archive_name(envelope.archive_id));
  if (envelope.stamp_ms != 0) added += delay(envelope.stamp_ms, session_->jid().domain());
  stanza.write(output(), envelope.to, added);
  if (session_->management() != nullptr)
    unasked_ = true;  // taken when the client says so
  else if (stanza.kind() == Kind::message || stanza.is_request())
    output_.ends(std::move(outgoing));
}

void Connection::send_text(std::string_view xml) {
  if (phase_ != Phase::open) return;
  output() += xml;
  unasked_ = true;
}

void Connection::take_machine_output() {
  std::string& out = machine_.output();
  if (out.empty()) return;
  output() += out;
  std::string().swap(out);
}

void Connection::touch_output() {
  if (!write_due_) {
    write_due_ = true;
    shard_->loop().at_turn_end([self = shared_from_this()] {
      self->write_due_ = false;
      self->flush();
    });
  }
}

void Connection::flush() {
  const auto self = shared_from_this();
  request_acknowledgement();
  while (!output_.empty() && phase_ != Phase::closed) {
    const net::IoResult wrote = stream_->write(output_.unsent());
    if (wrote.status == net::IoResult::Status::would_block) break;
    if (wrote.status != net::IoResult::Status::ok) {
      closed();
      return;
    }
    last_output_ = shard_->loop().now();
    output_.advance(wrote.bytes, [this](Outgoing& outgoing) {
      if (session_ != nullptr) session_->user().taken(outgoing);
    });
  }
  if (phase_ == Phase::closed) return;
  if (!output_.empty()) {
    // One turn may queue a lot for a client that reads well (a roster, say); it is too much when it stays.
    const std::size_t limit = setup_->config.limits.queue_bytes, left = output_.size();
    if (left > kBurst * limit || (left > limit && shard_->loop().now() - last_output_ > kStuck)) overflow();
    return;
  }
  shard_->give_buffer(output_.take_empty_buffer());
  for (Job& job : std::exchange(drained_, {})) job();
}

void Connection::on_writable() { flush(); }

void Connection::when_drained(Job job) {
  if (output_.empty() || phase_ != Phase::open) {
    shard_->loop().post(std::move(job));
  } else {
    drained_.push_back(std::move(job));
  }
}

void Connection::overflow() {
  log::warn("session {} does not read what it gets; closed with {} bytes waiting",
            session_ != nullptr ? session_->jid().text() : address(), output_.size());
  closed();
}

// --- the end ---

void Connection::end(const StreamError& error) {
  if (phase_ != Phase::open) return;
  // Whom we do not hear of any more may come back, and so may all when the server does.
  if (error.condition != StreamCondition::connection_timeout &&
      error.condition != StreamCondition::system_shutdown)
    resumable_end_ = false;
  machine_.fail(error);
  begin_close();
}

void Connection::begin_close() {
  if (phase_ != Phase::open) return;
  const auto self = shared_from_this();
  take_machine_output();
  phase_ = Phase::closing;
  phase_since_ = shard_->loop().now();
  pending_.clear();
  if (std::exchange(reading_paused_, false)) stream_->pause_reading(false);
  flush();
  if (phase_ == Phase::closed) return;
  if (!output_.empty()) {  // it does not read: what it did not get goes back, and our last words stay unsaid
    closed();
    return;
  }
  leave_user();
  stream_->shutdown_write();
}

void Connection::leave_user() {
  UserSession* session = std::exchange(session_, nullptr);
  if (session == nullptr) return;
  if (resumable_end_ && session->management() != nullptr && session->management()->resumable())
    session->user().detached(*session, output_.take_untaken());
  else
    session->user().closed(*session, output_.take_untaken());
}

void Connection::closed() {
  if (phase_ == Phase::closed) return;
  const auto self = shared_from_this();
  phase_ = Phase::closed;
  resuming_ = 0;
  stream_->detach();
  leave_user();
  for (Job& job : std::exchange(drained_, {})) shard_->loop().post(std::move(job));
  shard_->core().dismiss(stream_->peer_address());
  shard_->release(self);
}

void Connection::check_time(SteadyTime now) {
  const auto& limits = setup_->config.limits;
  if (phase_ == Phase::closing) {
    if (now - phase_since_ >= kCloseTime) closed();
  } else if (session_ == nullptr) {
    if (now - phase_since_ >= std::chrono::seconds(limits.login_seconds))
      end({StreamCondition::connection_timeout, "Login took too long"});
  } else if (pinged_) {
    if (now - last_input_ >= std::chrono::seconds(limits.idle_ping_seconds + limits.ping_timeout_seconds)) {
      log::info("session {} does not answer; closed", session_->jid().text());
      end({StreamCondition::connection_timeout, "No answer to a ping"});
    }
  } else if (limits.idle_ping_seconds != 0 &&
             now - last_input_ >= std::chrono::seconds(limits.idle_ping_seconds)) {
    pinged_ = true;  // XEP-0199 4.1; whatever comes back counts
    std::string text;
    xml::Writer writer(text, ns::client);
    writer.open("iq").attribute("type", "get").attribute("id", shard_->next_id());
    writer.attribute("from", session_->jid().domain())
        .attribute("to", session_->jid().text())
        .empty_element("ping", ns::ping)
        .close();
    session_->send_idle_text(text);
  } else {
    check_acknowledgements(now);
  }
}

Link::Facts Connection::facts() const {
  const net::TlsInfo* tls = stream_->tls();
  return {.address = stream_->peer_address(),
          .tls = tls != nullptr ? fmt::format("{}, {}", tls->version, tls->cipher) : std::string(),
          .mechanism = std::string(mechanism_),
          .since = opened_at_};
}

std::size_t Connection::memory_bytes() const {
  return sizeof(*this) + output_.memory_bytes() + machine_.memory_bytes() + stream_->memory_bytes() +
         pending_.capacity();
}

}  // namespace starling::server

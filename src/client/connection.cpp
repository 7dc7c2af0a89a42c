#include "client/connection.h"

#include <array>

#include "net/tls.h"

namespace starling::client {
namespace {

constexpr std::size_t kReadBytes = 32768;
constexpr int kReadsPerTurn = 16;  // then the loop's other work has its turn

// What the machine says of a server that speaks XMPP well, but not on terms that we take.
bool is_of_the_negotiation(StreamCondition condition) {
  return condition == StreamCondition::policy_violation ||
         condition == StreamCondition::unsupported_feature ||
         condition == StreamCondition::undefined_condition || condition == StreamCondition::not_authorized;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kWhiteSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kWhiteSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kWhiteSpace) + 1 - first);
}

Ended of_failure(const stream::Failed& failed) {
  const StreamError& error = failed.error;
  const auto condition = to_string(error.condition);
  Ended ended{.condition = error.condition};
  if (failed.by_peer) {
    ended.why = Ended::Why::refused;
    ended.text = error.text.empty()
                     ? fmt::format("the server ended the stream: {}", condition)
                     : fmt::format("the server ended the stream: {} ({})", condition, error.text);
    if (error.condition == StreamCondition::see_other_host) ended.other_host = trimmed(error.text);
  } else {
    ended.why = Ended::Why::could_not_connect;
    ended.text = error.text;
    if (error.text.empty() || !is_of_the_negotiation(error.condition))
      ended.text = fmt::format("what answers there does not speak XMPP as it should: {}{}", condition,
                               error.text.empty() ? "" : fmt::format(" ({})", error.text));
  }
  return ended;
}

std::string advice(sasl::Failure failure) {
  switch (failure) {
    case sasl::Failure::not_authorized:
      return "the server refused the user name or password";
    case sasl::Failure::account_disabled:
      return "the server says that this account is disabled";
    case sasl::Failure::credentials_expired:
      return "the server says that the password has expired";
    case sasl::Failure::temporary_auth_failure:
      return "the server cannot check passwords at the moment; try again later";
    default:
      return fmt::format("the server refused the login: {}", sasl::to_string(failure));
  }
}

// "3 days, 19:16:37"
std::string time_left(WallTime::duration left) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(left).count();
  if (seconds < 0) return "it has expired";
  const auto days = seconds / 86400;
  const auto clock = fmt::format("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
  return days == 0 ? clock : fmt::format("{} {}, {}", days, days == 1 ? "day" : "days", clock);
}

}  // namespace

Connection::Connection(Loop& loop, Dialled dialled, Owner& owner, const stream::Settings& settings,
                       std::shared_ptr<net::TlsContext> tls)
    : loop_(loop),
      stream_(std::move(dialled.stream)),
      owner_(&owner),
      settings_(settings),
      tls_(std::move(tls)),
      machine_(settings),
      last_input_(loop.now()),
      last_output_(last_input_),
      tls_name_(std::move(dialled.tls_name)),
      direct_tls_(dialled.direct_tls) {}

void Connection::start() {
  const auto self = shared_from_this();
  stream_->attach(loop_, *this);
  if (direct_tls_) {
    start_handshake();
  } else {
    machine_.start();
    take_machine_output();
  }
}

// --- in ---

void Connection::on_readable() {
  const auto self = shared_from_this();
  std::array<char, kReadBytes> buffer;
  for (int i = 0; i < kReadsPerTurn && owner_ != nullptr; ++i) {
    const net::IoResult got = stream_->read(buffer);
    if (awaiting_tls_ && stream_->tls() != nullptr) tls_through();
    if (owner_ == nullptr || got.status == net::IoResult::Status::would_block) return;
    if (got.status != net::IoResult::Status::ok) {
      finish(finishing_ ? std::move(last_words_) : why_lost(got));
      return;
    }
    last_input_ = loop_.now();
    heard_ = true;
    feed({buffer.data(), got.bytes});
  }
}

void Connection::feed(std::string_view input) {
  if (feeding_ || finishing_ || owner_ == nullptr) return;
  const auto self = shared_from_this();
  struct Guard {
    bool& flag;
    explicit Guard(bool& set) : flag(set) { flag = true; }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { flag = false; }
  } const guard(feeding_);
  std::string held;
  if (!pending_.empty()) {
    held = std::exchange(pending_, {}).append(input);
    input = held;
  }
  bool more = true;
  while (more && owner_ != nullptr && !finishing_ && !awaiting_tls_) {
    auto event = machine_.next(input);
    take_machine_output();
    more = handle(std::move(event), input);
  }
  if (owner_ == nullptr) return;
  take_machine_output();
  if (!input.empty() && !finishing_) pending_ = std::string(input);
}

bool Connection::handle(stream::Event event, std::string_view& input) {
  if (std::holds_alternative<stream::NeedInput>(event) || std::holds_alternative<stream::Waiting>(event))
    return false;
  if (auto* stanza = std::get_if<stream::Received>(&event)) {
    owner_->received(std::move(stanza->document));
  } else if (auto* nonza = std::get_if<stream::Claimed>(&event)) {
    owner_->claimed(std::move(nonza->document));
  } else if (std::holds_alternative<stream::StartTls>(event)) {
    // What follows was sent in the clear; the machine refuses it.
    if (input.empty()) {
      flush();
      if (owner_ != nullptr) start_handshake();
    } else {
      machine_.tls_established({}, std::exchange(input, {}));
    }
  } else if (const auto* login = std::get_if<stream::Authenticated>(&event)) {
    owner_->authenticated(login->mechanism);
  } else if (auto* ready = std::get_if<stream::Ready>(&event)) {
    owner_->ready(std::move(*ready));
  } else if (const auto* refused = std::get_if<stream::AuthFailed>(&event)) {
    auto text = refused->condition == sasl::Failure::aborted ? refused->text : advice(refused->condition);
    if (!refused->text.empty() && refused->condition != sasl::Failure::aborted)
      text += fmt::format(" (\"{}\")", refused->text);
    const bool later = refused->condition == sasl::Failure::temporary_auth_failure;
    finishing_ = true;
    last_words_ = {later ? Ended::Why::refused : Ended::Why::not_authorized, std::move(text)};
  } else if (const auto* failed = std::get_if<stream::Failed>(&event)) {
    finishing_ = true;
    last_words_ = of_failure(*failed);
  } else if (std::holds_alternative<stream::Closed>(event)) {
    owner_->peer_closed();
    finishing_ = true;
    last_words_ = closing_ ? Ended{} : Ended{Ended::Why::lost, "the server closed the stream"};
  }
  if (finishing_) {
    take_machine_output();
    flush();
  }
  return owner_ != nullptr && !finishing_;
}

// --- TLS ---

void Connection::start_handshake() {
  if (!tls_) return end(Ended::Why::could_not_connect, "TLS is asked for and is switched off here");
  const auto domain = domain_to_ascii(settings_.jid.domain());
  if (!domain) return end(Ended::Why::could_not_connect, domain.error().message);
  if (auto begun = stream_->start_tls_client(tls_, *domain, tls_name_); !begun)
    return end(Ended::Why::could_not_connect, begun.error().message);
  awaiting_tls_ = true;
  if (stream_->tls() != nullptr) tls_through();  // a stream that is through at once
}

void Connection::tls_through() {
  awaiting_tls_ = false;
  const net::TlsInfo& info = *stream_->tls();
  owner_->trace(Trace::tls, fmt::format("Using {}, cipher {}", info.version, info.cipher));
  if (const auto* peer = stream_->tls_peer(); peer != nullptr && peer->certificate.not_after != WallTime{})
    owner_->trace(Trace::tls, "CERT: Time until certificate expiration: " +
                                  time_left(peer->certificate.not_after - loop_.wall()));
  if (direct_tls_) {
    machine_.assume_tls({info.exporter_binding, info.end_point_binding});
    machine_.start();
  } else {
    machine_.tls_established({info.exporter_binding, info.end_point_binding});
  }
  take_machine_output();
  feed({});
}

Ended Connection::why_lost(const net::IoResult& result) const {
  const std::string_view reason =
      result.status == net::IoResult::Status::error ? result.error : "the server closed the connection";
  if (awaiting_tls_) {
    if (const auto* peer = stream_->tls_peer(); peer != nullptr && !peer->refusal.empty())
      return {Ended::Why::untrusted, peer->refusal};
    return {Ended::Why::could_not_connect, fmt::format("TLS failed: {}", reason)};
  }
  if (closing_ && result.status == net::IoResult::Status::closed) return {};  // without a word, but in peace
  return {machine_.view().bound ? Ended::Why::lost : Ended::Why::could_not_connect, std::string(reason)};
}

// --- out ---

void Connection::send(std::string_view xml) {
  if (owner_ == nullptr || closing_ || finishing_) return;
  output_ += xml;
  touch_output();
}

void Connection::resumed(const Jid& self) { machine_.bound(self); }
void Connection::bind() {
  machine_.bind();
  take_machine_output();
}

void Connection::take_machine_output() {
  std::string& out = machine_.output();
  if (out.empty()) return;
  if (owner_ != nullptr) owner_->trace(Trace::send, out);
  output_ += std::exchange(out, {});
  touch_output();
}

void Connection::touch_output() {
  if (std::exchange(write_due_, true)) return;
  loop_.at_turn_end([self = shared_from_this()] {
    self->write_due_ = false;
    self->flush();
  });
}

void Connection::flush() {
  if (owner_ == nullptr) return;
  const auto self = shared_from_this();
  while (sent_ < output_.size()) {
    const net::IoResult wrote = stream_->write(std::string_view(output_).substr(sent_));
    if (wrote.status == net::IoResult::Status::would_block) return;
    if (wrote.status != net::IoResult::Status::ok) {
      finish(finishing_ ? std::move(last_words_) : why_lost(wrote));
      return;
    }
    sent_ += wrote.bytes;
    last_output_ = loop_.now();
  }
  output_.clear();
  sent_ = 0;
  if (finishing_) {
    stream_->shutdown_write();
    finish(std::move(last_words_));
  }
}

// --- the end ---

void Connection::close() {
  if (owner_ == nullptr || closing_) return;
  closing_ = true;
  // In the middle of a handshake nothing can be said; and who has said nothing yet has nothing to close.
  if (awaiting_tls_ || !heard_) return finish({});
  machine_.close();
  take_machine_output();
}

void Connection::fail(const StreamError& error) {
  if (owner_ == nullptr || finishing_) return;
  finishing_ = true;
  last_words_ = of_failure({error, false});
  machine_.fail(error);
  take_machine_output();
}

void Connection::end(Ended::Why why, std::string text) { finish({why, std::move(text)}); }

void Connection::finish(Ended ended) {
  const auto self = shared_from_this();
  Owner* owner = std::exchange(owner_, nullptr);
  if (owner == nullptr) return;
  stream_->detach();
  owner->over(std::move(ended));
}

void Connection::abandon() {
  if (std::exchange(owner_, nullptr) != nullptr) stream_->detach();
}

}  // namespace starling::client

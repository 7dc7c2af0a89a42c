#include "client/ext/in_band_bytestreams.h"

#include <algorithm>

#include "base/crypto.h"
#include "payload/values.h"
#include "xml/namespaces.h"

namespace starling::client {
namespace {

constexpr std::size_t kLargestBlock = 65535;

// NMTOKEN, of which only ASCII is looked at.
bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || std::isalnum(byte) != 0 || std::string_view(".-_:").contains(c);
  });
}

// With the types that XEP-0047 gives, which are not the RFC's.
StanzaError refusal(Condition condition, std::string text = {}) {
  return {condition, std::move(text), ErrorType::cancel, {}};
}

RequestError is_over(std::string text) { return {RequestError::Kind::disconnected, {}, std::move(text)}; }

// What is wrong with the chunk, or its bytes.
std::expected<std::string, StanzaError> read_chunk(const InBandBytestreams::Stream& stream,
                                                   std::uint16_t expected, const xml::Element& data) {
  const auto seq = payload::parse_int(data.attribute("seq").value_or(""));
  if (!seq || *seq < 0 || *seq > UINT16_MAX)
    return std::unexpected(refusal(Condition::bad_request, "seq is missing, or no number"));
  if (*seq != expected)
    return std::unexpected(
        refusal(Condition::unexpected_request, fmt::format("seq {} where {} was due", *seq, expected)));
  auto bytes = crypto::base64_decode(data.text());
  if (!bytes) return std::unexpected(refusal(Condition::bad_request, "this is no Base64"));
  if (bytes->size() > stream.block_size)
    return std::unexpected(
        refusal(Condition::bad_request, fmt::format("more than {} bytes in a chunk", stream.block_size)));
  if (bytes->size() > stream.most_bytes - stream.received)
    return std::unexpected(
        refusal(Condition::policy_violation, fmt::format("more than {} bytes", stream.most_bytes)));
  return *std::move(bytes);
}

std::string close_element(std::string_view sid) {
  std::string out;
  xml::Writer(out).open("close", ns::ibb).attribute("sid", sid).close();
  return out;
}

}  // namespace

InBandBytestreams::InBandBytestreams(Client& client) : client_(client) {
  client.on_request(Type::set, "open", ns::ibb,
                    [this](const Stanza& iq, const Responder& respond) { handle_open(iq, respond); });
  client.on_request(Type::set, "close", ns::ibb,
                    [this](const Stanza& iq, const Responder& respond) { handle_close(iq, respond); });
  client.on_request(Type::set, "data", ns::ibb, [this](const Stanza& iq, const Responder& respond) {
    handle_data(iq, *iq.payload(),
                [&](const auto& error) { error ? respond.error(*error) : respond.result(); });
  });
  client.on.message([this](const Stanza& message) {
    const auto* data = message.child("data", ns::ibb);
    if (data == nullptr || message.type() == Type::error || message.type() == Type::groupchat) return;
    handle_data(message, *data, [&](const auto& error) {
      if (!error) return;
      auto reply = Stanza::error_reply(message, *error);
      reply.set_from({});
      std::string out;
      reply.write(out);
      client_.send_xml(out);
    });
  });
  client.on.presence_unavailable([this](const Stanza& presence) {
    break_all([&](const Stream& stream) { return stream.peer == presence.from(); },
              fmt::format("{} went offline", presence.from().text()));
  });
  client.on_session_over([this] { break_all([](const Stream&) { return true; }, "the session is over"); });
}

InBandBytestreams::~InBandBytestreams() {
  for (auto& [id, entry] : entries_) client_.loop().cancel(entry.idle_timer);
}

Extension::Info InBandBytestreams::info() const {
  return {"XEP-0047", "In-Band Bytestreams", {ns::ibb}, "2.0.1", "carries bytes both ways inside of stanzas"};
}

const InBandBytestreams::Stream* InBandBytestreams::find(std::uint64_t stream) const {
  const auto found = entries_.find(stream);
  return found != entries_.end() ? &found->second.stream : nullptr;
}

InBandBytestreams::Entries::iterator InBandBytestreams::find_peer(const Jid& peer, std::string_view sid) {
  return std::ranges::find_if(entries_, [&](const auto& one) {
    return one.second.stream.sid == sid && one.second.stream.peer == peer;
  });
}

// --- out ---

Request<void> InBandBytestreams::send(const Jid& to, std::string data) {
  Request<void> request;
  open(to).then([this, done = request.resolver(), data = std::move(data)](Outcome<Stream> stream) mutable {
    if (!stream) return done(std::unexpected(std::move(stream.error())));
    write(stream->id, std::move(data)).then([this, done, id = stream->id](Outcome<void> written) {
      if (!written) return done(std::move(written));
      close(id).then([done](Outcome<void> outcome) { done(std::move(outcome)); });
    });
  });
  return request;
}

Request<InBandBytestreams::Stream> InBandBytestreams::open(const Jid& to) {
  Request<Stream> request;
  Stream stream;
  stream.peer = to;
  stream.sid = client_.next_id();
  stream.block_size = std::clamp<std::size_t>(settings.block_size, 1, kLargestBlock);
  stream.most_bytes = UINT64_MAX;
  try_open(std::move(stream), request.resolver());
  return request;
}

void InBandBytestreams::try_open(Stream stream, const Request<Stream>::Resolver& done) {
  std::string open;
  xml::Writer(open)
      .open("open", ns::ibb)
      .attribute("block-size", std::to_string(stream.block_size))
      .attribute("sid", stream.sid)
      .attribute("stanza", "iq")
      .close();
  const Jid to = stream.peer;
  client_.request(Type::set, to, open)
      .then([this, done, stream = std::move(stream)](const Outcome<StanzaPtr>& answer) mutable {
        if (!answer) {
          const bool smaller = answer.error().error.condition == Condition::resource_constraint &&
                               stream.block_size / 2 >= std::max<std::size_t>(settings.smallest_block, 1);
          if (!smaller) return done(std::unexpected(answer.error()));
          stream.block_size /= 2;
          return try_open(std::move(stream), done);
        }
        stream.id = ++last_id_;
        entries_[stream.id].stream = stream;
        client_.raise(opened, stream);
        done(std::move(stream));
      });
}

Request<void> InBandBytestreams::write(std::uint64_t stream, std::string data) {
  Request<void> request;
  const auto at = entries_.find(stream);
  if (at == entries_.end() || at->second.closing) {
    request.resolver()(std::unexpected(is_over("the stream is closed")));
  } else {
    at->second.writes.push_back(
        {.data = std::move(data), .taken = 0, .acknowledged = 0, .done = request.resolver()});
    pump(stream);
  }
  return request;
}

Request<void> InBandBytestreams::close(std::uint64_t stream) {
  Request<void> request;
  const auto at = entries_.find(stream);
  if (at == entries_.end() || at->second.closing) {
    request.resolver()(std::unexpected(is_over("the stream is closed")));
  } else {
    at->second.closing = request.resolver();
    pump(stream);
  }
  return request;
}

// Any call in here may end the stream, so it is looked up anew each time.
void InBandBytestreams::pump(std::uint64_t id) {
  for (;;) {
    const auto at = entries_.find(id);
    if (at == entries_.end()) return;
    Entry& entry = at->second;
    if (!entry.writes.empty() && entry.writes.front().acknowledged == entry.writes.front().data.size()) {
      const auto done = std::move(entry.writes.front().done);
      entry.writes.pop_front();
      done({});
      continue;
    }
    if (entry.writes.empty() && entry.closing && !entry.close_sent) return send_close(id);
    const auto next =
        std::ranges::find_if(entry.writes, [](const Write& one) { return one.taken < one.data.size(); });
    if (next == entry.writes.end() || entry.on_the_way >= std::max<std::size_t>(settings.window, 1)) return;

    const auto chunk = std::string_view(next->data).substr(next->taken, entry.stream.block_size);
    next->taken += chunk.size();
    ++entry.on_the_way;
    std::string data;
    xml::Writer(data)
        .open("data", ns::ibb)
        .attribute("seq", std::to_string(entry.next_out++))
        .attribute("sid", entry.stream.sid)
        .text(crypto::base64_encode(chunk))
        .close();
    client_.request(Type::set, entry.stream.peer, data)
        .then([this, id, size = chunk.size()](const Outcome<StanzaPtr>& answer) {
          acknowledged(id, size, answer);
        });
  }
}

void InBandBytestreams::acknowledged(std::uint64_t id, std::size_t bytes, const Outcome<StanzaPtr>& answer) {
  const auto at = entries_.find(id);
  if (at == entries_.end()) return;
  if (!answer) return break_off(id, fmt::format("a chunk was not taken: {}", answer.error().message()));
  Entry& entry = at->second;
  --entry.on_the_way;
  entry.stream.sent += bytes;
  for (Write& write : entry.writes) {  // the peer answers in the order in which it was asked
    const auto its = std::min(bytes, write.data.size() - write.acknowledged);
    write.acknowledged += its;
    bytes -= its;
  }
  pump(id);
}

void InBandBytestreams::send_close(std::uint64_t id) {
  Entry& entry = entries_.at(id);
  entry.close_sent = true;
  client_.request(Type::set, entry.stream.peer, close_element(entry.stream.sid))
      .then([this, id](const Outcome<StanzaPtr>&) { end(id, {}); });
}

// --- in ---

void InBandBytestreams::handle_open(const Stanza& iq, const Responder& respond) {
  const auto& open = *iq.payload();
  const auto sid = open.attribute("sid").value_or("");
  const auto size = payload::parse_int(open.attribute("block-size").value_or(""));
  const auto stanza = open.attribute("stanza").value_or("iq");
  if (!is_token(sid) || !size || *size < 1 || *size > static_cast<int>(kLargestBlock) ||
      (stanza != "iq" && stanza != "message"))
    return respond.error({Condition::bad_request, {}, {}, {}});
  if (static_cast<std::size_t>(*size) > settings.largest_block)
    return respond.error({Condition::resource_constraint, {}, ErrorType::modify, {}});
  if (find_peer(iq.from(), sid) != entries_.end())
    return respond.error(refusal(Condition::not_acceptable, "that stream is open"));
  const auto incoming =
      std::ranges::count_if(entries_, [](const auto& one) { return one.second.stream.incoming; });
  if (std::cmp_greater_equal(incoming, settings.incoming))
    return respond.error(refusal(Condition::not_acceptable, "too many streams are open"));

  Stream offer;
  offer.id = ++last_id_;
  offer.peer = iq.from();
  offer.sid = sid;
  offer.block_size = static_cast<std::size_t>(*size);
  offer.incoming = true;
  offer.most_bytes = settings.most_bytes;
  if (!accept || !accept(offer)) return respond.error(refusal(Condition::not_acceptable));
  Entry& entry = entries_[offer.id];
  entry.stream = offer;
  arm_idle(entry);
  respond.result();
  client_.raise(opened, offer);
}

void InBandBytestreams::handle_data(const Stanza& stanza, const xml::Element& data, const Answer& answer) {
  const auto at = find_peer(stanza.from(), data.attribute("sid").value_or(""));
  if (at == entries_.end()) return answer(refusal(Condition::item_not_found));
  const std::uint64_t id = at->first;
  Entry& entry = at->second;
  auto bytes = read_chunk(entry.stream, entry.next_in, data);
  if (!bytes) {
    answer(bytes.error());
    return break_off(
        id, fmt::format("{} sent a chunk that is none: {}", stanza.from().text(), bytes.error().text));
  }
  ++entry.next_in;
  entry.stream.received += bytes->size();
  arm_idle(entry);
  client_.raise(received, Stream(entry.stream), *bytes);
  answer({});
}

void InBandBytestreams::handle_close(const Stanza& iq, const Responder& respond) {
  const auto at = find_peer(iq.from(), iq.payload()->attribute("sid").value_or(""));
  if (at == entries_.end()) return respond.error(refusal(Condition::item_not_found));
  respond.result();
  end(at->first, {Closed::Why::by_peer, {}});
}

void InBandBytestreams::arm_idle(Entry& entry) {
  if (!entry.stream.incoming) return;
  client_.loop().cancel(entry.idle_timer);
  entry.idle_timer = client_.run_after(
      settings.idle, [this, id = entry.stream.id] { break_off(id, "nothing came for too long"); });
}

// --- the end ---

void InBandBytestreams::break_off(std::uint64_t id, std::string text) {
  const auto& stream = entries_.at(id).stream;
  client_.request(Type::set, stream.peer, close_element(stream.sid));
  end(id, {Closed::Why::broken, std::move(text)});
}

void InBandBytestreams::end(std::uint64_t id, const Closed& how) {
  auto node = entries_.extract(id);
  if (node.empty()) return;
  Entry& entry = node.mapped();
  client_.loop().cancel(entry.idle_timer);
  client_.guarded([&] { client_.raise(closed, entry.stream, how); });
  const std::string why = how.why == Closed::Why::broken ? how.text : "the peer closed the stream";
  for (const auto& write : entry.writes) client_.guarded([&] { write.done(std::unexpected(is_over(why))); });
  if (!entry.closing) return;
  client_.guarded(
      [&] { (*entry.closing)(entry.writes.empty() ? Outcome<void>() : std::unexpected(is_over(why))); });
}

template <class Predicate>
void InBandBytestreams::break_all(Predicate which, const std::string& text) {
  std::vector<std::uint64_t> ids;
  for (const auto& [id, entry] : entries_)
    if (which(entry.stream)) ids.push_back(id);
  for (const auto id : ids) end(id, {Closed::Why::broken, text});
}

}  // namespace starling::client

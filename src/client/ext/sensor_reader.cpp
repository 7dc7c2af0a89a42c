#include "client/ext/sensor_reader.h"

#include <algorithm>

#include "client/ext/iot.h"
#include "payload/timestamps.h"
#include "xml/namespaces.h"

namespace starling::client {
namespace {

using payload::SensorFlag;

bool is_historical(const payload::SensorField& field) {
  for (auto flag = std::to_underlying(SensorFlag::historical_second);
       flag <= std::to_underlying(SensorFlag::historical_other); ++flag)
    if (field.flags.has(static_cast<SensorFlag>(flag))) return true;
  return false;
}

std::string seconds(Milliseconds time) {
  return fmt::format("{} s", static_cast<double>(time.count()) / 1000);
}

// What the device says of it: in the stanza error, or in place of it, as earlier versions had it.
RequestError why_refused(RequestError error) {
  if (!error.answer) return error;
  const auto* element = error.answer->child("rejected", ns::sensor_data);
  if (element == nullptr) return error;
  const auto message = payload::parse_sensor_message(*element);
  const auto* rejected = message ? std::get_if<payload::SensorRejected>(&*message) : nullptr;
  if (error.error.text.empty() && rejected != nullptr) error.error.text = rejected->error;
  if (error.answer->child("error", ns::client) == nullptr) error.error.condition = Condition::not_acceptable;
  return error;
}

// The message, and what is in it.
std::size_t count(const payload::SensorMessage& message) {
  std::size_t all = 1;
  if (const auto* failure = std::get_if<payload::SensorFailure>(&message)) all += failure->errors.size();
  if (const auto* fields = std::get_if<payload::SensorFields>(&message))
    for (const auto& node : fields->nodes)
      for (const auto& timestamp : node.timestamps) all += timestamp.fields.size();
  return all;
}

}  // namespace

struct SensorReader::Active {
  Jid device;
  payload::SensorRequest request;
  Progress progress;
  Request<Reading>::Resolver done;
  std::optional<WallTime> from, to;  // of historical values
  Reading reading;
  std::size_t fields = 0;  // taken, and messages
  std::size_t bytes = 0;
  bool heard = false;   // anything beside the answer to the request
  bool queued = false;  // and not started
  Loop::TimerId timer = 0;
};

SensorReader::SensorReader(Client& client) : client_(client) {
  client.on.message([this](const Stanza& message) {
    if (message.type() == Type::error || active_.empty()) return;
    for (const auto& child : message.element().children()) {
      if (child.ns() != ns::sensor_data) continue;
      const auto parsed = payload::parse_sensor_message(child);
      if (parsed) {
        handle(message.from(), *parsed, child.bytes().size());
      } else {
        client_.trace(Trace::warning, fmt::format("{}: {}", message.from().text(), parsed.error().message));
      }
    }
  });
  client.on.presence_unavailable([this](const Stanza& presence) {
    const auto& from = presence.from();
    fail_all([&](const Active& active) { return active.device == from; },
             {RequestError::Kind::refused,
              {Condition::recipient_unavailable,
               fmt::format("{} went offline in the middle of the readout", from.text()),
               {},
               {}},
              {}});
  });
  client.on.session_end([this] {
    for (const auto& [seqnr, active] : active_) tell_to_stop(seqnr);
  });
  client.on_session_over([this] {
    fail_all([](const Active&) { return true; },
             {RequestError::Kind::disconnected, {}, "the connection was lost in the middle of the readout"});
  });
}

SensorReader::~SensorReader() {
  for (const auto& [seqnr, active] : active_) client_.loop().cancel(active->timer);
}

// No feature: who has it answers requests.
Extension::Info SensorReader::info() const {
  return {"XEP-0323", "Internet of Things - Sensor Data (reader)", {}, "0.6", "reads the fields of devices"};
}

std::int32_t SensorReader::next_seqnr() {
  do {
    last_seqnr_ = last_seqnr_ == INT32_MAX ? 1 : last_seqnr_ + 1;
  } while (active_.contains(last_seqnr_));
  return last_seqnr_;
}

SensorReader::Readout SensorReader::read(const Jid& device, payload::SensorRequest request,
                                         Progress progress) {
  Readout readout{next_seqnr(), {}};
  request.seqnr = readout.seqnr;
  const auto zone = local_zone(client_.loop().wall());
  const auto bound = [&](std::string_view text) {
    const auto time = payload::parse_timestamp(text, zone);
    return time ? std::optional(*time) : std::nullopt;
  };
  const auto xml = to_xml(request);
  active_.emplace(readout.seqnr, std::make_shared<Active>(Active{.device = device,
                                                                 .request = request,
                                                                 .progress = std::move(progress),
                                                                 .done = readout.result.resolver(),
                                                                 .from = bound(request.from),
                                                                 .to = bound(request.to),
                                                                 .reading = {}}));
  client_.request(Type::get, device, xml, settings.timeout)
      .then([this, seqnr = readout.seqnr](const Outcome<StanzaPtr>& answer) { answered(seqnr, answer); });
  return readout;
}

Request<void> SensorReader::cancel(std::int32_t seqnr) {
  const auto found = active_.find(seqnr);
  if (found == active_.end()) {
    Request<void> request;
    request.resolver()(std::unexpected(RequestError{
        RequestError::Kind::refused, {Condition::item_not_found, "the readout is over", {}, {}}, {}}));
    return request;
  }
  return client_.request(Type::get, found->second->device, to_xml(payload::SensorCancel{seqnr}))
      .map([this, seqnr](const StanzaPtr&) -> Outcome<void> {
        if (const auto at = active_.find(seqnr); at != active_.end()) {
          at->second->reading.cancelled = true;
          finish(seqnr, std::move(at->second->reading));
        }
        return {};
      });
}

void SensorReader::answered(std::int32_t seqnr, const Outcome<StanzaPtr>& answer) {
  const auto found = active_.find(seqnr);
  if (found == active_.end()) return;  // all of it came before the answer
  const auto active = found->second;
  if (!answer) {
    if (answer.error().kind == RequestError::Kind::timed_out && active->heard) return;
    return finish(seqnr, std::unexpected(why_refused(answer.error())));
  }
  bool queued = false;
  if (const auto* element = (*answer)->payload()) {
    const auto message = payload::parse_sensor_message(*element);
    const auto* accepted = message ? std::get_if<payload::SensorAccepted>(&*message) : nullptr;
    if (accepted == nullptr)
      return finish(seqnr, malformed(fmt::format("{} answers with something else than <accepted/>",
                                                 active->device.text())));
    queued = accepted->queued;
  }
  active->queued = queued && !active->heard;
  arm(seqnr);
  if (active->progress.accepted) active->progress.accepted(queued);
}

void SensorReader::handle(const Jid& from, const payload::SensorMessage& message, std::size_t bytes) {
  const auto found = active_.find(std::visit([](const auto& one) { return one.seqnr; }, message));
  if (found == active_.end() || found->second->device != from) return;
  const auto active = found->second;
  const auto seqnr = found->first;
  active->heard = true;
  active->queued = false;
  arm(seqnr);
  if (!has_room(*active, count(message), bytes)) return;
  if (const auto* fields = std::get_if<payload::SensorFields>(&message)) {
    take(active, *fields);
  } else if (const auto* failure = std::get_if<payload::SensorFailure>(&message)) {
    take(active, *failure);
  } else if (std::holds_alternative<payload::SensorStarted>(message)) {
    if (active->progress.started) active->progress.started();
  } else if (std::holds_alternative<payload::SensorDone>(message)) {
    finish(seqnr, std::move(active->reading));
  }
}

bool SensorReader::has_room(Active& active, std::size_t fields, std::size_t bytes) {
  active.fields += fields;
  active.bytes += bytes;
  std::string excess;
  if (active.fields > settings.most_fields) excess = fmt::format("{} fields", settings.most_fields);
  if (active.bytes > settings.most_bytes) excess = fmt::format("{} bytes", settings.most_bytes);
  if (excess.empty()) return true;
  const auto seqnr = active.request.seqnr;
  tell_to_stop(seqnr);
  finish(seqnr, malformed(fmt::format("{} sends more than {}", active.device.text(), excess)));
  return false;
}

void SensorReader::take(const ActivePtr& active, payload::SensorFields fields) {
  const auto seqnr = fields.seqnr;
  filter(*active, fields);
  std::ranges::copy(fields.nodes, std::back_inserter(active->reading.nodes));
  if (active->progress.fields) active->progress.fields(fields);
  if (fields.done) finish(seqnr, std::move(active->reading));
}

void SensorReader::take(const ActivePtr& active, const payload::SensorFailure& failure) {
  std::ranges::copy(failure.errors, std::back_inserter(active->reading.problems));
  if (active->progress.failure) active->progress.failure(failure);
  if (failure.done) finish(failure.seqnr, std::move(active->reading));
}

void SensorReader::filter(const Active& active, payload::SensorFields& fields) const {
  const auto zone = local_zone(client_.loop().wall());
  for (auto& node : fields.nodes) {
    for (auto& timestamp : node.timestamps) {
      const auto at = payload::parse_timestamp(timestamp.value, zone);
      const bool within = !at || ((!active.from || *at >= *active.from) && (!active.to || *at <= *active.to));
      std::erase_if(timestamp.fields, [&](const payload::SensorField& field) {
        return !active.request.selects(field) || (!within && is_historical(field));
      });
    }
    std::erase_if(node.timestamps, [](const auto& timestamp) { return timestamp.fields.empty(); });
  }
  std::erase_if(fields.nodes, [](const auto& node) { return node.timestamps.empty(); });
}

// From now on, this much silence ends it.
void SensorReader::arm(std::int32_t seqnr) {
  auto& active = *active_.at(seqnr);
  auto patience = settings.timeout;
  if (active.queued) {
    const auto now = client_.loop().wall();
    const auto when = payload::parse_timestamp(active.request.when, local_zone(now));
    patience = settings.queue_timeout;
    if (when && *when > now) patience += std::chrono::ceil<Milliseconds>(*when - now);
  }
  client_.loop().cancel(active.timer);
  active.timer = client_.run_after(patience, [this, seqnr, patience] {
    const auto& silent = *active_.at(seqnr);
    auto text = fmt::format("{} did not end the readout: nothing came for {}", silent.device.text(),
                            seconds(patience));
    if (!silent.reading.problems.empty())
      text += fmt::format(" after it said \"{}\"", silent.reading.problems.back().text);
    tell_to_stop(seqnr);
    finish(seqnr, std::unexpected(RequestError{RequestError::Kind::timed_out, {}, std::move(text)}));
  });
}

void SensorReader::finish(std::int32_t seqnr, Outcome<Reading> outcome) {
  const auto node = active_.extract(seqnr);
  if (node.empty()) return;
  client_.loop().cancel(node.mapped()->timer);
  node.mapped()->done(std::move(outcome));
}

void SensorReader::tell_to_stop(std::int32_t seqnr) {
  client_.request(Type::get, active_.at(seqnr)->device, to_xml(payload::SensorCancel{seqnr}));
}

template <class Predicate>
void SensorReader::fail_all(Predicate which, const RequestError& error) {
  std::vector<std::int32_t> ended;
  for (const auto& [seqnr, active] : active_)
    if (which(*active)) ended.push_back(seqnr);
  for (const auto seqnr : ended) client_.guarded([&] { finish(seqnr, std::unexpected(error)); });
}

}  // namespace starling::client

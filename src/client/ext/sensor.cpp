#include "client/ext/sensor.h"

#include <algorithm>

#include "client/ext/iot.h"
#include "payload/timestamps.h"
#include "xml/namespaces.h"

namespace starling::client {
namespace {

void refuse(const Responder& respond, std::int32_t seqnr, const StanzaError& error) {
  respond.error(error, to_xml(payload::SensorRejected{seqnr, error.text}));
}

bool is_wanted(const payload::SensorRequest& request, std::string_view field) {
  return request.fields.empty() || std::ranges::find(request.fields, field) != request.fields.end();
}

// Fields, one after the other, in as many messages as they need.
class Parts {
 public:
  Parts(std::int32_t seqnr, std::size_t most) : seqnr_(seqnr), most_(std::max<std::size_t>(most, 1)) {
    parts_.push_back({.seqnr = seqnr_, .done = false, .nodes = {}});
  }

  void add(const payload::IotNode& node, const std::string& timestamp, const payload::SensorField& field) {
    if (in_last_ == most_) {
      parts_.push_back({.seqnr = seqnr_, .done = false, .nodes = {}});
      in_last_ = 0;
    }
    ++in_last_;
    auto& nodes = parts_.back().nodes;
    if (nodes.empty() || nodes.back().node != node) nodes.push_back({.node = node, .timestamps = {}});
    auto& timestamps = nodes.back().timestamps;
    if (timestamps.empty() || timestamps.back().value != timestamp)
      timestamps.push_back({.value = timestamp, .fields = {}});
    timestamps.back().fields.push_back(field);
  }

  std::vector<payload::SensorFields> take() && { return std::move(parts_); }

 private:
  std::int32_t seqnr_;
  std::size_t most_, in_last_ = 0;
  std::vector<payload::SensorFields> parts_;
};

}  // namespace

// --- nodes ---

void Sensor::Node::add_field(payload::SensorField field) {
  using enum payload::SensorFlag;
  if (field.flags == payload::SensorFlags()) field.flags = {momentary, automatic_readout};
  fields_.push_back(std::move(field));
}

const payload::SensorField* Sensor::Node::find(std::string_view name) const {
  const auto found = std::ranges::find(fields_, name, &payload::SensorField::name);
  return found != fields_.end() ? &*found : nullptr;
}

bool Sensor::Node::has_field(std::string_view name) const { return find(name) != nullptr; }

bool Sensor::Node::set(std::string_view field, std::string value) {
  const auto found = std::ranges::find(fields_, field, &payload::SensorField::name);
  if (found == fields_.end()) return false;
  found->value.text = std::move(value);
  return true;
}

bool Sensor::Node::record(std::string_view field, WallTime at, std::string value,
                          payload::SensorFlags flags) {
  const auto* known = find(field);
  if (known == nullptr) return false;
  auto past = *known;
  past.value.text = std::move(value);
  past.flags = flags;
  history_.emplace_back(at, std::move(past));
  while (history_.size() > most_history) history_.pop_front();
  return true;
}

// --- requests ---

// What a Done holds on to.
struct Sensor::Refreshing {
  std::weak_ptr<Sensor*> sensor;
  std::uint64_t readout;
  Node* node;
  bool ended = false;

  Refreshing(std::weak_ptr<Sensor*> of, std::uint64_t id, Node& its)
      : sensor(std::move(of)), readout(id), node(&its) {}
  Refreshing(const Refreshing&) = delete;
  Refreshing& operator=(const Refreshing&) = delete;
  ~Refreshing() { end(fail(Errc::io, "The values could not be read.")); }

  void end(const Result<void>& how) {
    if (std::exchange(ended, true)) return;
    if (const auto alive = sensor.lock()) (*alive)->refreshed(readout, *node, how);
  }
};

Sensor::Sensor(Client& client) : client_(client), self_(std::make_shared<Sensor*>(this)) {
  client.on_request(Type::get, "req", ns::sensor_data,
                    [this](const Stanza& iq, const Responder& respond) { handle_request(iq, respond); });
  client.on_request(Type::get, "cancel", ns::sensor_data,
                    [this](const Stanza& iq, const Responder& respond) { handle_cancel(iq, respond); });
}

Sensor::~Sensor() {
  self_.reset();
  for (auto& [id, readout] : readouts_) client_.loop().cancel(readout.timer);
}

Extension::Info Sensor::info() const {
  return {"XEP-0323",
          "Internet of Things - Sensor Data",
          {ns::sensor_data},
          "0.6",
          "is a device whose fields others read"};
}

Sensor::Node& Sensor::add_node(payload::IotNode id) {
  client_.trace(Trace::debug, fmt::format("Device object started nodeId {}", id.node_id));
  return *nodes_.emplace_back(std::make_unique<Node>(std::move(id)));
}

void Sensor::handle_request(const Stanza& iq, const Responder& respond) {
  const auto parsed = payload::parse_sensor_message(*iq.payload());
  if (!parsed) return respond.error({Condition::bad_request, parsed.error().message, {}, {}});
  const auto& request = std::get<payload::SensorRequest>(*parsed);
  if (allow && !allow(iq.from()))
    return refuse(respond, request.seqnr, {Condition::forbidden, "Access denied.", ErrorType::cancel, {}});
  auto nodes = select(request);
  if (!nodes) return refuse(respond, request.seqnr, nodes.error());
  const auto wait = wait_for(request);
  if (!wait) return refuse(respond, request.seqnr, wait.error());

  remove(find(iq.from(), request.seqnr));
  const bool queued = wait->count() > 0;
  if (is_busy(iq.from(), queued))
    return refuse(respond, request.seqnr,
                  {Condition::resource_constraint, "The device is busy.", ErrorType::wait, {}});

  const std::uint64_t id = ++last_id_;
  readouts_.emplace(id, Readout{.to = iq.from(),
                                .request = request,
                                .nodes = *std::move(nodes),
                                .queued = queued,
                                .waiting = 0,
                                .ready = {},
                                .problems = {},
                                .timer = 0});
  respond.result(to_xml(payload::SensorAccepted{request.seqnr, queued}));
  if (!queued) return start(id);
  readouts_.at(id).timer = client_.run_after(*wait, [this, id] {
    auto& readout = readouts_.at(id);
    readout.queued = false;
    client_.send(Message{.to = readout.to,
                         .body = {},
                         .type = Type::normal,
                         .extra = to_xml(payload::SensorStarted{readout.request.seqnr})});
    start(id);
  });
}

void Sensor::handle_cancel(const Stanza& iq, const Responder& respond) {
  const auto parsed = payload::parse_sensor_message(*iq.payload());
  if (!parsed) return respond.error({Condition::bad_request, parsed.error().message, {}, {}});
  const auto seqnr = std::get<payload::SensorCancel>(*parsed).seqnr;
  const auto found = find(iq.from(), seqnr);
  if (found == readouts_.end())
    return refuse(respond, seqnr,
                  {Condition::item_not_found, "There is no such request under way.", ErrorType::cancel, {}});
  remove(found);
  respond.result(to_xml(payload::SensorCancelled{seqnr}));
}

std::expected<std::vector<Sensor::Node*>, StanzaError> Sensor::select(
    const payload::SensorRequest& request) const {
  const auto not_found = [](std::string text) {
    return std::unexpected(StanzaError{Condition::item_not_found, std::move(text), ErrorType::cancel, {}});
  };
  std::vector<bool> named(nodes_.size(), request.nodes.empty());
  for (const auto& wanted : request.nodes) {
    bool found = false;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (!is_named(nodes_[i]->id(), wanted)) continue;
      found = named[i] = true;
    }
    if (!found) return not_found(fmt::format("There is no node {}.", wanted.node_id));
  }
  std::vector<Node*> nodes;
  for (std::size_t i = 0; i < nodes_.size(); ++i)
    if (named[i]) nodes.push_back(nodes_[i].get());
  for (const auto& field : request.fields)
    if (std::ranges::none_of(nodes, [&](const Node* node) { return node->has_field(field); }))
      return not_found(fmt::format("There is no field {}.", field));
  std::erase_if(nodes, [&](const Node* node) {
    return std::ranges::none_of(node->fields(),
                                [&](const auto& field) { return is_wanted(request, field.name); });
  });
  return nodes;
}

std::expected<Milliseconds, StanzaError> Sensor::wait_for(const payload::SensorRequest& request) const {
  if (request.when.empty()) return Milliseconds{0};
  const auto bad = [](std::string text) {
    return std::unexpected(StanzaError{Condition::bad_request, std::move(text), {}, {}});
  };
  const auto now = client_.loop().wall();
  const auto when = payload::parse_timestamp(request.when, local_zone(now));
  if (!when) return bad(fmt::format("when: {} is no time.", request.when));
  const auto wait = std::chrono::ceil<Milliseconds>(*when - now);
  if (wait > settings.longest_wait) return bad(fmt::format("when: {} is too far away.", request.when));
  return std::max(wait, Milliseconds{0});
}

bool Sensor::is_busy(const Jid& who, bool queued) const {
  std::size_t all = 0, same = 0;
  for (const auto& [id, readout] : readouts_) {
    if (readout.queued == queued) ++all;
    if (readout.to.same_bare(who)) ++same;
  }
  return all >= settings.readouts || same >= settings.readouts_each;
}

Sensor::Readouts::iterator Sensor::find(const Jid& who, std::int32_t seqnr) {
  return std::ranges::find_if(
      readouts_, [&](const auto& one) { return one.second.request.seqnr == seqnr && one.second.to == who; });
}

void Sensor::remove(Readouts::iterator at) {
  if (at == readouts_.end()) return;
  client_.loop().cancel(at->second.timer);
  readouts_.erase(at);
}

// --- a readout ---

// A refresh may end at once, or make an end to the readout.
void Sensor::start(std::uint64_t id) {
  auto& readout = readouts_.at(id);
  readout.waiting = readout.nodes.size();
  if (readout.nodes.empty()) return finish(id);
  readout.timer = client_.run_after(settings.refresh_timeout, [this, id] { give_up(id); });
  const auto request = readout.request;
  const auto nodes = readout.nodes;
  for (Node* node : nodes) {
    Names wanted;
    for (const auto& field : node->fields())
      if (is_wanted(request, field.name)) wanted.push_back(field.name);
    client_.trace(Trace::debug,
                  fmt::format("about to refresh device fields ['{}']", fmt::join(wanted, "', '")));
    if (!node->refresh) {
      refreshed(id, *node, {});
      continue;
    }
    auto refreshing = std::make_shared<Refreshing>(self_, id, *node);
    const auto refresh = node->refresh;  // it may be replaced meanwhile
    refresh(*node, wanted,
            [refreshing = std::move(refreshing)](const Result<void>& how) { refreshing->end(how); });
  }
}

void Sensor::refreshed(std::uint64_t id, Node& node, const Result<void>& how) {
  const auto at = readouts_.find(id);
  if (at == readouts_.end()) return;  // cancelled, or given up
  auto& readout = at->second;
  if (how) {
    readout.ready.push_back(&node);
  } else {
    readout.problems.push_back({&node, how.error().message});
  }
  if (--readout.waiting == 0) finish(id);
}

void Sensor::give_up(std::uint64_t id) {
  auto& readout = readouts_.at(id);
  for (const Node* node : readout.nodes) {
    const bool ended = std::ranges::find(readout.ready, node) != readout.ready.end() ||
                       std::ranges::find(readout.problems, node, &Problem::node) != readout.problems.end();
    if (!ended) readout.problems.push_back({node, "Timeout."});
  }
  finish(id);
}

void Sensor::finish(std::uint64_t id) {
  const auto readout = std::move(readouts_.extract(id).mapped());
  client_.loop().cancel(readout.timer);
  const auto now = client_.loop().wall();
  const auto send = [&](const auto& what) {
    client_.send(Message{.to = readout.to, .body = {}, .type = Type::normal, .extra = to_xml(what)});
  };

  auto messages = collect(readout, now);
  messages.back().done = readout.problems.empty();
  for (const auto& message : messages)
    if (message.done || !message.nodes.empty()) send(message);
  if (readout.problems.empty()) return;
  payload::SensorFailure failure{.seqnr = readout.request.seqnr, .done = true, .errors = {}};
  for (const auto& [node, text] : readout.problems)
    failure.errors.push_back({.node = node->id(), .timestamp = payload::timestamp(now, 0), .text = text});
  send(failure);
}

std::vector<payload::SensorFields> Sensor::collect(const Readout& readout, WallTime now) const {
  const auto& request = readout.request;
  const auto zone = local_zone(now);
  const auto from = payload::parse_timestamp(request.from, zone);
  const auto to = payload::parse_timestamp(request.to, zone);
  const bool with_history = request.kinds != payload::SensorFlags();  // without kinds it is ours to choose
  Parts parts(request.seqnr, settings.fields_per_message);
  for (const Node* node : readout.nodes) {
    if (std::ranges::find(readout.ready, node) == readout.ready.end()) continue;
    const auto momentary = payload::timestamp(now, 0);
    for (const auto& field : node->fields_) {
      const bool has_value = !field.value.text.empty() || field.value.type == payload::IotType::string ||
                             field.flags.has(payload::SensorFlag::missing);
      if (has_value && request.selects(field)) parts.add(node->id_, momentary, field);
    }
    if (!with_history) continue;
    for (const auto& [at, field] : node->history_)
      if ((!from || at >= *from) && (!to || at <= *to) && request.selects(field))
        parts.add(node->id_, payload::timestamp(at, 0), field);
  }
  return std::move(parts).take();
}

}  // namespace starling::client

#pragma once
// The device side of sensor data (XEP-0323 version 0.6): nodes with fields that others read.
//
//   auto& sensor = client.use<Sensor>();
//   auto& node = sensor.add_node({.node_id = "1020"});
//   node.add_field({.name = "Temperature", .value = {payload::IotType::numeric}, .unit = "C"});
//   node.refresh = [](Sensor::Node& node, const Sensor::Names&, Sensor::Done done) {
//     node.set("Temperature", std::to_string(measure()));
//     done({});
//   };
//
// A request is answered <accepted/>, after which its data comes in messages of which the last says
// done='true' (never a separate <done/>: some readers do not know that). What is refused is answered with a
// stanza error, and beside it with <rejected/>, which earlier versions had and some readers wait for.
// Problems of single nodes come in one <failure/> after all data.
//
// A request whose `when` is yet to come is queued; one in the past is read now, since clocks differ. A time
// without zone is local time. A request for what there is none of (historical values, kinds) gets an empty
// end. A new request with the number of one that its sender has under way replaces it.
//
// Known gaps: no tokens of provisioning (XEP-0324); no stringIds of our own making (6.2).
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "client/client.h"
#include "payload/sensor_data.h"

namespace starling::client {

class Sensor final : public Extension {
 public:
  class Node;
  using Names = std::vector<std::string>;  // of fields
  // Ends one refresh; the copy that is called first counts. If all are dropped, the node has failed.
  using Done = std::function<void(Result<void>)>;
  // Brings the values up to date before they are read, then or later. `wanted` are the fields to be read.
  using Refresh = std::function<void(Node& node, const Names& wanted, Done done)>;

  class Node {
   public:
    explicit Node(payload::IotNode id) : id_(std::move(id)) {}
    [[nodiscard]] const payload::IotNode& id() const { return id_; }

    Refresh refresh;  // may be empty: the values are always up to date

    // Declares a field. Without flags it is momentary and automaticReadout. A numeric field keeps the
    // decimals it is set to (5.4).
    void add_field(payload::SensorField field);
    // The value as of now; false if there is no such field. A field without a value is not sent, unless it is
    // flagged `missing`.
    bool set(std::string_view field, std::string value);
    // A value of the past, such as {historical_hour, automatic_readout}; false if there is no such field. The
    // oldest is dropped when there are more than most_history.
    bool record(std::string_view field, WallTime at, std::string value, payload::SensorFlags flags);

    [[nodiscard]] const std::vector<payload::SensorField>& fields() const { return fields_; }
    [[nodiscard]] bool has_field(std::string_view name) const;

    std::size_t most_history = 10'000;

   private:
    friend class Sensor;
    [[nodiscard]] const payload::SensorField* find(std::string_view name) const;
    payload::IotNode id_;
    std::vector<payload::SensorField> fields_;
    std::deque<std::pair<WallTime, payload::SensorField>> history_;
  };

  struct Settings {
    std::size_t readouts = 64;      // under way, and as many queued; more are refused (resource-constraint)
    std::size_t readouts_each = 8;  // both, of one bare address
    std::size_t fields_per_message = 50;
    Milliseconds refresh_timeout{30'000};    // after which a node has failed
    Milliseconds longest_wait{604'800'000};  // a `when` that is further away is refused
  };

  explicit Sensor(Client& client);
  ~Sensor() override;
  [[nodiscard]] Info info() const override;

  Settings settings;
  std::function<bool(const Jid& who)> allow;  // may be empty: everybody may read

  Node& add_node(payload::IotNode id);  // it stays where it is, for as long as the client

 private:
  struct Problem {
    const Node* node;
    std::string text;
  };
  struct Readout {
    Jid to;
    payload::SensorRequest request;
    std::vector<Node*> nodes;
    bool queued = false;
    std::size_t waiting = 0;  // nodes that are being refreshed
    std::vector<const Node*> ready;
    std::vector<Problem> problems;
    Loop::TimerId timer = 0;  // to start, then to give up
  };
  using Readouts = std::map<std::uint64_t, Readout>;
  struct Refreshing;  // one node of one readout

  void handle_request(const Stanza& iq, const Responder& respond);
  void handle_cancel(const Stanza& iq, const Responder& respond);
  [[nodiscard]] std::expected<std::vector<Node*>, StanzaError> select(
      const payload::SensorRequest& request) const;
  [[nodiscard]] std::expected<Milliseconds, StanzaError> wait_for(
      const payload::SensorRequest& request) const;
  [[nodiscard]] bool is_busy(const Jid& who, bool queued) const;
  Readouts::iterator find(const Jid& who, std::int32_t seqnr);
  void remove(Readouts::iterator at);
  void start(std::uint64_t id);
  void refreshed(std::uint64_t id, Node& node, const Result<void>& how);
  void give_up(std::uint64_t id);
  void finish(std::uint64_t id);
  [[nodiscard]] std::vector<payload::SensorFields> collect(const Readout& readout, WallTime now) const;

  Client& client_;
  std::vector<std::unique_ptr<Node>> nodes_;
  Readouts readouts_;
  std::uint64_t last_id_ = 0;
  std::shared_ptr<Sensor*> self_;  // for what refreshes hold: they may end after us
};

}  // namespace starling::client

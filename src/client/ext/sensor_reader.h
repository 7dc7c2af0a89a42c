#pragma once
// The reading side of sensor data (XEP-0323 version 0.6).
//
//   reader.read(device, {.kinds = {payload::SensorFlag::momentary}}).result.then(
//       [](Outcome<SensorReader::Reading> reading) { ... });
//
// Takes only what comes from the very address that was asked, with the number that we gave; fields that were
// not asked for are left out, as a reader must (section 3). Data counts from the moment the request was sent,
// also before it is accepted, and without (section 3). A time without zone is local time (6.1).
//
// Known gaps: tokens of provisioning (XEP-0324) are passed on but not obtained; nodes are not checked, since
// subnodes of those asked for may be among them (5.8).
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/client.h"
#include "payload/sensor_data.h"

namespace starling::client {

class SensorReader final : public Extension {
 public:
  struct Settings {
    Milliseconds timeout{30'000};         // of silence of a device that reads
    Milliseconds queue_timeout{600'000};  // of silence of one that has queued the request, after its `when`
    // Of one readout; beyond either it is cancelled.
    std::size_t most_fields = 100'000;    // each message one more
    std::size_t most_bytes = 33'554'432;  // of XML
  };

  // All that came, in its order.
  struct Reading {
    std::vector<payload::SensorFields::Node> nodes;
    std::vector<payload::SensorFailure::Problem> problems;
    bool cancelled = false;  // by cancel(), before its end
  };

  // What happens meanwhile; each may be empty.
  struct Progress {
    std::function<void(bool queued)> accepted;
    std::function<void()> started;                             // of a queued one
    std::function<void(const payload::SensorFields&)> fields;  // one message, what was not asked for left out
    std::function<void(const payload::SensorFailure&)> failure;
  };

  struct Readout {
    std::int32_t seqnr;  // for cancel()
    // Once, when the device says that it is done. Refused: `error.text` has its reason. A device that falls
    // silent is `timed_out`; one that goes offline is refused with recipient-unavailable. A device that would
    // read on in vain, when it was too slow or the client closes, is told to stop.
    Request<Reading> result;
  };

  explicit SensorReader(Client& client);
  ~SensorReader() override;
  [[nodiscard]] Info info() const override;

  Settings settings;

  // `request.seqnr` is ours to choose.
  Readout read(const Jid& device, payload::SensorRequest request, Progress progress = {});
  // Refused by a device that has no such readout any more, or that rather completes it.
  Request<void> cancel(std::int32_t seqnr);

 private:
  struct Active;
  using ActivePtr = std::shared_ptr<Active>;  // callbacks may end what they belong to

  void answered(std::int32_t seqnr, const Outcome<StanzaPtr>& answer);
  void handle(const Jid& from, const payload::SensorMessage& message, std::size_t bytes);
  bool has_room(Active& active, std::size_t fields, std::size_t bytes);  // false: it is abandoned
  void take(const ActivePtr& active, payload::SensorFields fields);
  void take(const ActivePtr& active, const payload::SensorFailure& failure);
  void filter(const Active& active, payload::SensorFields& fields) const;
  void arm(std::int32_t seqnr);
  void finish(std::int32_t seqnr, Outcome<Reading> outcome);
  void tell_to_stop(std::int32_t seqnr);
  template <class Predicate>
  void fail_all(Predicate which, const RequestError& error);
  std::int32_t next_seqnr();

  Client& client_;
  std::map<std::int32_t, ActivePtr> active_;
  std::int32_t last_seqnr_ = 0;
};

}  // namespace starling::client

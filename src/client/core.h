#pragma once
// The client without its sockets: attempts, sessions and waits one after the other, stanzas in and out,
// requests, presence. What it dials with is handed in, so that it runs on a virtual loop in tests. Internal
// to this room; the loop's thread.
#include <array>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "base/running.h"
#include "base/task.h"
#include "client/backoff.h"
#include "client/bounded_map.h"
#include "client/client.h"
#include "client/connection.h"
#include "client/requests.h"
#include "client/stream_management.h"
#include "net/tls.h"

namespace starling::client {

// Where an attempt finds the server: each call connects to the next place, and fails when none is left.
class Dialer {
 public:
  virtual ~Dialer() = default;
  virtual Task<Result<Dialled>> next() = 0;
};
// `host`: "host:port" in place of the domain's own places; empty for those.
using MakeDialer = std::function<Result<std::unique_ptr<Dialer>>(std::string host)>;

class Core final : public Connection::Owner, public std::enable_shared_from_this<Core> {
 public:
  Core(Loop& loop, Options options);
  ~Core();
  void set_dialer(MakeDialer make) { make_dialer_ = std::move(make); }

  void connect();
  void close();
  void shut_down();  // at once, without events
  [[nodiscard]] bool ended() const { return !running_; }
  Ended take_outcome();  // of the last run; throws what a handler threw

  [[nodiscard]] Loop& loop() const { return loop_; }
  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] const Jid& jid() const { return jid_; }
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] const xml::Document& stream_features() const { return features_; }
  [[nodiscard]] const Connection* connection() const { return connection_.get(); }

  std::string send(const Message& message);
  bool send(const Presence& presence);
  bool send_xml(std::string_view stanza);
  Request<StanzaPtr> request(Type type, const Jid& to, std::string_view payload, Milliseconds timeout);
  void on_request(Type type, std::string_view name, std::string_view ns, Client::RequestHandler handler);
  Request<void> acknowledged();
  [[nodiscard]] bool acknowledges() const { return management_.counts(); }
  // What a handler throws ends the client. For each of several that must all be called.
  template <class Call>
  void guarded(Call&& call) {
    try {
      std::forward<Call>(call)();
    } catch (...) {
      if (!thrown_) thrown_ = std::current_exception();
      close();
    }
  }
  Loop::TimerId run_after(Milliseconds delay, Job job);  // guarded, and not once we are gone
  void on_session_over(std::move_only_function<void()> forget) { session_over_.push_back(std::move(forget)); }
  void on_own_presence(std::move_only_function<void(xml::Writer&)> writer) {
    own_presence_.push_back(std::move(writer));
  }
  std::string next_id();

  // Connection::Owner
  void authenticated(std::string_view mechanism) override;
  void ready(stream::Ready ready) override;
  void received(xml::Document document) override;
  void claimed(xml::Document nonza) override;
  void peer_closed() override;
  void over(Ended ended) override;
  void trace(Trace kind, std::string_view line) override;

  Client::Events events;

 private:
  struct Traffic {
    std::array<std::uint64_t, 3> stanzas{};  // by Kind
    std::uint64_t bytes = 0;
  };

  Result<void> prepare();
  Result<std::shared_ptr<net::TlsContext>> tls_for(bool direct);
  void manage_streams();
  void begin_attempt();
  void make_attempt(std::string host);
  void dial();
  Task<void> dial_next();
  void dialled(Result<Dialled> result);
  void drop_attempt();
  // The one way for an attempt, and what came of it, to end: on to a wait, or to the client's own end.
  void end_attempt(Ended ended, bool for_good = false);
  void wait();
  void finish(Ended ended);
  void start_session(const Jid& self);
  void end_session();
  void give_up_kept();
  void disappoint(const std::vector<StreamManagement::Waiting>& all);  // who waited for an acknowledgement
  void close_stream();
  [[nodiscard]] bool is_final(const Ended& ended) const;
  void enter(State state);
  void arm_tick();
  void tick();
  [[nodiscard]] SteadyTime space_due() const;
  void put_space();
  void handle_request(const StanzaPtr& iq);
  void handle_presence(const Stanza& presence);
  bool write(Kind kind, std::string_view stanza);
  bool write(StreamManagement::Kept stanza);
  void write_now(StreamManagement::Kept stanza);
  [[nodiscard]] bool is_online() const { return state_ == State::online && connection_; }
  // To be sent now, or when the session is resumed.
  [[nodiscard]] bool takes_stanzas() const { return is_online() || (has_session_ && !close_asked_); }
  void put(const StreamManagement::Kept& stanza);
  void ping();
  void put_kept();
  void put_nonza(std::string_view nonza);
  void request_acknowledgement();
  void confirm(StreamManagement::Waiting waiting);
  void tell_acknowledged();
  template <class... Args>
  void raise(Signal<Args...>& signal, std::type_identity_t<Args>... args) {
    trace(Trace::event, signal.name());
    signal.emit(std::forward<Args>(args)...);
  }
  void post(std::move_only_function<void(Core&)> job);

  Loop& loop_;
  Options options_;
  MakeDialer make_dialer_;
  stream::Settings settings_;
  std::shared_ptr<net::TlsContext> tls_, direct_tls_;
  std::minstd_rand random_;
  Backoff backoff_;

  bool running_ = false;  // begun and not over
  bool close_asked_ = false;
  State state_ = State::disconnected;
  Ended outcome_;
  std::exception_ptr thrown_;

  // --- an attempt ---
  std::uint64_t attempt_ = 0;  // what was posted for an earlier one is void
  std::unique_ptr<Dialer> dialer_;
  std::optional<Running<void>> dialling_;
  std::optional<Ended> last_failure_;  // of an earlier place of this attempt
  unsigned redirects_ = 0;             // of this attempt
  std::shared_ptr<Connection> connection_;
  bool authenticated_ = false, ever_online_ = false;
  Loop::TimerId attempt_timer_ = 0, wait_timer_ = 0, close_timer_ = 0, tick_timer_ = 0;
  std::optional<SteadyTime> online_at_;  // since when
  SteadyTime kept_alive_at_;             // when the last space was due
  std::optional<SteadyTime> pinged_at_;

  // --- a session: from its binding until it cannot be resumed any more, over all its connections ---
  StreamManagement management_;
  bool has_session_ = false;
  bool location_tried_ = false, at_location_ = false;  // where the server wants us to come back to
  bool request_due_ = false;                           // <r/>, at the end of this turn
  Jid jid_;
  xml::Document features_;
  bool presence_sent_ = false;
  BoundedMap<std::size_t> online_;  // available resources: of their show and status a hash, by full JID
  Requests requests_;
  Traffic sent_, received_;

  // By "get {namespace}name"; shared with a call that is under way, in which another may take its place.
  std::map<std::string, std::shared_ptr<Client::RequestHandler>> request_handlers_;
  // Deques: they stay where they are while one of them adds another.
  std::deque<std::move_only_function<void(xml::Writer&)>> own_presence_;
  std::deque<std::move_only_function<void()>> session_over_;
  std::string id_prefix_;
  std::uint64_t ids_ = 0;
};

}  // namespace starling::client

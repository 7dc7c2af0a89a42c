#include "net/connector.h"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <list>
#include <optional>
#include <utility>

#include <fmt/ranges.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/running.h"
#include "net/address.h"
#include "net/socket.h"

namespace starling::net {
namespace {

// RFC 8305 8
constexpr Milliseconds kResolutionDelay{50};
constexpr Milliseconds kConnectionAttemptDelay{250};

// What an error names of a long list of failures.
constexpr std::size_t kFailuresTold = 8;

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// The race for one target. It ends when a connection stands, or when there is nothing left to wait for.
class Race {
 public:
  Race(Reactor& loop, Resolver& resolver, const Target& target, const Observer& observer, Milliseconds limit)
      : loop_(loop), resolver_(resolver), target_(target), observer_(observer), limit_(limit) {}
  Race(const Race&) = delete;
  Race& operator=(const Race&) = delete;
  ~Race() {
    loop_.cancel(resolution_timer_);
    loop_.cancel(attempt_timer_);
  }

  struct Winner {
    Descriptor socket;
    Endpoint endpoint;
  };
  // Nobody, after all have failed: failures() says how.
  Task<std::optional<Winner>> run() {
    lookups_under_way_ = 2;
    // AAAA first, immediately followed by A (RFC 8305 3).
    auto six = start(look_up(Family::ipv6));
    auto four = start(look_up(Family::ipv4));
    co_await over_;
    co_return std::move(winner_);
  }
  [[nodiscard]] std::vector<std::string>& failures() { return failures_; }

 private:
  class Attempt final : public Reactor::Watcher {
   public:
    Attempt(Race& race, Endpoint endpoint) : race_(race), endpoint_(std::move(endpoint)) {}
    Attempt(const Attempt&) = delete;
    Attempt& operator=(const Attempt&) = delete;
    ~Attempt() override { stop(); }

    // 0, or why it has failed at once.
    int begin() {
      Address address{};
      const socklen_t size = to_address(endpoint_, address);
      if (size == 0) return EAFNOSUPPORT;
      socket_ = Descriptor(::socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      if (socket_.get() < 0) return errno;
      const int on = 1;
      ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      if (::connect(socket_.get(), &address.any, size) != 0 && errno != EINPROGRESS) return errno;
      if (!race_.loop_.watch(socket_.get(), EPOLLOUT, *this)) return ENOMEM;
      timer_ = race_.loop_.run_after(race_.limit_, [this] { race_.failed(*this, ETIMEDOUT); });
      return 0;
    }
    void stop() {
      race_.loop_.unwatch(*this);
      race_.loop_.cancel(std::exchange(timer_, 0));
    }
    [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
    Winner win() {
      stop();
      return {std::move(socket_), std::move(endpoint_)};
    }

   private:
    void on_events(std::uint32_t) override {
      int error = 0;
      socklen_t size = sizeof error;
      if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
      if (error != 0)
        race_.failed(*this, error);
      else
        race_.won(*this);
    }

    Race& race_;
    Endpoint endpoint_;
    Descriptor socket_;
    Loop::TimerId timer_ = 0;
  };

  Task<void> look_up(Family family) {
    const bool six = family == Family::ipv6;
    if (!ip_literal(target_.host))
      tell(Step::dns, fmt::format("Querying {} for {} records.", target_.host, six ? "AAAA" : "A"));
    const auto found = co_await resolver_.addresses(target_.host, family);
    --lookups_under_way_;
    if (found) {
      auto& waiting = six ? sixes_ : fours_;
      waiting.insert(waiting.end(), found->begin(), found->end());
    } else if (found.error().code != Errc::not_found) {
      complain(Step::dns_failed, found.error().message);
    }
    // An A answer that comes first gives the other one a moment (RFC 8305 3).
    if (!six && lookups_under_way_ > 0 && !fours_.empty()) {
      resolution_timer_ = loop_.run_after(kResolutionDelay, [this] { go_on(); });
      co_return;
    }
    loop_.cancel(std::exchange(resolution_timer_, 0));
    if (attempt_timer_ == 0) go_on();
  }

  // The next attempt, now: it is the first one, the one before has failed or has had its time.
  void go_on() {
    loop_.cancel(std::exchange(attempt_timer_, 0));
    if (decided_) return;
    while (auto address = take_address()) {
      attempts_.emplace_back(*this, Endpoint{std::move(*address), target_.port});
      Attempt& attempt = attempts_.back();
      tell(Step::connecting, fmt::format("Connecting to {}", attempt.endpoint().text()));
      const int error = attempt.begin();
      if (error == 0) {
        attempt_timer_ = loop_.run_after(kConnectionAttemptDelay, [this] { go_on(); });
        return;
      }
      complain_of(attempt, error);
      attempts_.pop_back();
    }
    if (attempts_.empty() && lookups_under_way_ == 0) {
      if (failures_.empty()) failures_.push_back(fmt::format("{} has no address", target_.host));
      decide();
    }
  }

  // Families take turns, IPv6 first (RFC 8305 4).
  std::optional<std::string> take_address() {
    auto& first = four_is_next_ ? fours_ : sixes_;
    auto& second = four_is_next_ ? sixes_ : fours_;
    auto& from = first.empty() ? second : first;
    if (from.empty()) return std::nullopt;
    four_is_next_ = &from == &sixes_;
    std::string address = std::move(from.front());
    from.pop_front();
    return address;
  }

  void failed(const Attempt& attempt, int error) {
    complain_of(attempt, error);
    attempts_.remove_if([&](const Attempt& each) { return &each == &attempt; });
    go_on();
  }
  void won(Attempt& attempt) {
    if (decided_) return;
    winner_ = attempt.win();
    attempts_.clear();
    decide();
  }
  void decide() {
    decided_ = true;
    loop_.cancel(std::exchange(resolution_timer_, 0));
    loop_.cancel(std::exchange(attempt_timer_, 0));
    result_({});
  }

  void complain_of(const Attempt& attempt, int error) {
    complain(Step::warning, fmt::format("{}: {}", attempt.endpoint().text(), socket_error(error)));
  }
  void complain(Step step, std::string line) {
    tell(step, line);
    failures_.push_back(std::move(line));
  }
  void tell(Step step, std::string_view line) {
    if (observer_) observer_(step, line);
  }

  Reactor& loop_;
  Resolver& resolver_;
  const Target& target_;
  const Observer& observer_;
  const Milliseconds limit_;
  struct Over {};
  Completion<Over> over_;
  Completion<Over>::Resolver result_ = over_.resolver();
  int lookups_under_way_ = 0;
  std::deque<std::string> sixes_, fours_;  // not tried yet
  bool four_is_next_ = false;
  std::list<Attempt> attempts_;
  Loop::TimerId resolution_timer_ = 0;
  Loop::TimerId attempt_timer_ = 0;
  std::vector<std::string> failures_;
  std::optional<Winner> winner_;
  bool decided_ = false;
};

}  // namespace

Connector::Connector(Reactor& loop, Resolver& resolver, std::vector<Target> targets, Observer observer,
                     Milliseconds attempt_timeout)
    : loop_(loop),
      resolver_(resolver),
      targets_(std::move(targets)),
      observer_(std::move(observer)),
      attempt_timeout_(attempt_timeout) {}

Task<Result<Connected>> Connector::next() {
  while (!exhausted()) {
    Target target = targets_[position_++];
    Race race(loop_, resolver_, target, observer_, attempt_timeout_);
    auto winner = co_await race.run();
    if (winner) {
      failures_.clear();
      auto stream = std::make_unique<TcpStream>(winner->socket.release(), winner->endpoint.host);
      co_return Connected{std::move(stream), std::move(target), std::move(winner->endpoint)};
    }
    std::ranges::move(race.failures(), std::back_inserter(failures_));
  }
  if (failures_.empty()) co_return fail(Errc::unavailable, "there is nothing left to connect to");
  const std::size_t told = std::min(failures_.size(), kFailuresTold);
  std::string all =
      fmt::format("{}", fmt::join(failures_.begin(), failures_.begin() + static_cast<long>(told), "; "));
  if (told < failures_.size()) all += fmt::format("; and {} more", failures_.size() - told);
  co_return fail(Errc::unavailable, "cannot connect: " + all);
}

}  // namespace starling::net

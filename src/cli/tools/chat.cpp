// starling chat: a conversation with one contact, line by line.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/running.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "cli/tools/tool.h"
#include "client/ext/caps.h"
#include "client/ext/chat_states.h"
#include "client/ext/conversation.h"
#include "client/ext/ping.h"
#include "client/ext/receipts.h"
#include "client/ext/roster.h"

namespace starling::cli {
namespace {

constexpr std::size_t kLongestLine = 65536;

// The keyboard, or whatever stdin is, and one contact.
class Chat final : private net::Reactor::Watcher {
 public:
  // `exit` becomes another than kDone when something is known, or feared, not to have arrived.
  Chat(client::Client& client, const Context& context, Jid contact, int& exit)
      : client_(client),
        context_(context),
        contact_(std::move(contact)),
        exit_(exit),
        reactor_(static_cast<net::Reactor&>(client.loop())),
        conversations_(client.use<client::Conversations>()),
        states_(client.use<client::ChatStates>()) {
    client.use<client::Caps>();
    client.use<client::Ping>();
    client.use<client::Receipts>();
    client.on.session_start([this] { start(); });
    client.on.session_resumed([this] {
      told_ = false;
      go_on();
    });
    client.on.message([this](const Stanza& message) { arrived(message); });
    client.on.undelivered([this](const Stanza& message) { lost(message); });
    client.on.presence_available([this](const Stanza& presence) { announce(presence, true); });
    client.on.got_offline([this](const Stanza& presence) { announce(presence, false); });
  }
  ~Chat() override { reactor_.unwatch(*this); }
  Chat(const Chat&) = delete;
  Chat& operator=(const Chat&) = delete;

 private:
  void start() {
    ready_ = told_ = false;
    client_.use<client::Roster>().get().then([this](const auto&) {
      if (!client_.send(client::Presence{})) return;
      ready_ = true;
      read_input();
      go_on();
    });
  }
  void read_input() {
    if (std::exchange(reading_, true)) return;
    if (!context_.json)
      say(fmt::format("talking to {} as {}; /help says more, Ctrl-D ends", contact_.text(),
                      client_.jid().text()));
    if (!reactor_.watch(STDIN_FILENO, EPOLLIN, *this))
      read_file();  // a file cannot be watched, and never waits
  }
  void go_on() {
    if (!ready_) return;
    for (const auto& line : std::exchange(unsent_, {})) send(line);
    if (ended_) leave();
  }

  void on_events(std::uint32_t) override {
    std::array<char, 4096> buffer;
    const auto got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
      reactor_.unwatch(*this);
      return finish_input();
    }
    take(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
  }
  void read_file() {
    std::array<char, 4096> buffer;
    for (;;) {
      const auto got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
      if (got <= 0) return finish_input();
      take(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
    }
  }
  void take(std::string_view bytes) {
    input_ += bytes;
    for (auto end = input_.find('\n'); end != std::string::npos; end = input_.find('\n')) {
      handle(input_.substr(0, end));
      input_.erase(0, end + 1);
    }
    if (input_.size() > kLongestLine) handle(std::exchange(input_, {}));
  }
  void finish_input() {
    if (!input_.empty()) handle(std::exchange(input_, {}));
    ended_ = true;
    if (client_.state() == client::State::online) go_on();
  }
  void leave() {
    if (!leaving_ || leaving_->done()) leaving_.emplace(starling::start(say_goodbye()));
  }
  Task<void> say_goodbye() {
    const auto done = co_await taken(client_, contact_);
    if (!done && done.error().kind != client::RequestError::Kind::disconnected)  // else it is said once more
      exit_ = report(context_, done.error(), contact_);
    if (client_.state() == client::State::online) client_.close();
  }

  void handle(std::string line) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) return;
    if (!is_utf8(line)) {
      say("that is not UTF-8 and was not sent");
      return;
    }
    if (line == "/quit") return client_.close();
    if (line == "/history") {
      client_.guarded([this] {
        for (const auto& said : history_) fmt::print("{}\n", said);
        flush_output();
      });
    } else if (line == "/help") {
      say("/history prints what was said, /quit ends; // begins a line with a slash");
    } else if (line.starts_with('/') && !line.starts_with("//")) {
      say(fmt::format("there is no {}; /help says what there is", line.substr(0, line.find(' '))));
    } else {
      send(line.starts_with("//") ? line.substr(1) : line);
    }
  }
  void send(const std::string& text) {
    if (client_.state() == client::State::online && !ready_) return unsent_.push_back(text);
    auto message = conversations_.message_to(contact_, text);
    message.extra += states_.active_for(message.to);
    const bool taken = !client_.send(message).empty();  // at once, or when the session is resumed
    if (client_.state() != client::State::online && !std::exchange(told_, true))
      say("there is no connection; it is sent when there is one again");
    if (!taken) {
      unsent_.push_back(text);
      return;
    }
    history_.push_back("me: " + text);
  }

  void arrived(const Stanza& message) {
    if (!message.from().same_bare(contact_)) return;
    if (message.type() == Type::error) {
      exit_ = kRefused;
      const client::RequestError error{client::RequestError::Kind::refused, client::error_of(message), {}};
      return say(fmt::format("not delivered: {}", one_line(explained(error, contact_))));
    }
    const auto body = client::body_of(message);
    if (body.empty()) return;
    history_.push_back(fmt::format("{}: {}", contact_.text(), indented(body)));
    if (context_.json) return print_json({{"from", message.from().text()}, {"body", body}});
    fmt::print("{}\n", history_.back());
    flush_output();
  }
  void lost(const Stanza& message) {
    if (exit_ == kDone) exit_ = kTimedOut;
    const auto body = client::body_of(message);
    if (!body.empty()) say(fmt::format("nobody knows whether this has arrived: {}", indented(body)));
  }
  void announce(const Stanza& presence, bool there) const {
    if (!presence.from().same_bare(contact_) || context_.json) return;
    say(fmt::format("{} is {}", presence.from().text(),
                    there ? one_line(client::show_of(presence)) : std::string("offline")));
  }

  client::Client& client_;
  const Context& context_;
  Jid contact_;
  int& exit_;
  net::Reactor& reactor_;
  client::Conversations& conversations_;
  client::ChatStates& states_;
  std::string input_;  // less than a line
  std::vector<std::string> history_, unsent_;
  bool ready_ = false;  // our presence is out: what we say cannot overtake it
  bool told_ = false;   // in this outage
  bool reading_ = false, ended_ = false;
  std::optional<Running<void>> leaving_;
};

}  // namespace

void add_chat(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto to = std::make_shared<std::string>();
  auto* command = add_tool(app, context, "chat", "talk to somebody, line by line", login, Lifetime::long_);
  command->add_option("-t,--to", *to, "whom to talk to")->type_name("JID")->required();
  command->footer(
      "Each line of stdin is a message; its end, or /quit, ends the chat. Reconnects when the connection is "
      "lost.\n"
      "Exit codes: 0 done, 1 failed, 2 usage, 3 could not connect, 4 not authorised, 5 timed out, 6 refused. "
      "Unless stdin is a\nterminal, 5 also when the server has not said that it has a message, and 6 when "
      "one came back.\n\n"
      "Examples:\n  starling chat -j alice@example.org -t bob@example.org\n"
      "  fortune | starling chat -j alice@example.org -t bob@example.org --password-file secret");
  command->callback([&context, login, to] {
    const auto contact = parse_jid(context, *to);
    if (!contact) {
      context.exit = kUsage;
      return;
    }
    if (login->password_stdin) {
      context.exit =
          usage(context, "chat reads what to say from stdin; give the password with --password-file");
      return;
    }
    int exit = kDone;
    context.exit = run_until_interrupted(context, *login, [&](client::Client& client) {
      return std::make_shared<Chat>(client, context, contact->to_bare(), exit);
    });
    // Whoever types has read it.
    if (context.exit == kDone && ::isatty(STDIN_FILENO) == 0) context.exit = exit;
  });
}

}  // namespace starling::cli

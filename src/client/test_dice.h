#pragma once
// Throws dice for others, and asks others to: the example of docs/extensions.md.
#include <charconv>
#include <random>

#include "client/client.h"

namespace starling::client {

class Dice final : public Extension {
 public:
  static constexpr std::string_view kNamespace = "urn:example:dice";

  // Somebody had us throw: who, and what came up.
  Signal<const Jid&, int> thrown{"dice_thrown"};

  explicit Dice(Client& client) : client_(client) {
    client.on_request(Type::get, "throw", kNamespace, [this](const Stanza& iq, const Responder& respond) {
      const auto sides = number(iq.payload()->attribute("sides").value_or("6"));
      if (!sides) return respond.error({.condition = Condition::bad_request, .text = "Which die is that?"});
      const int value = std::uniform_int_distribution(1, *sides)(random_);
      respond.result("<thrown xmlns='urn:example:dice'>" + std::to_string(value) + "</thrown>");
      client_.raise(thrown, iq.from(), value);
    });
  }

  [[nodiscard]] Info info() const override { return {"urn:example:dice", "Dice", {kNamespace}}; }

  // Has `whom`, a full address, throw a die.
  Request<int> ask(const Jid& whom, int sides) {
    std::string question;
    xml::Writer(question).open("throw", kNamespace).attribute("sides", std::to_string(sides)).close();
    return client_.request(Type::get, whom, question).map([sides](const StanzaPtr& answer) -> Outcome<int> {
      const auto* thrown = answer->child("thrown", kNamespace);
      const auto value = number(thrown != nullptr ? thrown->text() : "");
      if (!value || *value > sides) return malformed("there is no such side");
      return *value;
    });
  }

 private:
  static std::optional<int> number(std::string_view text) {
    int value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || end != text.data() + text.size() || value < 1) return std::nullopt;
    return value;
  }

  Client& client_;
  std::mt19937 random_{std::random_device{}()};
};

}  // namespace starling::client

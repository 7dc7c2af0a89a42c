// starling vcard get [JID] | set NAME=VALUE...
#include "client/ext/vcard.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/tools/tool.h"

namespace starling::cli {
namespace {

using payload::VCard;

struct Field {
  std::string_view name;
  std::string VCard::* member;
};
constexpr auto kFields = std::to_array<Field>({{"fn", &VCard::fn},
                                               {"nickname", &VCard::nickname},
                                               {"bday", &VCard::bday},
                                               {"title", &VCard::title},
                                               {"role", &VCard::role},
                                               {"url", &VCard::url},
                                               {"desc", &VCard::desc},
                                               {"jabberid", &VCard::jabberid}});

Result<Setting> read_setting(const std::string& text) {
  auto parsed = parse_setting(text);
  if (!parsed) return parsed;
  Setting& setting = *parsed;
  std::ranges::transform(setting.name, setting.name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (setting.name == "email" || setting.name == "tel" ||
      std::ranges::find(kFields, setting.name, &Field::name) != kFields.end())
    return parsed;
  return fail(
      Errc::invalid,
      fmt::format("there is no '{}' to set; there are fn, nickname, email, tel, bday, title, role, url, desc "
                  "and jabberid",
                  setting.name));
}

void apply(VCard& card, const Setting& setting) {
  if (setting.name == "email") {
    card.email.clear();
    if (!setting.value.empty())
      card.email.push_back({.uses = {payload::VCardUse::internet}, .userid = setting.value});
  } else if (setting.name == "tel") {
    card.tel.clear();
    if (!setting.value.empty())
      card.tel.push_back({.uses = {payload::VCardUse::voice}, .number = setting.value});
  } else {
    card.*std::ranges::find(kFields, setting.name, &Field::name)->member = setting.value;
  }
}

Json to_json(const VCard& card) {
  auto json = Json::object();
  for (const auto& [name, member] : kFields)
    if (!(card.*member).empty()) json[std::string(name)] = card.*member;
  for (const auto& email : card.email) json["email"].push_back(email.userid);
  for (const auto& tel : card.tel) json["tel"].push_back(tel.number);
  if (!card.org.name.empty()) json["org"] = card.org.name;
  if (!card.photo.type.empty()) json["photo"] = card.photo.type;
  return json;
}

Task<int> get(client::Client& client, const Context& context, Jid of) {
  const auto card = co_await client.use<client::VCards>().get(of);
  if (!card) co_return report(context, card.error(), of);
  const auto json = to_json(*card);
  if (context.json)
    print_json(json);
  else if (json.empty())
    fmt::print("nothing is in it\n");
  else
    print_members(json);
  co_return kDone;
}

Task<int> set(client::Client& client, const Context& context, std::vector<Setting> settings) {
  auto& cards = client.use<client::VCards>();
  auto card = co_await cards.get();
  if (!card) co_return report(context, card.error());
  for (const auto& setting : settings) apply(*card, setting);
  const auto done = co_await cards.set(*card);
  if (!done) co_return report(context, done.error());
  if (context.json)
    print_json(to_json(*card));
  else
    fmt::print("saved\n");
  co_return kDone;
}

}  // namespace

void add_vcard(CLI::App& app, Context& context) {
  auto* group = app.add_subcommand("vcard", "print somebody's vCard, or change ours")->group("Clients");
  group->require_subcommand(1);
  group->footer(
      "Examples:\n  starling vcard get bob@example.org -j alice@example.org\n"
      "  starling vcard set 'fn=Alice Liddell' nickname=Alice -j alice@example.org");
  const auto login = std::make_shared<Login>();
  const auto of = std::make_shared<std::string>();
  const auto texts = std::make_shared<std::vector<std::string>>();

  auto* show = add_tool(*group, context, "get", "print a vCard", login, Lifetime::once);
  add_peer(*show, *of, "whose; our own if it is left out");
  show->callback(
      [&context, login, of] { context.exit = ask_peer(context, *login, *of, get, use<client::VCards>); });
  show->footer("Example:\n  starling vcard get bob@example.org -j alice@example.org");

  auto* change =
      add_tool(*group, context, "set", "change ours; an empty VALUE removes", login, Lifetime::once);
  change
      ->add_option("NAME=VALUE", *texts, "fn, nickname, email, tel, bday, title, role, url, desc or jabberid")
      ->required();
  change->footer(
      "Example:\n  starling vcard set 'fn=Alice Liddell' nickname=Alice tel= -j alice@example.org");
  change->callback([&context, login, texts] {
    std::vector<Setting> settings;
    for (const auto& text : *texts) {
      auto setting = read_setting(text);
      if (!setting) {
        context.exit = usage(context, setting.error().message);
        return;
      }
      settings.push_back(*std::move(setting));
    }
    context.exit = run_once(
        context, *login, [&](client::Client& client) { return set(client, context, settings); },
        use<client::VCards>);
  });
}

}  // namespace starling::cli

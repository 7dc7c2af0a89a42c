// starling disco [JID]: what an entity is, what it can do, and what belongs to it.
#include "client/ext/disco.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/text.h"
#include "cli/tools/tool.h"

namespace starling::cli {
namespace {

struct Options {
  std::string of, node;
  bool items = false;
};

void print_info(const Json& info) {
  for (const auto& identity : info["identities"]) {
    const auto name = identity["name"].get<std::string>();
    fmt::print("identity {}/{}{}\n", one_line(identity["category"].get<std::string>()),
               one_line(identity["type"].get<std::string>()),
               name.empty() ? "" : fmt::format(" \"{}\"", one_line(name)));
  }
  for (const auto& feature : info["features"]) fmt::print("- {}\n", one_line(feature.get<std::string>()));
}

Task<int> info(client::Client& client, const Context& context, Jid of, std::string node) {
  const auto info = co_await client.use<client::Disco>().info(of, node);
  if (!info) co_return report(context, info.error(), of);
  auto features = info->features;
  std::ranges::sort(features);
  Json answer{{"jid", of.text()}, {"identities", Json::array()}, {"features", features}};
  for (const auto& identity : info->identities)
    answer["identities"].push_back(
        {{"category", identity.category}, {"type", identity.type}, {"name", identity.name}});
  if (context.json)
    print_json(answer);
  else
    print_info(answer);
  co_return kDone;
}

Task<int> items(client::Client& client, const Context& context, Jid of, std::string node) {
  const auto items = co_await client.use<client::Disco>().items(of, node);
  if (!items) co_return report(context, items.error(), of);
  auto rows = Json::array();
  for (const auto& item : *items)
    rows.push_back({{"jid", item.jid.text()}, {"node", item.node}, {"name", item.name}});
  if (context.json)
    print_json(rows);
  else if (!rows.empty())
    print_table(rows, "jid");
  co_return kDone;
}

}  // namespace

void add_disco(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto options = std::make_shared<Options>();
  auto* command =
      add_tool(app, context, "disco", "print what an entity is and can do", login, Lifetime::once);
  add_peer(*command, options->of, "whom to ask; our own server if it is left out");
  command->add_option("--node", options->node, "a node of it")->type_name("NODE");
  command->add_flag("--items", options->items, "print what belongs to it instead");
  command->footer(
      "Examples:\n  starling disco -j alice@example.org\n  starling disco -j alice@example.org --items");
  command->callback([&context, login, options] {
    const auto ask = [options](client::Client& client, const Context& in, Jid of) {
      if (of.empty()) of = client.jid().to_domain();
      return options->items ? items(client, in, std::move(of), options->node)
                            : info(client, in, std::move(of), options->node);
    };
    context.exit = ask_peer(context, *login, options->of, ask, use<client::Disco>);
  });
}

}  // namespace starling::cli

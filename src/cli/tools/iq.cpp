// starling iq get|set XML: one request as it is written.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/text.h"
#include "cli/tools/tool.h"
#include "xml/parser.h"

namespace starling::cli {
namespace {

struct Options {
  std::string type, to, payload;
};

Task<int> ask(client::Client& client, const Context& context, Type type, Jid to, std::string payload) {
  const auto answer = co_await client.request(type, to, payload);
  if (!answer) co_return report(context, answer.error(), to);
  const auto content = (*answer)->element().inner_bytes();
  if (context.json)
    print_json({{"from", (*answer)->from().text()}, {"payload", content}});
  else if (!content.empty())
    fmt::print("{}\n", printable(content));
  co_return kDone;
}

int run(const Context& context, const Login& login, const Options& options) {
  const auto parsed = xml::parse(options.payload);
  if (!parsed)
    return usage(context, fmt::format("the payload is no XML element: {}", parsed.error().message));
  if (parsed->root().ns().empty())
    return usage(context, fmt::format("<{}/> needs its namespace: xmlns='...'", parsed->root().name()));
  Jid to;
  if (!options.to.empty()) {
    const auto jid = parse_jid(context, options.to);
    if (!jid) return kUsage;
    to = *jid;
  }
  const auto type = options.type == "get" ? Type::get : Type::set;
  return run_once(context, login, [&context, type, to, payload = options.payload](client::Client& client) {
    return ask(client, context, type, to, payload);
  });
}

}  // namespace

void add_iq(CLI::App& app, Context& context) {
  const auto login = std::make_shared<Login>();
  const auto options = std::make_shared<Options>();
  auto* command = add_tool(app, context, "iq", "send one request as it is written and print the answer",
                           login, Lifetime::once);
  command->add_option("TYPE", options->type, "get or set")->required()->check(CLI::IsMember({"get", "set"}));
  command->add_option("XML", options->payload, "the payload, one element with its xmlns")->required();
  command->add_option("-t,--to", options->to, "whom to ask; our own account if it is left out")
      ->type_name("JID");
  command->footer(
      "Example:\n  starling iq get \"<query xmlns='jabber:iq:version'/>\" -t example.org -j "
      "alice@example.org");
  command->callback([&context, login, options] { context.exit = run(context, *login, *options); });
}

}  // namespace starling::cli

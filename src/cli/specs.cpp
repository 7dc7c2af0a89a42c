#include "cli/specs.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "client/ext/bits_of_binary.h"
#include "client/ext/caps.h"
#include "client/ext/chat_states.h"
#include "client/ext/control.h"
#include "client/ext/conversation.h"
#include "client/ext/disco.h"
#include "client/ext/entity_time.h"
#include "client/ext/in_band_bytestreams.h"
#include "client/ext/last_activity.h"
#include "client/ext/ping.h"
#include "client/ext/receipts.h"
#include "client/ext/registration.h"
#include "client/ext/roster.h"
#include "client/ext/sensor.h"
#include "client/ext/sensor_reader.h"
#include "client/ext/software_version.h"
#include "client/ext/vcard.h"
#include "modules/all.h"

namespace starling::cli {
namespace {

struct CoreSpecification {
  std::string_view name, version, summary, where;
};

// What no module implements, as every stream or stanza needs it.
constexpr auto kCore = std::to_array<CoreSpecification>({
    {"RFC 2782", "", "SRV records: priorities and weights", "net"},
    {"RFC 4422", "", "SASL: the framework of logins", "stream/sasl"},
    {"RFC 4616", "", "SASL PLAIN", "stream/sasl"},
    {"RFC 5802", "", "SCRAM-SHA-1 and SCRAM-SHA-1-PLUS", "stream/sasl"},
    {"RFC 5929", "", "channel binding `tls-server-end-point` alone (section 4)", "net, stream/sasl"},
    {"RFC 6120", "", "XMPP core: streams, TLS, login, binding, stanzas, errors", "stream, stanza, server"},
    {"RFC 6121", "", "XMPP instant messaging: rosters, subscriptions, presence, messages", "server"},
    {"RFC 6125", "", "names of servers in certificates: DNS-ID, SRV-ID, XmppAddr", "net"},
    {"RFC 7301", "", "ALPN, with `xmpp-client` for direct TLS", "net"},
    {"RFC 7590", "", "use of TLS in XMPP", "net"},
    {"RFC 7622", "", "addresses", "jid"},
    {"RFC 7677", "", "SCRAM-SHA-256 and SCRAM-SHA-256-PLUS", "stream/sasl"},
    {"RFC 8264", "", "PRECIS: which characters names and passwords may have", "jid"},
    {"RFC 8265", "", "preparation of usernames and passwords", "jid"},
    {"RFC 8305", "", "connecting by IPv6 and IPv4 at once", "net"},
    {"RFC 9266", "", "channel binding `tls-exporter`", "net, stream/sasl"},
    {"XEP-0085", "2.1", "chat states pass through and are not kept for later", "server"},
    {"XEP-0156", "1.4.0", "host-meta, as the last resort of a client", "net, payload"},
    {"XEP-0170", "1.0", "order of stream features", "stream"},
    {"XEP-0184", "1.4.0", "receipts pass through and are kept for later", "server"},
    {"XEP-0198", "1.6.3", "acknowledged stanzas, and sessions that are resumed", "server, client"},
    {"XEP-0203", "2.0", "time stamps of messages delivered late", "server"},
    {"XEP-0205", "1.0.2", "limits against denial of service", "xml, stream, server"},
    {"XEP-0333", "1.0.0", "chat markers pass through, are kept and copied", "server"},
    {"XEP-0352", "1.0.0", "what can wait for an inactive client does", "server"},
    {"XEP-0368", "1.1.0", "direct TLS, and the SRV records that lead to it", "net"},
    {"XEP-0440", "1.0.0", "channel-binding types told before login", "stream/sasl"},
    {"XEP-0487", "0.1.0", "direct TLS told by host-meta", "net"},
});

void add_row(std::string& out, std::string_view name, std::string_view version, std::string_view summary,
             std::string_view where) {
  const std::string_view number = name.substr(4);
  const std::string link = name.starts_with("RFC ")
                               ? fmt::format("https://www.rfc-editor.org/rfc/rfc{}", number)
                               : fmt::format("https://xmpp.org/extensions/xep-{}.html", number);
  out += fmt::format("| [{}]({}) | {} | {} | {} |\n", name, link, version, summary, where);
}

constexpr std::string_view kHead = "|---|---|---|---|\n";

struct Row {
  std::string_view name, version, summary;
  std::string where;
};

void add_rows(std::string& out, std::vector<Row> rows) {
  out += kHead;
  std::ranges::sort(rows, {}, [](const Row& row) { return std::pair(row.name, row.where); });
  for (const auto& row : rows) add_row(out, row.name, row.version, row.summary, row.where);
}

std::vector<Row> modules_rows() {
  std::vector<Row> rows;
  for (const auto& module : modules::all(server::Config())) {
    const server::ModuleInfo info = module->info();
    for (const auto& [name, version] : info.specifications)
      rows.push_back({name, version, info.summary, fmt::format("`{}`", info.name)});
  }
  return rows;
}

std::vector<Row> client_rows() {
  std::vector<Row> rows;
  client::Client client{client::Options()};
  const auto add = [&rows](const client::Extension& extension, std::string_view file) {
    const auto info = extension.info();
    rows.push_back({info.specification, info.version, info.summary,
                    fmt::format("[`{0}`](../src/client/ext/{0}.h)", file)});
  };
  add(client.use<client::BitsOfBinary>(), "bits_of_binary");
  add(client.use<client::Caps>(), "caps");
  add(client.use<client::ChatStates>(), "chat_states");
  add(client.use<client::Control>(), "control");
  add(client.use<client::Controller>(), "control");
  add(client.use<client::Conversations>(), "conversation");
  add(client.use<client::Disco>(), "disco");
  add(client.use<client::EntityTime>(), "entity_time");
  add(client.use<client::InBandBytestreams>(), "in_band_bytestreams");
  add(client.use<client::LastActivity>(), "last_activity");
  add(client.use<client::Ping>(), "ping");
  add(client.use<client::Receipts>(), "receipts");
  add(client.use<client::Registration>(), "registration");
  add(client.use<client::Roster>(), "roster");
  add(client.use<client::Sensor>(), "sensor");
  add(client.use<client::SensorReader>(), "sensor_reader");
  add(client.use<client::SoftwareVersion>(), "software_version");
  add(client.use<client::VCards>(), "vcard");
  return rows;
}

}  // namespace

std::string specs_markdown() {
  std::string out =
      "# Specifications\n\n"
      "Made by `tools/gen_specs` from the sources; do not edit. What is known to be missing from an "
      "extension stands at the top of its file in `src/modules/` or `src/client/ext/`.\n\n"
      "## Core\n\n| Document | Version | What of it | Rooms |\n";
  out += kHead;
  for (const auto& spec : kCore) add_row(out, spec.name, spec.version, spec.summary, spec.where);

  out += "\n## Extensions\n\n| Document | Version | What the module does | Module |\n";
  add_rows(out, modules_rows());
  out += "\n## Client library\n\n| Document | Version | What the extension does | File |\n";
  add_rows(out, client_rows());
  return out;
}

}  // namespace starling::cli

#include "client/net_dialer.h"

#include <gmock/gmock.h>

#include "net/test_https_server.h"
#include "net/testing.h"
#include "support/dns_server.h"

namespace starling::client {
namespace {

using net::testing::await_on;
using net::testing::HttpsServer;
using net::testing::page;
using net::testing::turn_until;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kPath = "/.well-known/host-meta.json";

// A port of 127.0.0.1 and who has come there.
struct Listener {
  explicit Listener(net::Reactor& on) : reactor(on) {
    EXPECT_TRUE(socket->add(
        reactor, [this](std::unique_ptr<net::TcpStream> stream) { accepted.push_back(std::move(stream)); }));
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { socket->remove(reactor); }
  [[nodiscard]] std::uint16_t port() const { return socket->endpoint().port; }

  net::Reactor& reactor;
  std::unique_ptr<net::TcpListener> socket = net::TcpListener::bind({"127.0.0.1", 0}).value();
  std::vector<std::unique_ptr<net::TcpStream>> accepted;
};

struct NetDialerTest : testing::Test {
  void serve_dns(std::vector<std::string> records, std::vector<std::string> refused = {}) {
    dns.emplace(DnsServer::Zones{.records = std::move(records), .silent = {}, .refused = std::move(refused)});
    options.dns_server = dns->address();
  }
  void serve_host_meta(std::uint16_t port) {
    https.emplace(files,
                  std::map<std::string, std::string>{{kPath, page(fmt::format(R"({{"xmpp": {{}}, "links": [{{
                                 "rel": "urn:xmpp:alt-connections:tls", "port": {}, "ips": ["127.0.0.1"],
                                 "priority": 1, "weight": 1, "sni": "hosting.example"}}]}})",
                                                                              port))}});
  }
  Result<std::unique_ptr<Dialer>> make(std::string host = {}) {
    return make_net_dialer(
        reactor, options, std::move(host),
        [this](Trace kind, std::string_view line) {
          if (kind == Trace::warning) warnings.emplace_back(line);
        },
        https ? https->address() : std::string());
  }
  Result<Dialled> dial(std::string host = {}) {
    dialer = make(std::move(host)).value();
    return await_on(reactor, [&] { return dialer->next(); });
  }
  static std::uint16_t closed_port(net::Reactor& reactor) { return Listener(reactor).port(); }

  net::testing::CertificateDirectory directory;
  net::CertificateFiles files = directory.certificate({"example.org"});
  net::Reactor reactor;
  Options options{.jid = Jid::parse("alice@example.org").value(), .ca_file = files.certificate};
  std::optional<DnsServer> dns;
  std::optional<HttpsServer> https;
  std::vector<std::string> warnings;
  std::unique_ptr<Dialer> dialer;
};

TEST_F(NetDialerTest, FindsADomainByDns) {
  const Listener listener(reactor);
  serve_dns({fmt::format("_xmpp-client._tcp.example.org. IN SRV 0 0 {} www.example.org.", listener.port()),
             "www.example.org. IN A 127.0.0.1"});
  const auto dialled = dial();
  ASSERT_TRUE(dialled) << dialled.error().message;
  EXPECT_FALSE(dialled->direct_tls);
  EXPECT_EQ(dialled->tls_name, "");
}

TEST_F(NetDialerTest, AsksHostMetaOnceAllThatDnsToldHasFailed) {  // XEP-0156 2.2
  const Listener listener(reactor);
  const auto closed = closed_port(reactor);
  serve_dns({fmt::format("_xmpp-client._tcp.example.org. IN SRV 0 0 {} www.example.org.", closed),
             "www.example.org. IN A 127.0.0.1"});
  serve_host_meta(listener.port());
  const auto dialled = dial();
  ASSERT_TRUE(dialled) << dialled.error().message;
  EXPECT_TRUE(dialled->direct_tls);
  EXPECT_EQ(dialled->tls_name, "hosting.example");
  EXPECT_THAT(warnings, ElementsAre(fmt::format("127.0.0.1:{}: connection refused", closed)));
  EXPECT_FALSE(await_on(reactor, [&] { return dialer->next(); }));
  EXPECT_THAT(https->requests(), ElementsAre(kPath));
}

TEST_F(NetDialerTest, AsksNoHostMetaWithoutNameServers) {
  serve_dns({}, {"example.org"});
  serve_host_meta(1);
  EXPECT_FALSE(dial());
  EXPECT_THAT(https->requests(), IsEmpty());
}

TEST_F(NetDialerTest, AsksNoHostMetaPastDns) {
  serve_dns({"other.example. IN A 127.0.0.1"});
  serve_host_meta(1);
  EXPECT_FALSE(dial(fmt::format("127.0.0.1:{}", closed_port(reactor))));
  EXPECT_THAT(https->requests(), IsEmpty());
}

// A place that the server told: RFC 6120 4.9.3.19.
TEST_F(NetDialerTest, LooksUpAHostWithoutAPort) {
  const Listener listener(reactor);
  serve_dns({fmt::format("_xmpp-client._tcp.other.example. IN SRV 0 0 {} www.example.org.", listener.port()),
             "www.example.org. IN A 127.0.0.1", "other.example. IN A 127.0.0.1"});
  EXPECT_TRUE(dial("other.example"));
  EXPECT_TRUE(dial(fmt::format("other.example:{}", listener.port())));
  EXPECT_TRUE(dial(fmt::format("127.0.0.1:{}", listener.port())));
  for (const char* alone : {"127.0.0.1", "[::1]", "localhost", "b\u00fccher.example"})
    EXPECT_TRUE(make(alone)) << alone;
  for (const char* nonsense : {"a b", "a:b", "::1", "other.example:99999", "a@b", ":"})
    EXPECT_EQ(make(nonsense).error().code, Errc::invalid) << nonsense;
}

// XEP-0487 2.2: the certificate may be valid for the domain, although another name is asked for.
TEST_F(NetDialerTest, TakesTheDomainsCertificateWhereHostMetaSends) {
  Listener listener(reactor);
  serve_dns(
      {fmt::format("_xmpp-client._tcp.example.org. IN SRV 0 0 {} www.example.org.", closed_port(reactor)),
       "www.example.org. IN A 127.0.0.1"});
  serve_host_meta(listener.port());
  const auto core = std::make_shared<Core>(reactor, options);
  core->set_dialer([&](std::string host) { return make(std::move(host)); });
  Client client(core);
  client.connect();
  ASSERT_TRUE(turn_until(reactor, [&] { return !listener.accepted.empty() || client.ended(); }));
  ASSERT_FALSE(client.ended()) << client.outcome().text;
  net::testing::Owner owner;
  owner.stream = std::move(listener.accepted.front());
  ASSERT_TRUE(owner.stream->start_tls_server(net::TlsContext::make_server({files}).value()));
  reactor.post([&] { owner.stream->attach(reactor, owner); });
  EXPECT_TRUE(turn_until(reactor, [&] { return owner.got.contains("<stream:stream") || client.ended(); }));
  EXPECT_FALSE(client.ended()) << client.outcome().text;
  ASSERT_NE(owner.stream->tls(), nullptr);
  EXPECT_EQ(owner.stream->tls()->server_name, "hosting.example");
}

}  // namespace
}  // namespace starling::client

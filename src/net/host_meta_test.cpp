#include "net/host_meta.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/test_https_server.h"
#include "net/testing.h"
#include "support/dns_server.h"

namespace starling::net::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// XEP-0487 2.3, example 1
constexpr std::string_view kHostMeta2 = R"({
  "xmpp": {
    "ttl": 3000,
    "public-key-pins-sha-256": ["4/mggdlVx8A3pvHAWW5sD+qJyMtUHgiRuPjVC48N0XQ="]
  },
  "links": [
    {"rel": "urn:xmpp:alt-connections:websocket", "href": "wss://other.example.org/xmpp-websocket",
     "ips": ["1.2.3.4", "fd00:feed:dad:beef::1"], "priority": 15, "weight": 50, "sni": "example.org",
     "ech": "eG1wcC1jbGllbnQ="},
    {"rel": "urn:xmpp:alt-connections:tls", "port": 443,
     "ips": ["1.2.3.4", "fd00:feed:dad:beef::1"], "priority": 10, "weight": 50, "sni": "example.org",
     "ech": "eG1wcC1jbGllbnQ="},
    {"rel": "urn:xmpp:alt-connections:quic", "port": 443,
     "ips": ["1.2.3.4", "fd00:feed:dad:beef::1"], "priority": 5, "weight": 50, "sni": "example.org",
     "ech": "eG1wcC1jbGllbnQ="},
    {"rel": "urn:xmpp:alt-connections:s2s-websocket", "href": "wss://other.example.org/s2s-xmpp-websocket",
     "ips": ["1.2.3.4", "fd00:feed:dad:beef::1"], "priority": 15, "weight": 50, "sni": "example.org",
     "ech": "eG1wcC1jbGllbnQ="},
    {"rel": "urn:xmpp:alt-connections:s2s-tls", "port": 444,
     "ips": ["1.2.3.5"], "priority": 10, "weight": 50, "sni": "s2s.example.org",
     "ech": "eG1wcC1jbGllbnQ="},
    {"rel": "urn:xmpp:alt-connections:s2s-quic", "port": 443,
     "ips": ["1.2.3.4", "fd00:feed:dad:beef::1"], "priority": 5, "weight": 50, "sni": "example.org",
     "ech": "eG1wcC1jbGllbnQ="},
    {"rel": "urn:xmpp:alt-connections:xbosh", "href": "https://web.example.com:5280/bosh"}
  ]
})";

// XEP-0156 2.3, example 2
constexpr std::string_view kHostMeta = R"({"links": [
  {"rel": "urn:xmpp:alt-connections:xbosh", "href": "https://web.example.com:5280/bosh"},
  {"rel": "urn:xmpp:alt-connections:websocket", "href": "wss://web.example.com:443/ws"}]})";

TEST(HostMetaJson, tells_clients_of_direct_tls_and_their_urls) {
  const auto found = read_host_meta_json(kHostMeta2, Service::client);
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_THAT(found->targets,
              UnorderedElementsAre(Target{"1.2.3.4", 443, true, "example.org"},
                                   Target{"fd00:feed:dad:beef::1", 443, true, "example.org"}));
  EXPECT_THAT(found->websocket, ElementsAre("wss://other.example.org/xmpp-websocket"));
  EXPECT_THAT(found->bosh, ElementsAre("https://web.example.com:5280/bosh"));
}

TEST(HostMetaJson, tells_servers_of_what_is_theirs) {
  const auto found = read_host_meta_json(kHostMeta2, Service::server);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->targets, ElementsAre(Target{"1.2.3.5", 444, true, "s2s.example.org"}));
  EXPECT_THAT(found->websocket, IsEmpty());
  EXPECT_THAT(found->bosh, IsEmpty());
}

TEST(HostMetaJson, of_the_older_kind_has_urls_only) {
  const auto found = read_host_meta_json(kHostMeta, Service::client);
  ASSERT_TRUE(found);
  EXPECT_THAT(found->websocket, ElementsAre("wss://web.example.com:443/ws"));
  EXPECT_THAT(found->bosh, ElementsAre("https://web.example.com:5280/bosh"));
  // Links of direct TLS count only beside the "xmpp" object (XEP-0487 2.2).
  const auto no_object = read_host_meta_json(
      R"({"links": [{"rel": "urn:xmpp:alt-connections:tls", "port": 443, "ips": ["1.2.3.4"],
          "priority": 10, "weight": 50, "sni": "example.org"}]})",
      Service::client);
  EXPECT_TRUE(no_object->empty());
}

TEST(HostMetaJson, orders_targets_by_priority) {
  const auto link = [](int priority, const char* address) {
    return fmt::format(R"({{"rel": "urn:xmpp:alt-connections:tls", "port": 443, "ips": ["{}"], "priority": {},
                            "weight": 1, "sni": "example.org"}})",
                       address, priority);
  };
  const auto found = read_host_meta_json(fmt::format(R"({{"xmpp": {{}}, "links": [{}, {}, {}]}})",
                                                     link(3, "::3"), link(1, "::1"), link(2, "::2")),
                                         Service::client);
  ASSERT_EQ(found->targets.size(), 3U);
  EXPECT_EQ(found->targets[0].host, "::1");
  EXPECT_EQ(found->targets[2].host, "::3");
}

TEST(HostMetaJson, that_is_none_is_refused) {
  for (const std::string& text : {std::string(), std::string("<XRD/>"), std::string("[]"),
                                  std::string("null"), std::string("{\"links\": ["), std::string("\"\xFF\""),
                                  std::string(60'000, '['), std::string("{\"a\": 1e999}")}) {
    const auto found = read_host_meta_json(text, Service::client);
    ASSERT_FALSE(found) << text.substr(0, 20);
    EXPECT_EQ(found.error().code, Errc::invalid);
  }
  EXPECT_TRUE(read_host_meta_json(R"({"links": 7, "xmpp": []})", Service::client)->empty());
  EXPECT_TRUE(read_host_meta_json(R"({"xmpp": {}})", Service::client)->empty());
}

struct BadLink : ::testing::TestWithParam<const char*> {};

TEST_P(BadLink, is_left_out) {
  const std::string text = fmt::format(
      R"({{"xmpp": {{}}, "links": [{}, {{"rel": "urn:xmpp:alt-connections:xbosh", "href": "https://good.org"}}]}})",
      GetParam());
  const auto found = read_host_meta_json(text, Service::client);
  ASSERT_TRUE(found) << text;
  EXPECT_EQ(*found, (HostMeta{.bosh = {"https://good.org"}}));
}

INSTANTIATE_TEST_SUITE_P(
    Of, BadLink,
    ::testing::Values(
        "7", "null", "[]", "{}", R"({"rel": 7, "href": "https://a.org"})",
        R"({"rel": "urn:xmpp:alt-connections:websocket"})",
        R"({"rel": "urn:xmpp:alt-connections:websocket", "href": ["wss://a.org"]})",
        R"({"rel": "urn:xmpp:alt-connections:websocket", "href": "ws://a.org"})",
        R"({"rel": "urn:xmpp:alt-connections:websocket", "href": "https://a.org"})",
        R"({"rel": "urn:xmpp:alt-connections:xbosh", "href": "http://a.org"})",
        R"({"rel": "urn:xmpp:alt-connections:xbosh", "href": "https://a.org/\u0007"})",
        R"({"rel": "urn:xmpp:alt-connections:xbosh", "href": "https://a.org/\u00e9"})",
        R"({"rel": "urn:xmpp:alt-connections:xbosh", "href": "https://a.org/ b"})",
        R"({"rel": "urn:xmpp:alt-connections:tls", "port": 0.5, "ips": ["::1"], "priority": 1, "weight": 1, "sni": "a.org"})",
        R"({"rel": "urn:xmpp:alt-connections:tls", "port": -1, "ips": ["::1"], "priority": 1, "weight": 1, "sni": "a.org"})",
        R"({"rel": "urn:xmpp:alt-connections:tls", "port": 65536, "ips": ["::1"], "priority": 1, "weight": 1, "sni": "a.org"})",
        R"({"rel": "urn:xmpp:alt-connections:tls", "port": "443", "ips": ["::1"], "priority": 1, "weight": 1, "sni": "a.org"})",
        R"({"rel": "urn:xmpp:alt-connections:tls", "port": 443, "ips": ["::1"], "weight": 1, "sni": "a.org"})",
        R"({"rel": "urn:xmpp:alt-connections:tls", "port": 443, "ips": ["::1"], "priority": 1, "sni": "a.org"})",
        R"({"rel": "urn:xmpp:alt-connections:tls", "port": 443, "ips": ["::1"], "priority": 1, "weight": 1})",
        R"({"rel": "urn:xmpp:alt-connections:tls", "port": 443, "ips": ["::1"], "priority": 1, "weight": 1, "sni": "a\u0000.org"})",
        R"({"rel": "urn:xmpp:alt-connections:tls", "port": 443, "priority": 1, "weight": 1, "sni": "a.org"})",
        R"({"rel": "urn:xmpp:alt-connections:tls", "port": 443, "ips": "::1", "priority": 1, "weight": 1, "sni": "a.org"})",
        R"({"rel": "urn:xmpp:alt-connections:tls", "port": 443, "ips": [], "priority": 1, "weight": 1, "sni": "a.org"})",
        R"({"rel": "urn:xmpp:alt-connections:tls", "port": 443, "ips": ["a.org", 7, null], "priority": 1, "weight": 1, "sni": "a.org"})"));

TEST(HostMetaJson, is_taken_up_to_a_limit) {
  std::string addresses = "\"::1\"";
  for (int i = 0; i < 1000; ++i) addresses += ", \"::1\"";
  std::string urls;
  for (int i = 0; i < 100; ++i)
    urls += R"(, {"rel": "urn:xmpp:alt-connections:xbosh", "href": "https://a.org"})";
  const auto found = read_host_meta_json(
      fmt::format(
          R"({{"xmpp": {{}}, "links": [{{"rel": "urn:xmpp:alt-connections:tls", "port": 443, "ips": [{}],
                      "priority": 1, "weight": 1, "sni": "a.org"}}{}]}})",
          addresses, urls),
      Service::client);
  EXPECT_EQ(found->targets.size(), 64U);
  EXPECT_EQ(found->bosh.size(), 16U);
}

// Stands for the XML form, which this room does not know.
Result<Links> read_toy(std::string_view text) {
  if (text != "<XRD/>") return fail(Errc::invalid, "no XRD");
  return Links{{"urn:xmpp:alt-connections:websocket", "wss://of.xml"}};
}

constexpr const char* kJson = "/.well-known/host-meta.json";
constexpr const char* kXml = "/.well-known/host-meta";

struct HostMetaTest : ::testing::Test {
  static void SetUpTestSuite() {
    dns = std::make_unique<DnsServer>(
        DnsServer::Zones{.records = {"example.org. IN A 127.0.0.2", "example.org. IN AAAA ::1"}});
  }
  static void TearDownTestSuite() { dns.reset(); }
  static inline std::unique_ptr<DnsServer> dns;

  CertificateDirectory directory;
  CertificateFiles files = directory.certificate({"example.org", "www.example.org"});
  Reactor reactor;
  std::unique_ptr<Resolver> resolver =
      std::move(*Resolver::make(reactor, {.server = dns->address(), .hosts_file = false}));
  WorkerPool pool{1, 8};
  std::unique_ptr<HttpsServer> server;
  HostMetaOptions options{.ca_file = files.certificate};

  void serve(std::map<std::string, std::string> answers) {
    server = std::make_unique<HttpsServer>(files, std::move(answers));
    options.connect_to = server->address();
  }
  Result<HostMeta> fetch(const std::string& domain = "example.org", Service service = Service::client) {
    return await_on(reactor, [&] { return host_meta(*resolver, pool, domain, service, read_toy, options); });
  }
};

TEST_F(HostMetaTest, is_fetched_as_json) {
  serve({{kJson, page(kHostMeta2)}});
  const auto found = fetch();
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->targets.size(), 2U);
  EXPECT_THAT(server->requests(), ElementsAre(kJson));
}

TEST_F(HostMetaTest, is_fetched_as_xml_when_json_is_missing_or_of_no_use) {
  for (const std::string& json :
       {std::string("HTTP/1.1 404 Not Found\r\n\r\n") + std::string(100'000, 'x'),
        std::string("HTTP/1.1 403 Forbidden\r\n\r\n"), page("{}"), page("<html/>")}) {
    serve({{kJson, json}, {kXml, page("<XRD/>")}});
    const auto found = fetch();
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(*found, (HostMeta{.websocket = {"wss://of.xml"}}));
  }
}

TEST_F(HostMetaTest, may_be_missing) {
  serve({});
  const auto found = fetch();
  EXPECT_EQ(found.error().code, Errc::not_found);
  EXPECT_EQ(found.error().message, "https://example.org/.well-known/host-meta: HTTP status 404");
  serve({{kXml, page("<html/>")}});
  EXPECT_EQ(fetch().error().code, Errc::invalid);
}

TEST_F(HostMetaTest, has_nothing_for_servers_in_xml) {
  serve({{kXml, page("<XRD/>")}});
  EXPECT_EQ(fetch("example.org", Service::server).error().code, Errc::not_found);
  EXPECT_THAT(server->requests(), ElementsAre(kJson));
}

TEST_F(HostMetaTest, comes_from_a_server_that_is_trusted_and_meant) {
  serve({{kJson, page(kHostMeta2)}});
  EXPECT_EQ(fetch("example.net").error().code, Errc::unavailable);
  options.ca_file.clear();
  EXPECT_EQ(fetch().error().code, Errc::unavailable);
  EXPECT_THAT(server->requests(), IsEmpty());
}

TEST_F(HostMetaTest, may_be_elsewhere_under_https) {
  serve({{kJson, redirect("https://www.example.org/meta")}, {"/meta", page(kHostMeta2)}});
  EXPECT_TRUE(fetch());
  serve({{kJson, redirect("http://www.example.org/meta")}, {"/meta", page(kHostMeta2)}});
  EXPECT_EQ(fetch().error().code, Errc::unavailable);
  serve({{kJson, redirect(kJson)}});  // in circles
  EXPECT_EQ(fetch().error().code, Errc::unavailable);
  EXPECT_EQ(server->requests().size(), 6U);
}

TEST_F(HostMetaTest, is_not_read_beyond_its_limit) {
  serve({{kJson, page(std::string(65'537, ' '))}});
  EXPECT_EQ(fetch().error().code, Errc::unavailable);
  // without a length told before
  serve({{kJson, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + std::string(65'537, ' ')}});
  EXPECT_EQ(fetch().error().code, Errc::unavailable);
  serve({{kJson, page(std::string(kHostMeta2) + std::string(65'536 - kHostMeta2.size(), ' '))}});
  EXPECT_TRUE(fetch());
}

TEST_F(HostMetaTest, is_not_waited_for_beyond_its_time) {
  serve({{kJson, ""}});
  options.timeout = Milliseconds{150};
  const auto found = fetch();
  EXPECT_EQ(found.error().code, Errc::unavailable);
  EXPECT_THAT(found.error().message, HasSubstr("Timeout was reached"));
}

TEST_F(HostMetaTest, is_given_up_with_the_task_that_waits) {
  serve({{kJson, ""}});
  options.timeout = std::chrono::hours{1};
  std::optional<Running<Result<HostMeta>>> running;
  reactor.post([&] {
    running.emplace(start(host_meta(*resolver, pool, "example.org", Service::client, read_toy, options)));
  });
  ASSERT_TRUE(turn_until(reactor, [&] { return !server->requests().empty(); }));
  // Else the pool would wait for an hour; and it is quick, since whoever closes a client waits for it.
  const auto began = std::chrono::steady_clock::now();
  running.reset();
  EXPECT_TRUE(await_on(reactor, [&] { return pool.run([] { return true; }); }));
  EXPECT_LT(std::chrono::steady_clock::now() - began, Milliseconds{500});
}

TEST_F(HostMetaTest, is_looked_for_where_the_resolver_says) {
  const auto nowhere = fetch("nowhere.org");
  EXPECT_EQ(nowhere.error().code, Errc::not_found);
  EXPECT_EQ(nowhere.error().message, "nowhere.org has no A records");
}

TEST_F(HostMetaTest, is_not_asked_of_addresses_and_short_names) {
  serve({{kJson, page(kHostMeta2)}});
  for (const char* domain : {"127.0.0.1", "[::1]", "localhost", "a.localhost", "server", "server.", "a/b.org",
                             "user@example.org", "example.org:8443"}) {
    EXPECT_EQ(fetch(domain).error().code, Errc::not_found) << domain;
  }
  EXPECT_THAT(server->requests(), IsEmpty());
}

}  // namespace
}  // namespace starling::net::testing

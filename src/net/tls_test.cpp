#include "net/tls.h"

#include <atomic>
#include <iostream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <openssl/pem.h>
#include <sys/stat.h>

#include "net/testing.h"

namespace starling::net::testing {
namespace {

using std::chrono::days;
using std::chrono::system_clock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

std::shared_ptr<TlsContext> server_context(const std::vector<CertificateFiles>& files) {
  auto made = TlsContext::make_server(files);
  EXPECT_TRUE(made) << made.error().message;
  return made.value_or(nullptr);
}

struct Tls : ::testing::Test {
  CertificateDirectory directory;
  CertificateFiles files = directory.certificate({"example.org"});
  std::shared_ptr<TlsContext> for_server = server_context({files});
  std::shared_ptr<TlsContext> for_client = *TlsContext::make_client(files.certificate, false);
  Reactor reactor;
  Reactor other;
  Owner client;
  Owner server;
  RawClient raw;

  void connect(int buffer_bytes = 0) {
    const Ends ends = connect_loopback(buffer_bytes);
    client.stream = std::make_unique<TcpStream>(ends.client, "127.0.0.1");
    server.stream = std::make_unique<TcpStream>(ends.server, "127.0.0.1");
    client.stream->attach(reactor, client);
    server.stream->attach(reactor, server);
  }
  void start(std::string_view name = "example.org") {
    ASSERT_TRUE(server.stream->start_tls_server(for_server));
    ASSERT_TRUE(client.stream->start_tls_client(for_client, name));
  }
  void connect_tls(int buffer_bytes = 0) {
    connect(buffer_bytes);
    start();
    ASSERT_TRUE(until([&] { return client.stream->tls() != nullptr && server.stream->tls() != nullptr; }));
    settle(reactor);
  }
  // Our server, OpenSSL's client with the settings that raw.context has.
  void connect_raw(const char* name = nullptr) {
    const Ends ends = connect_loopback();
    server.stream = std::make_unique<TcpStream>(ends.server, "127.0.0.1");
    server.stream->attach(reactor, server);
    ASSERT_TRUE(server.stream->start_tls_server(for_server));
    raw.connect(ends.client, name);
    ASSERT_TRUE(until([&] { return raw.handshake(); }));
    settle(reactor);
  }
  bool until(const std::function<bool()>& done) { return turn_until(reactor, done); }
};

TEST_F(Tls, encrypts_both_ways_and_tells_what_was_agreed) {
  connect_tls();
  client.send("ping");
  server.send("pong");
  ASSERT_TRUE(until([&] { return server.got == "ping" && client.got == "pong"; }));
  const TlsInfo& info = *server.stream->tls();
  EXPECT_EQ(info.version, "TLSv1.3");
  EXPECT_THAT(std::string(info.cipher), HasSubstr("TLS_"));
  EXPECT_EQ(info.server_name, "example.org");
  EXPECT_EQ(info.alpn, "");
  EXPECT_FALSE(info.resumed);
  EXPECT_EQ(info.exporter_binding.size(), 32U);
  EXPECT_EQ(info.exporter_binding, client.stream->tls()->exporter_binding);
  EXPECT_EQ(info.end_point_binding.size(), 32U);
  EXPECT_EQ(info.end_point_binding, client.stream->tls()->end_point_binding);
  EXPECT_FALSE(server.stream->start_tls_server(for_server));
}

TEST_F(Tls, starts_after_plaintext_was_exchanged) {
  connect();
  client.send("<starttls/>");
  ASSERT_TRUE(until([&] { return server.got == "<starttls/>"; }));
  server.send("<proceed/>");
  ASSERT_TRUE(until([&] { return client.got == "<proceed/>"; }));
  start();
  client.send("secret");  // too early: on_writable() follows
  ASSERT_EQ(client.unsent, "secret");
  EXPECT_TRUE(until([&] { return server.got == "<starttls/>secret"; }));
}

TEST_F(Tls, fails_on_plaintext_that_follows_the_request) {
  connect();
  client.send("<message>injected</message>");
  ASSERT_TRUE(server.stream->start_tls_server(for_server));
  ASSERT_TRUE(until([&] { return !server.error.empty(); }));
  EXPECT_EQ(server.got, "");
  EXPECT_EQ(server.stream->tls(), nullptr);
  EXPECT_FALSE(has_events(reactor));
}

TEST_F(Tls, carries_much_both_ways_through_small_buffers) {
  connect_tls(16 * 1024);
  const std::string text = long_text(2'000'000);
  client.send(text);
  server.send(text);
  EXPECT_FALSE(client.unsent.empty());
  ASSERT_TRUE(until([&] { return client.got.size() == text.size() && server.got.size() == text.size(); }));
  EXPECT_EQ(client.got, text);
  EXPECT_EQ(server.got, text);
}

// What write() has said it took arrives, whole, though the sender dies at once.
TEST_F(Tls, has_given_to_the_kernel_what_write_took) {
  connect_tls(16 * 1024);
  server.stream->pause_reading(true);
  const std::string text = long_text(1'000'000);
  std::size_t taken = 0;
  for (;;) {
    const IoResult result = client.stream->write(std::string_view(text).substr(taken));
    if (result.status != Status::ok) break;
    taken += result.bytes;
  }
  ASSERT_GT(taken, 0U);
  ASSERT_LT(taken, text.size());
  client.stream.reset();
  server.stream->pause_reading(false);
  ASSERT_TRUE(until([&] { return server.closed || !server.error.empty(); }));
  EXPECT_EQ(server.got, text.substr(0, taken));
}

TEST_F(Tls, refuses_a_shorter_repetition_of_a_half_sent_record) {
  connect_tls(16 * 1024);
  const std::string text = long_text(1'000'000);
  client.send(text);
  ASSERT_FALSE(client.unsent.empty());
  EXPECT_EQ(client.stream->write("x").status, Status::error);
}

// Read-ahead has the bytes in the TLS object, where no event tells of them.
TEST_F(Tls, delivers_what_was_read_ahead_to_an_owner_that_stops_early) {
  connect_tls();
  server.one_read_a_turn = true;
  server.read_size = 5;
  for (int i = 0; i < 20; ++i) client.send("0123456789");
  EXPECT_TRUE(until([&] { return server.got.size() == 200; }));
}

TEST_F(Tls, delivers_what_was_read_ahead_when_a_pause_ends) {
  connect_tls();
  server.one_read_a_turn = true;
  server.read_size = 5;
  server.after_read = [&] { server.stream->pause_reading(true); };
  client.send("0123456789");
  ASSERT_TRUE(until([&] { return server.got == "01234"; }));
  settle(reactor);
  EXPECT_EQ(server.got, "01234");
  server.stream->pause_reading(false);
  EXPECT_TRUE(until([&] { return server.got == "0123456789"; }));
}

TEST_F(Tls, delivers_what_was_read_ahead_after_a_move) {
  connect_tls();
  server.one_read_a_turn = true;
  server.read_size = 5;
  server.after_read = [&, moved = false]() mutable {
    if (!std::exchange(moved, true)) server.stream->detach();
  };
  client.send("0123456789");
  ASSERT_TRUE(until([&] { return server.got == "01234"; }));
  settle(reactor);
  server.stream->attach(other, server);
  EXPECT_EQ(server.got, "01234");
  EXPECT_TRUE(turn_until(other, [&] { return server.got == "0123456789"; }));
}

TEST_F(Tls, ends_with_close_notify_and_leaves_the_other_way_open) {
  connect_tls();
  client.send("last words");
  client.stream->shutdown_write();
  ASSERT_TRUE(until([&] { return server.closed; }));
  EXPECT_EQ(server.got, "last words");
  EXPECT_EQ(server.error, "");
  server.send("answer");
  EXPECT_TRUE(until([&] { return client.got == "answer"; }));
  server.stream->shutdown_write();
  EXPECT_TRUE(until([&] { return client.closed; }));
}

TEST_F(Tls, takes_an_end_without_close_notify_as_an_end) {
  connect_tls();
  client.stream.reset();
  ASSERT_TRUE(until([&] { return server.closed || !server.error.empty(); }));
  EXPECT_EQ(server.error, "");
}

TEST_F(Tls, takes_an_end_within_the_handshake_as_an_end) {
  connect();
  ASSERT_TRUE(server.stream->start_tls_server(for_server));
  settle(reactor);
  client.stream.reset();
  ASSERT_TRUE(until([&] { return server.closed || !server.error.empty(); }));
  EXPECT_EQ(server.error, "");
  EXPECT_EQ(server.stream->tls(), nullptr);
}

TEST_F(Tls, refuses_version_1_1) {
  SSL_CTX_set_cipher_list(raw.context.get(), "ALL:@SECLEVEL=0");
  SSL_CTX_set_min_proto_version(raw.context.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(raw.context.get(), TLS1_1_VERSION);
  connect_raw();
  EXPECT_THAT(raw.failure, HasSubstr("protocol version"));
  EXPECT_EQ(server.stream->tls(), nullptr);
  EXPECT_NE(server.error, "");
}

TEST_F(Tls, speaks_1_2_with_forward_secrecy_only) {
  SSL_CTX_set_max_proto_version(raw.context.get(), TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(raw.context.get(), "ALL:@SECLEVEL=0");
  connect_raw();
  ASSERT_NE(server.stream->tls(), nullptr) << raw.failure;
  EXPECT_EQ(server.stream->tls()->version, "TLSv1.2");
  EXPECT_THAT(std::string(server.stream->tls()->cipher), HasSubstr("ECDHE-ECDSA-"));
}

TEST_F(Tls, refuses_ciphers_without_authenticated_encryption) {
  SSL_CTX_set_max_proto_version(raw.context.get(), TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(raw.context.get(), "ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0");
  connect_raw();
  EXPECT_NE(raw.failure, "");
  EXPECT_EQ(server.stream->tls(), nullptr);
}

TEST_F(Tls, compresses_nothing_and_takes_no_early_data) {
  SSL_CTX_clear_options(raw.context.get(), SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_max_proto_version(raw.context.get(), TLS1_2_VERSION);
  connect_raw();
  ASSERT_NE(server.stream->tls(), nullptr);
  EXPECT_EQ(SSL_get_current_compression(raw.ssl.get()), nullptr);
  const std::unique_ptr<SSL, Freer<SSL_free>> ssl(*for_server->new_server());
  EXPECT_NE(SSL_get_options(ssl.get()) & SSL_OP_NO_COMPRESSION, 0U);
  EXPECT_EQ(SSL_get_max_early_data(ssl.get()), 0U);
}

TEST_F(Tls, does_not_renegotiate) {
  SSL_CTX_set_max_proto_version(raw.context.get(), TLS1_2_VERSION);
  connect_raw();
  ASSERT_NE(server.stream->tls(), nullptr);
  ASSERT_EQ(SSL_write(raw.ssl.get(), "before", 6), 6);
  ASSERT_TRUE(until([&] { return server.got == "before"; }));
  ASSERT_EQ(SSL_renegotiate(raw.ssl.get()), 1);
  std::string got;
  ASSERT_TRUE(until([&] { return raw.handshake() && (!raw.failure.empty() || raw.read(got)); }));
  EXPECT_THAT(raw.failure, HasSubstr("no renegotiation"));
  // The server has neither begun again nor fallen over; the client gives up.
  settle(reactor);
  EXPECT_EQ(server.got, "before");
  EXPECT_FALSE(server.stream->handshaking());
  ::close(std::exchange(raw.fd, -1));
  EXPECT_TRUE(until([&] { return server.closed || !server.error.empty(); }));
}

TEST_F(Tls, gives_a_binding_in_1_2_only_with_the_extended_master_secret) {
  SSL_CTX_set_max_proto_version(raw.context.get(), TLS1_2_VERSION);
  connect_raw();
  ASSERT_NE(server.stream->tls(), nullptr);
  std::string expected(32, '\0');
  const unsigned char empty = 0;
  ASSERT_EQ(SSL_export_keying_material(raw.ssl.get(), reinterpret_cast<unsigned char*>(expected.data()), 32,
                                       "EXPORTER-Channel-Binding", 24, &empty, 0, 1),
            1);
  EXPECT_EQ(server.stream->tls()->exporter_binding, expected);
}

TEST_F(Tls, gives_no_binding_in_1_2_without_the_extended_master_secret) {
  SSL_CTX_set_max_proto_version(raw.context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(raw.context.get(), SSL_OP_NO_EXTENDED_MASTER_SECRET);
  connect_raw();
  ASSERT_NE(server.stream->tls(), nullptr);
  EXPECT_EQ(server.stream->tls()->exporter_binding, "");
  EXPECT_EQ(server.stream->tls()->end_point_binding.size(), 32U);
}

TEST_F(Tls, chooses_its_protocol_among_those_offered) {
  const unsigned char offered[] = "\x02h2\x0bxmpp-client";
  SSL_CTX_set_alpn_protos(raw.context.get(), offered, sizeof offered - 1);
  connect_raw();
  ASSERT_NE(server.stream->tls(), nullptr);
  EXPECT_EQ(server.stream->tls()->alpn, "xmpp-client");
}

TEST_F(Tls, turns_away_a_client_that_offers_other_protocols_only) {
  const unsigned char offered[] = "\x02h2\x0bxmpp-server";
  SSL_CTX_set_alpn_protos(raw.context.get(), offered, sizeof offered - 1);
  connect_raw();
  EXPECT_THAT(raw.failure, HasSubstr("no application protocol"));
  EXPECT_EQ(server.stream->tls(), nullptr);
}

TEST_F(Tls, offers_its_protocol_on_direct_TLS) {
  for_client = *TlsContext::make_client(files.certificate, false, TlsContext::Use::direct);
  connect_tls();
  EXPECT_EQ(server.stream->tls()->alpn, "xmpp-client");
}

TEST_F(Tls, offers_the_protocol_of_servers_to_one) {
  for_client = *TlsContext::make_client(files.certificate, false, TlsContext::Use::direct, Service::server);
  connect();
  start();
  ASSERT_TRUE(until([&] { return !client.error.empty(); }));
  EXPECT_THAT(client.error, HasSubstr("no application protocol"));  // ours is for clients
}

TEST_F(Tls, resumes_a_session_by_a_single_ticket) {
  static SSL_SESSION* ticket = nullptr;
  static int tickets = 0;
  tickets = 0;
  SSL_CTX_set_session_cache_mode(raw.context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(raw.context.get(), [](SSL*, SSL_SESSION* session) {
    ++tickets;
    SSL_SESSION_free(std::exchange(ticket, session));
    return 1;
  });
  connect_raw();
  server.send("x");
  std::string got;
  ASSERT_TRUE(until([&] { return raw.read(got); }));
  EXPECT_EQ(tickets, 1);
  ASSERT_NE(ticket, nullptr);
  EXPECT_FALSE(server.stream->tls()->resumed);
  SSL_shutdown(raw.ssl.get());  // or OpenSSL spoils the session
  ::close(raw.fd);
  const Ends ends = connect_loopback();
  server.stream = std::make_unique<TcpStream>(ends.server, "127.0.0.1");
  server.stream->attach(reactor, server);
  ASSERT_TRUE(server.stream->start_tls_server(for_server));
  raw.connect(ends.client);
  SSL_set_session(raw.ssl.get(), ticket);
  ASSERT_TRUE(until([&] { return raw.handshake() && server.stream->tls() != nullptr; }));
  EXPECT_TRUE(server.stream->tls()->resumed);
  EXPECT_EQ(server.stream->tls()->exporter_binding.size(), 32U);
  SSL_SESSION_free(std::exchange(ticket, nullptr));
}

struct TlsNames : Tls {
  // The first name of the certificate that a client asking for `name` is shown.
  std::string shown(const char* name) {
    raw.ssl.reset();
    if (raw.fd >= 0) ::close(std::exchange(raw.fd, -1));
    connect_raw(name);
    EXPECT_EQ(raw.failure, "");
    const CertificatePtr shown(SSL_get1_peer_certificate(raw.ssl.get()));
    return shown ? status_of(shown.get()).names.front() : "none";
  }
};

TEST_F(TlsNames, choose_the_certificate) {
  for_server = server_context({files, directory.certificate({"second.example", "also.example"}),
                               directory.certificate({"*.wild.example"}),
                               directory.certificate({"deep.wild.example"})});
  EXPECT_EQ(shown("example.org"), "example.org");
  EXPECT_EQ(shown("second.example"), "second.example");
  EXPECT_EQ(shown("ALSO.Example"), "second.example");
  EXPECT_EQ(shown("a.wild.example"), "*.wild.example");
  EXPECT_EQ(shown("deep.wild.example"), "*.wild.example");  // in the order of preference
  EXPECT_EQ(shown("wild.example"), "example.org");
  EXPECT_EQ(shown("a.b.wild.example"), "example.org");
  EXPECT_EQ(shown("unknown.example"), "example.org");
  EXPECT_EQ(shown(nullptr), "example.org");
}

TEST_F(Tls, refuses_a_server_with_another_name) {
  connect();
  start("example.com");
  ASSERT_TRUE(until([&] { return !client.error.empty() && !server.error.empty(); }));
  EXPECT_EQ(client.error, "hostname mismatch");
  EXPECT_EQ(client.stream->tls(), nullptr);
}

TEST_F(Tls, refuses_a_server_that_nobody_vouches_for) {
  for_client = *TlsContext::make_client("", false);
  connect();
  start();
  ASSERT_TRUE(until([&] { return !client.error.empty(); }));
  EXPECT_THAT(client.error, HasSubstr("self-signed certificate"));
}

TEST_F(Tls, refuses_an_expired_server_and_an_insecure_client_takes_it) {
  files = directory.certificate({"example.org"}, system_clock::now() - days{400});
  for_server = server_context({files});
  for_client = *TlsContext::make_client(files.certificate, false);
  connect();
  start();
  ASSERT_TRUE(until([&] { return !client.error.empty(); }));
  EXPECT_EQ(client.error, "certificate has expired");
  for_client = *TlsContext::make_client("", true);
  client.error.clear();
  connect_tls();
  EXPECT_EQ(client.error, "");
}

TEST_F(Tls, checks_a_server_that_is_an_address) {
  files = directory.certificate({"127.0.0.1"});
  for_server = server_context({files});
  for_client = *TlsContext::make_client(files.certificate, false);
  connect();
  start("127.0.0.1");
  ASSERT_TRUE(until([&] { return server.stream->tls() != nullptr; })) << client.error;
  EXPECT_EQ(server.stream->tls()->server_name, "");
  connect();
  start("127.0.0.2");
  EXPECT_TRUE(until([&] { return client.error == "IP address mismatch"; }));
  EXPECT_FALSE(for_client->new_client(""));
}

// An idle session's TLS: what the documentation promises is what is allocated.
TEST_F(Tls, keeps_a_small_object_for_each_idle_session) {
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "sanitizers have an allocator of their own";
#else
  constexpr std::size_t kSessions = 300;
  raise_descriptor_limit();
  std::vector<std::unique_ptr<RawClient>> clients;
  std::vector<Owner> servers(kSessions + 1);
  std::size_t allocated = 0;
  // The clients' share is left out: only the server's steps are counted. The first session warms up.
  const auto counted = [&](const auto& step) {
    const std::size_t before = ::mallinfo2().uordblks;
    step();
    allocated += ::mallinfo2().uordblks - before;
  };
  for (std::size_t i = 0; i <= kSessions; ++i) {
    if (i == 1) allocated = 0;
    const Ends ends = connect_loopback();
    Owner& owner = servers[i];
    counted([&] {
      owner.stream = std::make_unique<TcpStream>(ends.server, "127.0.0.1");
      owner.stream->attach(reactor, owner);
      ASSERT_TRUE(owner.stream->start_tls_server(for_server));
    });
    clients.push_back(std::make_unique<RawClient>());
    clients.back()->connect(ends.client);
    bool done = false;
    while (!done || owner.stream->handshaking()) {
      done = done || clients.back()->handshake();
      counted([&] { reactor.turn(Milliseconds{1}); });
    }
    SSL_write(clients.back()->ssl.get(), "x", 1);
    counted([&] { ASSERT_TRUE(turn_until(reactor, [&] { return owner.got == "x"; })); });
  }
  const std::size_t each = allocated / kSessions;
  std::cout << "bytes of heap for each idle TLS session: " << each << "\n";
  EXPECT_LT(each, 17U * 1024);
  EXPECT_NEAR(static_cast<double>(servers[1].stream->memory_bytes()), static_cast<double>(each), 2048.0);
#endif
}

TEST_F(Tls, names_the_file_that_cannot_be_used) {
  const auto message = [](const CertificateFiles& pair) {
    const auto made = TlsContext::make_server({pair});
    return made ? std::string("made") : made.error().message;
  };
  const std::string nothing = directory.file("nothing.pem");
  const std::string text = directory.write("text.pem", "no certificate at all");
  const std::string damaged =
      directory.write("damaged.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  EXPECT_EQ(message({nothing, files.key}),
            "cannot read the certificate " + nothing + ": No such file or directory");
  EXPECT_EQ(message({files.certificate, nothing}),
            "cannot read the key " + nothing + ": No such file or directory");
  EXPECT_EQ(message({text, files.key}), text + " holds no PEM certificate");
  EXPECT_THAT(message({damaged, files.key}), HasSubstr(damaged + " holds a damaged certificate"));
  EXPECT_THAT(message({files.certificate, text}), HasSubstr(text + " holds no PEM private key"));
  EXPECT_THAT(message({directory.path(), files.key}), HasSubstr("Is a directory"));
  const CertificateFiles others = directory.certificate({"other.example"});
  EXPECT_EQ(message({files.certificate, others.key}),
            "the key " + others.key + " does not fit the certificate " + files.certificate);
  EXPECT_FALSE(TlsContext::make_server({}));
  EXPECT_THAT(TlsContext::make_client(nothing, false).error().message, HasSubstr(nothing));
}

TEST_F(Tls, asks_nobody_for_a_passphrase) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  const BioPtr out(BIO_new(BIO_s_mem()));
  ASSERT_EQ(
      PEM_write_bio_PKCS8PrivateKey(out.get(), key.get(), EVP_aes_128_cbc(), "secret", 6, nullptr, nullptr),
      1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  const std::string locked = directory.write("locked.key", {data, static_cast<std::size_t>(size)});
  EXPECT_THAT(TlsContext::make_server({{files.certificate, locked}}).error().message,
              HasSubstr("passphrase"));
}

TEST_F(Tls, takes_an_expired_certificate_with_a_warning) {
  const CertificateFiles old = directory.certificate({"example.org"}, system_clock::now() - days{400});
  ::testing::internal::CaptureStderr();
  const auto made = TlsContext::make_server({old});
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(made);
  EXPECT_THAT(log, HasSubstr(old.certificate + " has expired"));
}

struct SelfSigned : ::testing::Test {
  CertificateDirectory directory;
  system_clock::time_point now = system_clock::now();

  CertificateFiles ensure(const std::vector<std::string>& domains) {
    const auto made = ensure_self_signed(domains, directory.path(), now);
    EXPECT_TRUE(made) << made.error().message;
    return made.value_or(CertificateFiles{});
  }
  static std::string content(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static unsigned mode(const std::string& path) {
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
    return status.st_mode & 0777U;
  }
};

TEST_F(SelfSigned, names_every_domain_and_lasts_a_year) {
  const CertificateFiles files = ensure({"example.org", "conference.example.org", "::1"});
  EXPECT_EQ(files.certificate, directory.file("tls/self-signed.crt"));
  EXPECT_EQ(files.key, directory.file("tls/self-signed.key"));
  EXPECT_EQ(mode(files.key), 0600U);
  EXPECT_EQ(mode(files.certificate), 0600U);
  EXPECT_EQ(mode(directory.file("tls")), 0700U);
  const auto context = server_context({files});
  ASSERT_NE(context, nullptr);
  const CertificateStatus& status = context->certificates().front();
  EXPECT_THAT(status.names, ElementsAre("example.org", "conference.example.org", "::1"));
  EXPECT_TRUE(status.self_signed);
  EXPECT_LE(status.not_before, now);
  EXPECT_GT(status.not_after, now + days{364});
  EXPECT_LT(status.not_after, now + days{366});
  EXPECT_EQ(read_certificate_status(files.certificate)->names, status.names);
}

TEST_F(SelfSigned, is_kept_while_it_is_good) {
  const std::string first = content(ensure({"a.example", "b.example"}).certificate);
  now += days{334};
  EXPECT_EQ(content(ensure({"b.example", "a.example"}).certificate), first);
}

TEST_F(SelfSigned, is_renewed_in_time) {
  const std::string first = content(ensure({"a.example"}).certificate);
  now += days{336};
  const CertificateFiles files = ensure({"a.example"});
  EXPECT_NE(content(files.certificate), first);
  EXPECT_GT(read_certificate_status(files.certificate)->not_after, now + days{364});
}

TEST_F(SelfSigned, is_renewed_when_the_domains_differ) {
  ensure({"a.example"});
  EXPECT_THAT(read_certificate_status(ensure({"a.example", "b.example"}).certificate)->names,
              UnorderedElementsAre("a.example", "b.example"));
}

TEST_F(SelfSigned, is_made_anew_when_key_and_certificate_do_not_fit) {
  const CertificateFiles files = ensure({"a.example"});
  CertificateDirectory elsewhere;
  std::filesystem::copy_file(elsewhere.certificate({"a.example"}).key, files.key,
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_FALSE(TlsContext::make_server({files}));
  EXPECT_TRUE(TlsContext::make_server({ensure({"a.example"})}));
}

TEST_F(SelfSigned, refuses_names_that_a_certificate_cannot_hold) {
  for (const auto* bad : {"", "m\xc3\xbcnchen.example", "a.example,DNS:b.example", "a b", "*."})
    EXPECT_FALSE(ensure_self_signed({bad}, directory.path(), now)) << bad;
  EXPECT_FALSE(ensure_self_signed({}, directory.path(), now));
  const auto nowhere = ensure_self_signed({"a.example"}, "/proc/nowhere", now);
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().message, HasSubstr("/proc/nowhere"));
}

// A session moves between two running reactors again and again while both sides send.
TEST(TlsThreaded, moves_a_stream_in_the_midst_of_traffic) {
  constexpr int kMoves = 50;
  CertificateDirectory directory;
  const CertificateFiles files = directory.certificate({"example.org"});
  const auto for_server = server_context({files});
  const auto for_client = *TlsContext::make_client(files.certificate, false);
  const std::string text = long_text(3'000'000);
  std::array<Reactor, 2> homes;
  Reactor client_reactor;
  Owner client;
  Owner server;
  const Ends ends = connect_loopback(32 * 1024);
  client.stream = std::make_unique<TcpStream>(ends.client, "127.0.0.1");
  server.stream = std::make_unique<TcpStream>(ends.server, "127.0.0.1");

  std::atomic<bool> done{false};
  int moves = 0;
  std::size_t home = 0;
  server.after_read = [&] {
    if (server.got.size() == text.size()) done = true;
    if (server.stream->handshaking() || moves == kMoves) return;
    if (moves++ == 0) server.send(text);
    server.stream->detach();
    home = 1 - home;
    homes[home].post([&] { server.stream->attach(homes[home], server); });
  };
  std::vector<std::thread> threads;
  threads.reserve(homes.size());
  for (Reactor& reactor : homes) threads.emplace_back([&] { reactor.run(); });
  homes[0].post([&] {
    server.stream->attach(homes[0], server);
    ASSERT_TRUE(server.stream->start_tls_server(for_server));
  });
  client.stream->attach(client_reactor, client);
  ASSERT_TRUE(client.stream->start_tls_client(for_client, "example.org"));
  client.send(text);
  EXPECT_TRUE(turn_until(client_reactor, [&] { return client.got.size() == text.size() && done; }))
      << client.got.size() << " of " << text.size();
  for (Reactor& reactor : homes) reactor.stop();
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(client.got, text);
  EXPECT_EQ(server.got, text);
  EXPECT_EQ(moves, kMoves);
  server.stream.reset();
  client.stream.reset();
}

}  // namespace
}  // namespace starling::net::testing

#include "support/test_host.h"

#include <stdexcept>

#include "base/crypto.h"
#include "modules/all.h"
#include "storage/memory/memory_store.h"
#include "stream/sasl/mechanism.h"

namespace starling {

TestClient::TestClient(TestHost& host, std::unique_ptr<MemoryStream> stream)
    : host_(host), stream_(std::move(stream)) {
  stream_->attach(host_.loop(), *this);
}

TestClient::~TestClient() = default;

void TestClient::on_readable() {
  std::array<char, 4096> buffer;
  for (;;) {
    const net::IoResult got = stream_->read(buffer);
    if (got.status == net::IoResult::Status::would_block) return;
    if (got.status != net::IoResult::Status::ok) {
      closed_ = true;
      return;
    }
    received_.append(buffer.data(), got.bytes);
  }
}

void TestClient::send_raw(std::string_view bytes) {
  if (closed_) return;
  host_.loop().in_turn([&] { static_cast<void>(stream_->write(bytes)); });
}

void TestClient::send(std::string_view xml) {
  send_raw(xml);
  host_.settle();
}

void TestClient::disconnect() {
  host_.loop().in_turn([&] {
    stream_->detach();
    stream_.reset();
  });
  closed_ = true;
  host_.settle();
}

void TestClient::open(std::string_view domain) {
  send(
      fmt::format("<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
                  "xmlns:stream='http://etherx.jabber.org/streams' "
                  "to='{}' version='1.0'>",
                  domain));
}

void TestClient::login(std::string_view jid) {
  const Jid full = Jid::parse(jid).value();
  open(full.domain());
  const std::string secret = std::string(1, '\0').append(full.local()).append(1, '\0').append(full.local());
  send(fmt::format("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>",
                   crypto::base64_encode(secret)));
  open(full.domain());
  take();
  send(
      fmt::format("<iq type='set' id='bind'><bind "
                  "xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>{}</resource></bind></iq>",
                  full.resource()));
  const std::string answer = take();
  const auto from = answer.find("<jid>"), to = answer.find("</jid>");
  if (from == std::string::npos) throw std::runtime_error("no resource was bound: " + answer);
  bound_ = answer.substr(from + 5, to - from - 5);
}

std::string TestClient::take() { return std::exchange(received_, {}); }

std::vector<std::string> TestClient::stanzas() {
  std::vector<std::string> all;
  const std::string text = take();
  // Parsed under a header of our own, so that every stanza is looked at, whatever was taken before.
  xml::StreamParser parser;
  std::string_view header =
      "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
  if (text.starts_with("<?xml")) header = {};
  static_cast<void>(parser.next(header));
  std::string_view input = text;
  for (;;) {
    auto event = parser.next(input);
    if (auto* document = std::get_if<xml::Document>(&event)) {
      if (document->root().name() != "features") all.emplace_back(document->root().bytes());
    } else if (!std::holds_alternative<xml::StreamHeader>(event)) {
      if (auto* error = std::get_if<xml::ParseError>(&event))
        all.push_back("not XML: " + error->message + ": " + text);
      return all;
    }
  }
}

server::Config TestHost::default_config() {
  server::Config config;
  config.tls.policy = server::TlsPolicy::optional;
  config.auth.plain_without_tls = true;
  config.limits.rate = false;
  return config;
}

TestHost::TestHost(server::Config config, std::size_t shards)
    : TestHost(std::move(config), shards, modules::all) {}

TestHost::TestHost(server::Config config, std::size_t shards, const server::ModuleFactory& modules)
    : config_(std::move(config)),
      shards_(shards),
      modules_(modules),
      store_(std::make_unique<storage::faulty::FaultyStore>(std::make_unique<storage::MemoryStore>())),
      pool_(0, 0),
      accounts_(*store_, pool_) {
  start();
}

void TestHost::start() {
  const std::vector<Loop*> loops(shards_, &loop_);
  loop_.in_turn(
      [&] { core_ = std::make_unique<server::Core>(config_, *store_, accounts_, loops, modules_); });
  const Result<void> prepared = loop_.get([&] { return core_->prepare(); });
  if (!prepared) throw std::runtime_error(prepared.error().message);
}

void TestHost::restart() {
  loop_.settle();
  store_->fail_all(true);  // what its last turns would write is not written
  stop();
  loop_.in_turn([&] { core_.reset(); });
  store_->fail_all(false);
  start();
}

TestHost::~TestHost() {
  stop();
  clients_.clear();
  loop_.in_turn([&] { core_.reset(); });
}

void TestHost::stop() {
  loop_.in_turn([&] {
    for (std::size_t i = 0; i < core_->shard_count(); ++i) core_->shard(i).drop_connections();
  });
  loop_.settle();
  loop_.advance(std::chrono::minutes(5));  // whatever waits for a timer ends
}

void TestHost::add_account(std::string_view bare_jid) {
  constexpr unsigned kFewIterations = 16;  // tests log in often
  const Jid jid = Jid::parse(bare_jid).value();
  const auto keys = [&](crypto::Hash hash) {
    auto made = sasl::derive_keys(hash, jid.local(), crypto::random_bytes(sasl::kSaltBytes), kFewIterations);
    return storage::ScramKeys{std::move(made.salt), std::move(made.stored_key), std::move(made.server_key),
                              made.iterations};
  };
  storage::Account account{
      .jid = jid.text(), .sha1 = keys(crypto::Hash::sha1), .sha256 = keys(crypto::Hash::sha256)};
  storage::Batch batch;
  batch.emplace_back(storage::PutAccount{std::move(account), true});
  auto added = loop_.get([&] { return store_->commit(std::move(batch)); });
  if (!added && added.error().code != Errc::conflict) throw std::runtime_error(added.error().message);
}

TestClient& TestHost::connect(const MemoryPairOptions& options) {
  MemoryPair pair = memory_pair(options);
  loop_.in_turn([&] {
    std::unique_ptr<MemoryStream> server_side = std::move(pair.first);
    clients_.push_back(std::make_unique<TestClient>(*this, std::move(pair.second)));
    server::Shard& shard = core_->shard(clients_.size() % core_->shard_count());
    static_cast<void>(core_->admit(server_side->peer_address()));
    std::make_shared<server::Connection>(shard, std::move(server_side), server::Transport::starttls, nullptr)
        ->start();
  });
  loop_.settle();
  return *clients_.back();
}

TestClient& TestHost::login(std::string_view full_jid, const MemoryPairOptions& options) {
  add_account(std::string(full_jid.substr(0, full_jid.find('/'))));
  TestClient& client = connect(options);
  client.login(full_jid);
  return client;
}

}  // namespace starling

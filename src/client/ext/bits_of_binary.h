#pragma once
// Bits of Binary (XEP-0231): small data that stanzas refer to by a hash ("cid"), and that is fetched from
// whoever mentioned it, or comes along.
//
//   auto& bob = client.use<BitsOfBinary>();
//   const auto cid = bob.publish({.data = png, .type = "image/png"});
//   bob.fetch(peer, cid).then([](Outcome<BitsOfBinary::Bits> got) { ... });
//
// What a peer sends is taken only if the hash is that of the data; a name without a hash that we know is kept
// for that peer alone (2.4). Everything is gone with the client (2.4).
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "client/client.h"

namespace starling::client {

class BitsOfBinary final : public Extension {
 public:
  struct Settings {
    std::size_t most_bytes = 65'536;      // of one; the XEP wants no more than 8 KiB (2.1)
    std::size_t cache_bytes = 1'048'576;  // of all that was received; the longest unused go first
  };

  struct Bits {
    std::string data{};
    std::string type{};  // "image/png"
    // Seconds to keep it; 0: not at all; nothing: while the client runs.
    std::optional<std::uint64_t> max_age{};
    std::string cid{};  // "sha1+8f35...@bob.xmpp.org"; made of the data when empty
    bool operator==(const Bits&) const = default;
  };

  explicit BitsOfBinary(Client& client);
  [[nodiscard]] Info info() const override;

  Settings settings;

  // What came along in a message or presence, from `from`.
  Signal<const Jid&, const Bits&> received{"bob"};
  // Somebody asked for what is published, and the answer has been sent: who, and its cid.
  Signal<const Jid&, std::string_view> given{"bob_given"};

  // Gives it to everybody who asks, until it is withdrawn. Returns its cid; the error is `limit` or `invalid`
  // (no type, a cid that is not of the data).
  Result<std::string> publish(Bits bits);
  void withdraw(std::string_view cid);

  // From ourselves, from the cache, or from `from`. `malformed`: the data is not what the cid says, or more
  // than most_bytes.
  Request<Bits> fetch(const Jid& from, std::string cid);

  // What is at hand without asking, or nothing.
  [[nodiscard]] std::optional<Bits> find(std::string_view cid, const Jid& from = {});

  static std::string cid_of(std::string_view data);
  // <data/>, for Message::extra and Presence::extra: of less than 1 KiB, says 2.1.
  static std::string to_xml(const Bits& bits);

 private:
  struct Cached {
    std::string key;
    Bits bits;
    std::optional<SteadyTime> until;

    // About what it takes.
    [[nodiscard]] std::size_t bytes() const {
      return sizeof(Cached) + 2 * key.size() + bits.cid.size() + bits.type.size() + bits.data.size();
    }
  };
  using Cache = std::list<Cached>;  // the last used one first

  [[nodiscard]] Outcome<Bits> parse(const xml::Element& data) const;
  void keep(const Jid& from, const Bits& bits);
  void drop(Cache::iterator at);
  void take_along(const Stanza& stanza);

  Client& client_;
  std::map<std::string, Bits, std::less<>> published_;
  Cache cache_;
  std::map<std::string, Cache::iterator, std::less<>> by_key_;
  std::size_t cached_bytes_ = 0;
};

}  // namespace starling::client

#include "client/ext/bits_of_binary.h"

#include <algorithm>

#include "base/crypto.h"
#include "payload/values.h"
#include "xml/namespaces.h"

namespace starling::client {
namespace {

constexpr std::string_view kHost = "@bob.xmpp.org";
constexpr std::chrono::seconds kLongest = std::chrono::years(10);

// The label of SHA-1 is one of old, the others are those of XEP-0300 (2.6).
std::optional<crypto::Hash> hash_of(std::string_view cid) {
  if (cid.starts_with("sha1+")) return crypto::Hash::sha1;
  if (cid.starts_with("sha-256+")) return crypto::Hash::sha256;
  if (cid.starts_with("sha-512+")) return crypto::Hash::sha512;
  return std::nullopt;
}

bool is_hashed(std::string_view cid) { return cid.ends_with(kHost) && hash_of(cid).has_value(); }

bool is_of(std::string_view cid, std::string_view data) {
  auto hex = std::string(cid.substr(cid.find('+') + 1, cid.size() - cid.find('+') - 1 - kHost.size()));
  std::ranges::transform(hex, hex.begin(), [](char c) { return c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c; });
  return hex == crypto::hex_encode(crypto::digest(*hash_of(cid), data));
}

std::string key_of(std::string_view cid, const Jid& from) {
  return is_hashed(cid) ? std::string(cid) : fmt::format("{} {}", from.text(), cid);
}

std::string without_white_space(std::string_view text) {
  std::string out(text);
  std::erase_if(out, [](char c) { return std::string_view(" \t\r\n").contains(c); });
  return out;
}

}  // namespace

BitsOfBinary::BitsOfBinary(Client& client) : client_(client) {
  client.on_request(Type::get, "data", ns::bob, [this](const Stanza& iq, const Responder& respond) {
    const auto cid = iq.payload()->attribute("cid");
    if (!cid) return respond.error({Condition::bad_request, {}, {}, {}});
    const auto found = published_.find(*cid);
    if (found == published_.end()) return respond.error({Condition::item_not_found, {}, {}, {}});
    respond.result(to_xml(found->second));
    client_.raise(given, iq.from(), *cid);
  });
  client.on.message([this](const Stanza& message) { take_along(message); });
  client.on.presence([this](const Stanza& presence) { take_along(presence); });
}

Extension::Info BitsOfBinary::info() const {
  return {"XEP-0231",
          "Bits of Binary",
          {ns::bob},
          "1.1",
          "publishes small data under a hash, and fetches that of others"};
}

std::string BitsOfBinary::cid_of(std::string_view data) {
  return fmt::format("sha1+{}{}", crypto::hex_encode(crypto::digest(crypto::Hash::sha1, data)), kHost);
}

std::string BitsOfBinary::to_xml(const Bits& bits) {
  std::string out;
  xml::Writer writer(out);
  writer.open("data", ns::bob).attribute("cid", bits.cid.empty() ? cid_of(bits.data) : bits.cid);
  if (bits.max_age) writer.attribute("max-age", std::to_string(*bits.max_age));
  writer.attribute("type", bits.type).text(crypto::base64_encode(bits.data)).close();
  return out;
}

Result<std::string> BitsOfBinary::publish(Bits bits) {
  if (bits.data.size() > settings.most_bytes)
    return fail(Errc::limit,
                fmt::format("{} bytes, and {} is the most", bits.data.size(), settings.most_bytes));
  if (bits.type.empty()) return fail(Errc::invalid, "the data has no media type");
  if (bits.cid.empty()) bits.cid = cid_of(bits.data);
  if (is_hashed(bits.cid) && !is_of(bits.cid, bits.data))
    return fail(Errc::invalid, fmt::format("the data is not that of {}", bits.cid));
  std::string cid = bits.cid;
  published_.insert_or_assign(cid, std::move(bits));
  return cid;
}

void BitsOfBinary::withdraw(std::string_view cid) {
  if (const auto found = published_.find(cid); found != published_.end()) published_.erase(found);
}

Request<BitsOfBinary::Bits> BitsOfBinary::fetch(const Jid& from, std::string cid) {
  if (auto known = find(cid, from)) {
    Request<Bits> request;
    request.resolver()(*std::move(known));
    return request;
  }
  std::string data;
  xml::Writer(data).open("data", ns::bob).attribute("cid", cid).close();
  return client_.request(Type::get, from, data)
      .map([this, from, cid = std::move(cid)](const StanzaPtr& answer) -> Outcome<Bits> {
        const auto* element = answer->child("data", ns::bob);
        if (element == nullptr || element->attribute("cid") != cid)
          return malformed(fmt::format("{} sent something other than {}", from.text(), cid));
        auto bits = parse(*element);
        if (bits) keep(from, *bits);
        return bits;
      });
}

std::optional<BitsOfBinary::Bits> BitsOfBinary::find(std::string_view cid, const Jid& from) {
  if (const auto own = published_.find(cid); own != published_.end()) return own->second;
  const auto known = by_key_.find(key_of(cid, from));
  if (known == by_key_.end()) return std::nullopt;
  const auto at = known->second;
  if (at->until && *at->until <= client_.loop().now()) {
    drop(at);
    return std::nullopt;
  }
  cache_.splice(cache_.begin(), cache_, at);
  return at->bits;
}

Outcome<BitsOfBinary::Bits> BitsOfBinary::parse(const xml::Element& element) const {
  Bits bits{.type = payload::attribute(element, "type"), .cid = payload::attribute(element, "cid")};
  const auto age = payload::parse_long(payload::attribute(element, "max-age"));
  if (age && *age >= 0) bits.max_age = static_cast<std::uint64_t>(*age);
  auto data = crypto::base64_decode(without_white_space(element.text()));
  if (!data) return malformed(fmt::format("the data of {} is no Base64", bits.cid));
  if (data->size() > settings.most_bytes)
    return malformed(fmt::format("{} is of more than {} bytes", bits.cid, settings.most_bytes));
  if (is_hashed(bits.cid) && !is_of(bits.cid, *data))
    return malformed(fmt::format("the data is not that of {}", bits.cid));
  bits.data = *std::move(data);
  return bits;
}

void BitsOfBinary::keep(const Jid& from, const Bits& bits) {
  auto key = key_of(bits.cid, from);
  if (const auto old = by_key_.find(key); old != by_key_.end()) drop(old->second);
  if (bits.max_age == 0) return;
  std::optional<SteadyTime> until;
  if (bits.max_age)
    until =
        client_.loop().now() + std::chrono::seconds(std::min<std::uint64_t>(*bits.max_age, kLongest.count()));
  cache_.push_front({.key = key, .bits = bits, .until = until});
  cached_bytes_ += cache_.front().bytes();
  by_key_.emplace(std::move(key), cache_.begin());
  while (cached_bytes_ > settings.cache_bytes) drop(std::prev(cache_.end()));
}

void BitsOfBinary::drop(Cache::iterator at) {
  cached_bytes_ -= at->bytes();
  by_key_.erase(at->key);
  cache_.erase(at);
}

void BitsOfBinary::take_along(const Stanza& stanza) {
  if (stanza.type() == Type::error) return;
  for (const auto& child : stanza.element().children()) {
    if (!child.is("data", ns::bob) || child.text().empty() || !child.attribute("cid")) continue;
    const auto bits = parse(child);
    if (!bits) {
      client_.trace(Trace::warning, bits.error().text);
      continue;
    }
    keep(stanza.from(), *bits);
    client_.raise(received, stanza.from(), *bits);
  }
}

}  // namespace starling::client

#include "stream/sasl/scram.h"

#include <charconv>

#include "stream/sasl/detail.h"

namespace starling::sasl {
namespace {

constexpr unsigned kMostIterations =
    1000000;  // a hostile server's count would keep a client busy (section 9)

// Reads "x=value,y=value,..." from the front (RFC 5802 section 7).
class Fields {
 public:
  explicit Fields(std::string_view text) : rest_(text) {}

  // The value of the next field if it is called `name`.
  std::optional<std::string_view> next(char name) {
    if (at_end_ || rest_.size() < 2 || rest_[0] != name || rest_[1] != '=') return std::nullopt;
    return cut().substr(2);
  }
  // The remaining fields are optional extensions, to be ignored; `m` is mandatory and unknown, so it is
  // refused.
  bool only_optional() {
    while (!at_end_) {
      const auto field = cut();
      if (field.size() < 3 || field[1] != '=' || field[0] == 'm') return false;
      if (!std::isalpha(static_cast<unsigned char>(field[0]))) return false;
    }
    return true;
  }

 private:
  std::string_view cut() {
    const auto comma = rest_.find(',');
    const auto field = rest_.substr(0, comma);
    at_end_ = comma == std::string_view::npos;
    rest_ = at_end_ ? std::string_view() : rest_.substr(comma + 1);
    return field;
  }

  std::string_view rest_;
  bool at_end_ = false;
};

bool is_nonce(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return c >= 0x21 && c <= 0x7e && c != ','; });
}

// saslname: ',' and '=' stand as =2C and =3D; any other '=' is an error.
std::optional<std::string> decode_name(std::string_view text) {
  std::string name;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\0') return std::nullopt;
    if (text[i] != '=') {
      name += text[i];
      continue;
    }
    const auto code = text.substr(i + 1, 2);
    if (code != "2C" && code != "3D") return std::nullopt;
    name += code == "2C" ? ',' : '=';
    i += 2;
  }
  if (name.empty()) return std::nullopt;
  return name;
}

std::string encode_name(std::string_view name) {
  std::string text;
  for (const char c : name) {
    if (c == ',') {
      text += "=2C";
    } else if (c == '=') {
      text += "=3D";
    } else {
      text += c;
    }
  }
  return text;
}

class ScramServer final : public ServerMechanism {
 public:
  ScramServer(ScramVariant variant, const Channel& channel, std::string nonce)
      : variant_(variant),
        domain_(channel.domain),
        bindings_(channel.bindings),
        nonce_(std::move(nonce)),
        binding_offered_(channel.binding_offered) {}

  Step respond(std::optional<std::string_view> data) override {
    if (next_ == Next::first && !data) {
      next_ = Next::first_after_challenge;  // the client speaks first (RFC 5802 5.2): an empty challenge asks
                                            // it to
      return Challenge{};
    }
    const auto now = std::exchange(next_, Next::nothing);
    const auto message = data.value_or(std::string_view());
    if (now == Next::first || now == Next::first_after_challenge) return client_first(message);
    if (now == Next::final) return client_final(message);
    return failed(Failure::malformed_request);
  }

  Step keys(const ScramKeys& keys, bool exists, bool disabled) override {
    keys_ = keys;
    exists_ = exists;
    disabled_ = disabled;
    server_first_ =
        fmt::format("r={},s={},i={}", nonce_, crypto::base64_encode(keys_.salt), keys_.iterations);
    next_ = Next::final;
    return Challenge{server_first_};
  }

 private:
  enum class Next : std::uint8_t { first, first_after_challenge, final, nothing };

  Failed failed(Failure condition, std::string text = {}) const {
    return {condition, std::move(text), account_.text()};
  }

  Step client_first(std::string_view message) {
    // gs2-header = gs2-cbind-flag "," [ "a=" authzid ] ","
    const auto flag_end = message.find(',');
    const auto header_end = flag_end == std::string_view::npos ? flag_end : message.find(',', flag_end + 1);
    if (header_end == std::string_view::npos) return failed(Failure::malformed_request);
    const auto flag = message.substr(0, flag_end);
    auto authzid = message.substr(flag_end + 1, header_end - flag_end - 1);
    if (const auto refused = check_flag(flag)) return *refused;
    std::string acting_as;
    if (!authzid.empty()) {
      auto name = authzid.starts_with("a=") ? decode_name(authzid.substr(2)) : std::nullopt;
      if (!name) return failed(Failure::malformed_request);
      acting_as = *std::move(name);
    }
    gs2_header_ = message.substr(0, header_end + 1);
    client_first_bare_ = message.substr(header_end + 1);

    Fields fields(client_first_bare_);
    const auto user_field = fields.next('n');
    const auto nonce = fields.next('r');
    if (!user_field || !nonce || !is_nonce(*nonce) || !fields.only_optional())
      return failed(Failure::malformed_request);
    const auto user = decode_name(*user_field);
    if (!user) return failed(Failure::malformed_request);
    auto account = account_for(*user, acting_as, domain_);
    if (auto* refused = std::get_if<Failed>(&account)) return std::move(*refused);
    account_ = std::get<Jid>(std::move(account));
    nonce_.insert(0, *nonce);
    return NeedKeys{account_, variant_.hash};
  }

  // RFC 5802 section 6.
  std::optional<Failed> check_flag(std::string_view flag) {
    if (flag.starts_with("p=")) {
      if (!variant_.plus)
        return failed(Failure::malformed_request, "channel binding belongs to the -PLUS mechanisms");
      binding_ = bindings_.of(flag.substr(2));
      if (binding_.empty())
        return failed(Failure::not_authorized, "the channel binding type is not supported");
      return std::nullopt;
    }
    if (flag != "n" && flag != "y") return failed(Failure::malformed_request);
    if (variant_.plus) return failed(Failure::malformed_request, "a -PLUS mechanism needs a channel binding");
    if (flag == "y" &&
        binding_offered_)  // the client would have taken -PLUS had it seen it: somebody took it away
      return failed(Failure::not_authorized,
                    "the client says that channel binding was not offered, but it was: its mistake, or "
                    "somebody between");
    return std::nullopt;
  }

  Step client_final(std::string_view message) {
    const auto last = message.rfind(',');
    if (last == std::string_view::npos || message.substr(last + 1, 2) != "p=")
      return failed(Failure::malformed_request);
    const auto without_proof = message.substr(0, last);
    const auto proof = crypto::base64_decode(message.substr(last + 3));
    Fields fields(without_proof);
    const auto binding = fields.next('c');
    const auto nonce = fields.next('r');
    if (!binding || !nonce || !proof || !fields.only_optional()) return failed(Failure::malformed_request);
    const auto expected = crypto::base64_encode(gs2_header_ + binding_);
    if (!crypto::constant_time_equal(*binding, expected))
      return failed(Failure::not_authorized, "the channel bindings do not match");
    if (!crypto::constant_time_equal(*nonce, nonce_))
      return failed(Failure::not_authorized, "the nonce is not the one sent");

    const auto auth_message = fmt::format("{},{},{}", client_first_bare_, server_first_, without_proof);
    std::string client_key =
        crypto::exclusive_or(crypto::hmac(variant_.hash, keys_.stored_key, auth_message), *proof);
    const bool right =
        crypto::constant_time_equal(crypto::digest(variant_.hash, client_key), keys_.stored_key) &&
        proof->size() == client_key.size();
    crypto::wipe(client_key);
    if (!right || !exists_) return failed(Failure::not_authorized);
    if (disabled_) return failed(Failure::account_disabled);
    return Success{account_,
                   "v=" + crypto::base64_encode(crypto::hmac(variant_.hash, keys_.server_key, auth_message))};
  }

  ScramVariant variant_;
  std::string domain_;
  Bindings bindings_;
  std::string binding_;  // of the type that the client chose; empty without -PLUS
  std::string nonce_;    // the server's part, later the client's before it
  bool binding_offered_;
  std::string gs2_header_, client_first_bare_, server_first_;
  Jid account_;
  ScramKeys keys_;
  bool exists_ = false, disabled_ = false;
  Next next_ = Next::first;
};

class ScramClient final : public ClientMechanism {
 public:
  ScramClient(ScramVariant variant, const Channel& channel, const Credentials& credentials,
              bool binding_offered, std::string nonce)
      : variant_(variant), credentials_(credentials), nonce_(std::move(nonce)) {
    if (variant.plus) {
      gs2_header_ = fmt::format("p={},,", channel.binding_type);
      binding_ = channel.bindings.of(channel.binding_type);
    } else {  // "y": we could bind, and saw no -PLUS (RFC 5802 section 6)
      gs2_header_ = channel.bindings.any() && !binding_offered ? "y,," : "n,,";
    }
  }
  ~ScramClient() override { crypto::wipe(credentials_.password); }

  Result<std::string> initial() override {
    client_first_bare_ = fmt::format("n={},r={}", encode_name(credentials_.jid.local()), nonce_);
    return gs2_header_ + client_first_bare_;
  }

  Result<std::string> respond(std::string_view challenge) override {
    if (answered_) {  // the server's final message before <success/> instead of inside it
      if (auto right = verify(challenge); !right) return std::unexpected(right.error());
      return std::string();
    }
    Fields fields(challenge);
    const auto nonce = fields.next('r');
    const auto salt_text = fields.next('s');
    const auto count_text = fields.next('i');
    const auto salt = salt_text ? crypto::base64_decode(*salt_text) : std::nullopt;
    if (!nonce || !salt || !count_text || !fields.only_optional())
      return fail(Errc::invalid, "the server's first SCRAM message is malformed");
    if (!is_nonce(*nonce) || !nonce->starts_with(nonce_) || nonce->size() == nonce_.size())
      return fail(Errc::invalid, "the server did not keep the nonce");
    unsigned iterations = 0;
    const auto [end, bad] =
        std::from_chars(count_text->data(), count_text->data() + count_text->size(), iterations);
    if (bad != std::errc() || end != count_text->data() + count_text->size() || iterations < kIterations ||
        iterations > kMostIterations)
      return fail(Errc::invalid, fmt::format("the server asks for {} iterations; {} to {} are accepted",
                                             *count_text, kIterations, kMostIterations));

    const auto without_proof =
        fmt::format("c={},r={}", crypto::base64_encode(gs2_header_ + binding_), *nonce);
    const auto auth_message = fmt::format("{},{},{}", client_first_bare_, challenge, without_proof);
    std::string salted = crypto::pbkdf2(variant_.hash, credentials_.password, *salt, iterations);
    std::string client_key = crypto::hmac(variant_.hash, salted, "Client Key");
    const auto signature =
        crypto::hmac(variant_.hash, crypto::digest(variant_.hash, client_key), auth_message);
    server_signature_ =
        crypto::hmac(variant_.hash, crypto::hmac(variant_.hash, salted, "Server Key"), auth_message);
    const auto proof = crypto::base64_encode(crypto::exclusive_or(client_key, signature));
    crypto::wipe(salted);
    crypto::wipe(client_key);
    crypto::wipe(credentials_.password);
    answered_ = true;
    return without_proof + ",p=" + proof;
  }

  Result<void> verify(std::string_view success_data) override {
    if (verified_ && success_data.empty()) return {};
    Fields fields(success_data);
    const auto verifier = fields.next('v');
    const auto signature = verifier ? crypto::base64_decode(*verifier) : std::nullopt;
    if (!answered_ || !signature || !crypto::constant_time_equal(*signature, server_signature_))
      return fail(Errc::invalid,
                  "the server could not prove that it knows the password: its signature is wrong");
    verified_ = true;
    return {};
  }

 private:
  ScramVariant variant_;
  Credentials credentials_;
  std::string nonce_, gs2_header_, binding_, client_first_bare_, server_signature_;
  bool answered_ = false, verified_ = false;
};

}  // namespace

std::string fresh_nonce() { return crypto::base64_encode(crypto::random_bytes(24)); }

std::unique_ptr<ServerMechanism> scram_server(ScramVariant variant, const Channel& channel,
                                              std::string nonce) {
  return std::make_unique<ScramServer>(variant, channel, std::move(nonce));
}
std::unique_ptr<ClientMechanism> scram_client(ScramVariant variant, const Channel& channel,
                                              const Credentials& credentials, bool binding_offered,
                                              std::string nonce) {
  return std::make_unique<ScramClient>(variant, channel, credentials, binding_offered, std::move(nonce));
}

}  // namespace starling::sasl

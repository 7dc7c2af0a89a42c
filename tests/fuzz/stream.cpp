// Bytes from a hostile client into a receiving stream machine; its questions are answered as the fuzzer
// decides. The first four bytes choose policy and answers, the rest is what the client sends, cut where a
// byte 0x1e stands.
#include <cstdlib>

#include "stream/machine.h"

namespace {

using namespace starling;          // NOLINT(google-build-using-namespace)
using namespace starling::stream;  // NOLINT(google-build-using-namespace)

Settings settings_for(unsigned char policy) {
  Settings settings;
  settings.tls = static_cast<TlsPolicy>(policy % 3);
  settings.plain_without_tls = (policy & 4U) != 0;
  settings.starttls_available = (policy & 8U) == 0;
  settings.serves = [](std::string_view domain) { return domain == "example.org"; };
  settings.limits = {.element_bytes = 4096, .depth = 16, .attributes = 16, .children = 64};
  settings.limits_before_login = {.element_bytes = 2048, .depth = 8, .attributes = 16, .children = 32};
  settings.features.push_back(
      {"sm",
       [](const View& view, xml::Writer& writer) {
         if (view.bound) std::abort();
         writer.open("sm", "urn:xmpp:sm:3").close();
       },
       [](const View&, const xml::Element& element) { return element.ns() == "urn:xmpp:sm:3"; }});
  return settings;
}

class Bits {
 public:
  explicit Bits(unsigned value) : value_(value) {}
  bool next() {
    value_ = value_ * 1664525U + 1013904223U;
    return (value_ & 0x80000000U) != 0;
  }

 private:
  unsigned value_;
};

// False once the stream is over.
void answer(Machine& machine, const Event& event, Bits& bits) {
  if (std::holds_alternative<StartTls>(event)) {
    machine.tls_established({bits.next() ? "exported" : "", bits.next() ? "hash" : ""},
                            bits.next() ? "" : "injected");
  } else if (const auto* keys = std::get_if<LookUpKeys>(&event)) {
    if (bits.next()) return machine.give_up_auth(sasl::Failure::temporary_auth_failure, "later");
    machine.give_keys(sasl::decoy_keys(keys->hash, "secret", keys->account.text()), bits.next(), bits.next());
  } else if (std::holds_alternative<CheckPassword>(event)) {
    machine.give_check(bits.next(), bits.next());
  } else if (const auto* bind = std::get_if<BindRequest>(&event)) {
    const auto full = machine.jid().with_resource(bind->resource.empty() ? "r" : bind->resource);
    if (full && bits.next()) {
      machine.bound(*full);
    } else {
      machine.refuse_bind({Condition::conflict, {}, {}, {}});
    }
  } else if (std::holds_alternative<Received>(event) && !machine.view().bound) {
    std::abort();  // stanzas of a client without an address
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size < 4) return 0;
  static std::array<Settings, 16> all = [] {
    std::array<Settings, 16> made;
    for (unsigned char i = 0; i < made.size(); ++i) made[i] = settings_for(i);
    return made;
  }();
  Machine machine(all[data[0] % all.size()]);
  Bits bits(data[1] * 256U + data[2]);
  if ((data[3] & 1U) != 0) machine.assume_tls({(data[3] & 2U) != 0 ? "exported" : "", "hash"});

  std::string_view rest(reinterpret_cast<const char*>(data) + 4, size - 4);
  std::string buffered;
  bool over = false;
  while (!rest.empty()) {
    const auto cut = rest.find('\x1e');
    buffered += rest.substr(0, cut);
    rest.remove_prefix(cut == std::string_view::npos ? rest.size() : cut + 1);
    std::string_view input = buffered;
    for (;;) {
      const Event event = machine.next(input);
      if (std::holds_alternative<NeedInput>(event)) break;
      if (over || std::holds_alternative<Waiting>(event)) std::abort();  // all that was asked was answered
      over = std::holds_alternative<Failed>(event) || std::holds_alternative<Closed>(event);
      if (over && !machine.output_closed()) std::abort();
      answer(machine, event, bits);
    }
    if (!input.empty()) std::abort();  // NeedInput takes all
    buffered.clear();
  }
  return 0;
}

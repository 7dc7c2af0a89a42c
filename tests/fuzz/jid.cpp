// Any bytes as an address: what is accepted is stable, is made of its parts, and keeps the limits.
#include "jid/jid.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

void check_password(std::string_view text) {
  const auto once = starling::prepare_password(text);
  if (!once) return;
  const auto again = starling::prepare_password(*once);
  require(again.has_value() && *again == *once);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using starling::Jid;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_password(text);

  const auto jid = Jid::parse(text);
  if (!jid) return 0;
  require(!jid->domain().empty());
  require(jid->local().size() <= 1023 && jid->domain().size() <= 1023 && jid->resource().size() <= 1023);
  require(!jid->local().contains('@') && !jid->local().contains('/') && !jid->domain().contains('@') &&
          !jid->domain().contains('/') && !jid->domain().ends_with('.'));

  const auto again = Jid::parse(jid->text());
  require(again.has_value() && *again == *jid);
  require(again->local() == jid->local() && again->domain() == jid->domain() &&
          again->resource() == jid->resource());

  const auto made = Jid::make(jid->local(), jid->domain(), jid->resource());
  require(made.has_value() && *made == *jid);
  const Jid bare = jid->to_bare();
  require(bare.same_bare(*jid) && bare.is_bare() && bare.to_domain().text() == jid->domain());
  if (jid->is_full()) {
    const auto full = bare.with_resource(jid->resource());
    require(full.has_value() && *full == *jid);
  }
  return 0;
}

#include "cli/tools/device.h"

#include <fmt/format.h>

#include "client/ext/disco.h"

namespace starling::cli {

Task<client::Outcome<std::vector<std::string>>> features_of(client::Client& client, Jid device) {
  auto info = co_await client.use<client::Disco>().info(device);
  if (!info) {
    auto& error = info.error();
    if (error.kind == client::RequestError::Kind::refused)
      error.error.text = fmt::format("there is no device at {}", device.text());
    co_return std::unexpected(std::move(error));
  }
  std::ranges::sort(info->features);
  co_return std::move(info->features);
}

bool has_feature(const Context& context, const Jid& device, const std::vector<std::string>& features,
                 std::string_view feature, std::string_view what) {
  if (std::ranges::binary_search(features, feature)) return true;
  print_error(context, {Errc::unavailable, fmt::format("{} is no {}: it does not have the feature {}",
                                                       device.text(), what, feature)});
  return false;
}

}  // namespace starling::cli

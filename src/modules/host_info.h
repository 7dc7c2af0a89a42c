#pragma once
// What the domain and its accounts say about themselves, made of what the modules say: the one source of
// disco#info and of the caps hash, so that they agree.
#include <algorithm>
#include <span>
#include <string>

#include "payload/disco_info.h"
#include "server/module.h"

namespace starling::modules {

// XEP-0115 `node`: names the software.
inline constexpr std::string_view kCapsNode = "urn:x-starling:server";

inline payload::DiscoInfo info_of(payload::DiscoInfo::Identity identity,
                                  std::span<const server::ModuleInfo> modules,
                                  std::vector<std::string_view> server::ModuleInfo::* features) {
  payload::DiscoInfo info;
  info.identities.push_back(std::move(identity));
  for (const auto& module : modules)
    info.features.insert(info.features.end(), (module.*features).begin(), (module.*features).end());
  std::ranges::sort(info.features);
  const auto repeated = std::ranges::unique(info.features);
  info.features.erase(repeated.begin(), repeated.end());
  return info;
}

inline payload::DiscoInfo host_info(std::span<const server::ModuleInfo> modules) {
  return info_of({.category = "server", .type = "im", .lang = {}, .name = "Starling"}, modules,
                 &server::ModuleInfo::host_features);
}

inline payload::DiscoInfo account_info(std::span<const server::ModuleInfo> modules) {
  return info_of({.category = "account", .type = "registered", .lang = {}, .name = {}}, modules,
                 &server::ModuleInfo::account_features);
}

}  // namespace starling::modules

#pragma once
// What the extensions of the Internet of Things share. Internal to them; any thread.
#include <chrono>
#include <ctime>
#include <string>

#include "base/loop.h"
#include "payload/iot.h"
#include "xml/writer.h"

namespace starling::client {

template <class Payload>
std::string to_xml(const Payload& what) {
  std::string out;
  xml::Writer writer(out);
  write(writer, what);
  return out;
}

// Whether it is the node that a request means: sourceId and cacheType count where the request has them
// (XEP-0323 5.9, XEP-0325 5.7).
inline bool is_named(const payload::IotNode& node, const payload::IotNode& wanted) {
  return node.node_id == wanted.node_id && (wanted.source_id.empty() || node.source_id == wanted.source_id) &&
         (wanted.cache_type.empty() || node.cache_type == wanted.cache_type);
}

// Of a time that comes without one (XEP-0323 6.1): how far east of UTC we are, were or will be then.
inline std::chrono::minutes local_zone(WallTime at) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(at);
  std::tm local{};
  localtime_r(&seconds, &local);
  return std::chrono::duration_cast<std::chrono::minutes>(std::chrono::seconds(local.tm_gmtoff));
}

}  // namespace starling::client

#pragma once
// A map by text that never holds more than so many values: a new one drops the one that came first. For what
// others may fill. Internal to this room; no locks.
#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace starling::client {

template <class T>
class BoundedMap {
 public:
  explicit BoundedMap(std::size_t most) : most_(most) {}
  BoundedMap(const BoundedMap&) = delete;
  BoundedMap& operator=(const BoundedMap&) = delete;

  [[nodiscard]] const T* find(std::string_view key) const {
    const auto found = by_key_.find(key);
    return found == by_key_.end() ? nullptr : &found->second->second;
  }
  [[nodiscard]] T* find(std::string_view key) {
    const auto found = by_key_.find(key);
    return found == by_key_.end() ? nullptr : &found->second->second;
  }
  // A value that is there already keeps its place in the order.
  T& put(std::string_view key, T value) {
    if (T* known = find(key)) return *known = std::move(value);
    if (entries_.size() == most_) erase(entries_.front().first);
    entries_.emplace_back(key, std::move(value));
    by_key_.emplace(entries_.back().first, std::prev(entries_.end()));
    return entries_.back().second;
  }
  void erase(std::string_view key) {
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    const auto entry = found->second;  // owns the key
    by_key_.erase(found);
    entries_.erase(entry);
  }
  void clear() {
    by_key_.clear();
    entries_.clear();
  }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  using Entries = std::list<std::pair<const std::string, T>>;
  std::size_t most_;
  Entries entries_;  // the oldest first
  std::unordered_map<std::string_view, typename Entries::iterator> by_key_;
};

}  // namespace starling::client

#pragma once
// How a store is opened.
#include <cstdint>

namespace starling::storage {

// What a commit that was answered survives. Either way the store is sound afterwards, and close() leaves all
// of it on the disk.
enum class Durability : std::uint8_t {
  disk,     // the end of the process and the machine's loss of power: the disk has said that it is written
  process,  // the end of the process, killed or not; a machine that stops takes the last commits along
};

struct Options {
  Durability durability = Durability::disk;
};

}  // namespace starling::storage

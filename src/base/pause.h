#pragma once
// Waiting for a time in a coroutine, on the loop's thread.
#include "base/task.h"

namespace starling {

// `loop` is the current one. When the coroutine that waits is destroyed, nothing comes of it.
inline Task<void> pause(Loop& loop, Milliseconds time) {
  Completion<bool> over;
  loop.run_after(time, [resolve = over.resolver()] { resolve.here(true); });
  co_await std::move(over);
}

}  // namespace starling

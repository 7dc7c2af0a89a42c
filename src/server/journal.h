#pragma once
// What must be on disk before anybody is told that it is safe (XEP-0198 4): a shard's writes in one order.
// One batch is under way at a time and what comes meanwhile gathers for the next, so a failed batch is simply
// tried again: nothing later was written, and nothing that waits for it is called done. On the shard's
// thread. The stanza path adds and goes on; it never waits.
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/task.h"
#include "storage/store.h"

namespace starling::server {

class Journal {
 public:
  // Writes that belong together.
  class Entry {
   public:
    virtual ~Entry() = default;
    // Adds the writes, as late as possible: what was settled meanwhile needs none. Called again if they
    // failed.
    virtual void fill(storage::Batch& batch) = 0;
    // They are on disk, or there were none. `ids` are those of its appends.
    virtual void done(std::span<const std::uint64_t> ids) = 0;
    // They are not, and will be tried again unless this returns false.
    virtual bool failed(const Error& /*error*/) { return true; }
    // What it holds, if that is much; the same as long as it waits.
    [[nodiscard]] virtual std::size_t bytes() const { return 0; }
  };

  Journal(Loop& loop, storage::Store& store) : loop_(loop), store_(store) {}
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  void add(std::shared_ptr<Entry> entry);
  void write(storage::Batch batch);  // which nobody waits for
  // Ends when everything added before is done.
  Task<void> passed();

  // Entries that are not done. What they hold is bounded by whoever adds them.
  [[nodiscard]] std::size_t waiting() const { return waiting_.size() + writing_.size(); }
  [[nodiscard]] std::size_t waiting_bytes() const { return bytes_; }
  [[nodiscard]] bool failing() const { return retry_ != 0; }

 private:
  void due();
  Task<void> write();
  void finish(const std::vector<std::size_t>& appends, const Result<storage::Committed>& result);

  Loop& loop_;
  storage::Store& store_;
  std::vector<std::shared_ptr<Entry>> waiting_, writing_;
  std::size_t bytes_ = 0;
  bool due_ = false;         // a batch is made at the end of this turn
  Loop::TimerId retry_ = 0;  // not 0: the last batch failed and this brings the next
};

}  // namespace starling::server

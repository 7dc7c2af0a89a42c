#include "server/journal.h"

#include <algorithm>

#include "base/log.h"

namespace starling::server {
namespace {

constexpr Milliseconds kRetry{1000};

class Passed final : public Journal::Entry {
 public:
  explicit Passed(Completion<bool>::Resolver resolve) : resolve_(std::move(resolve)) {}
  void fill(storage::Batch& /*batch*/) override {}
  void done(std::span<const std::uint64_t> /*ids*/) override { resolve_.here(true); }

 private:
  Completion<bool>::Resolver resolve_;
};

class Writes final : public Journal::Entry {
 public:
  explicit Writes(storage::Batch batch) : batch_(std::move(batch)) {}
  void fill(storage::Batch& batch) override { batch.insert(batch.end(), batch_.begin(), batch_.end()); }
  void done(std::span<const std::uint64_t> /*ids*/) override {}

 private:
  storage::Batch batch_;
};

}  // namespace

Journal::~Journal() {
  if (retry_ != 0) loop_.cancel(retry_);
}

void Journal::add(std::shared_ptr<Entry> entry) {
  bytes_ += entry->bytes();
  waiting_.push_back(std::move(entry));
  due();
}

void Journal::write(storage::Batch batch) { add(std::make_shared<Writes>(std::move(batch))); }

Task<void> Journal::passed() {
  if (waiting() == 0) co_return;
  Completion<bool> reached;
  add(std::make_shared<Passed>(reached.resolver()));
  co_await reached;
}

void Journal::due() {
  if (due_ || !writing_.empty() || retry_ != 0) return;
  due_ = true;
  // After what else this turn has to do, above all its output: a message that the kernel takes whole at once
  // need not be written at all.
  loop_.at_turn_end([this] {
    loop_.at_turn_end([this] {
      due_ = false;
      spawn(write());
    });
  });
}

Task<void> Journal::write() {
  // What failed stands in front of what came since.
  writing_ = std::exchange(waiting_, {});
  storage::Batch batch;
  std::vector<std::size_t> appends;  // of each entry
  appends.reserve(writing_.size());
  for (const auto& entry : writing_) {
    const std::size_t before = batch.size();
    entry->fill(batch);
    appends.push_back(static_cast<std::size_t>(std::count_if(
        batch.begin() + static_cast<std::ptrdiff_t>(before), batch.end(),
        [](const storage::Write& one) { return std::holds_alternative<storage::Append>(one); })));
  }
  Result<storage::Committed> result;
  if (!batch.empty()) result = co_await store_.commit(std::move(batch));
  finish(appends, result);
  if (!waiting_.empty()) due();
}

void Journal::finish(const std::vector<std::size_t>& appends, const Result<storage::Committed>& result) {
  const auto written = std::exchange(writing_, {});
  if (!result) {
    log::error("{} changes could not be stored, they are tried again: {}", written.size(),
               result.error().message);
    // Before anybody is told: what they add waits for the next attempt as well.
    retry_ = loop_.run_after(kRetry, [this] {
      retry_ = 0;
      if (!waiting_.empty()) due();
    });
    std::vector<std::shared_ptr<Entry>> again;
    for (const auto& entry : written)
      if (entry->failed(result.error()))
        again.push_back(entry);
      else
        bytes_ -= entry->bytes();
    if (again.empty()) {
      loop_.cancel(std::exchange(retry_, 0));
      return;
    }
    again.insert(again.end(), waiting_.begin(), waiting_.end());
    waiting_ = std::move(again);
    return;
  }
  std::span<const std::uint64_t> ids = result->appended;
  for (std::size_t i = 0; i < written.size(); ++i) {
    const auto own = ids.first(appends[i]);
    ids = ids.subspan(appends[i]);
    bytes_ -= written[i]->bytes();
    try {
      written[i]->done(own);
    } catch (const std::exception& problem) {  // the environment's fault; the others go on
      log::error("after storing: {}", problem.what());
    }
  }
}

}  // namespace starling::server

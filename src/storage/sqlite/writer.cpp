#include "storage/sqlite/writer.h"

#include <algorithm>
#include <limits>

#include <pthread.h>
#include <sqlite3.h>

#include "base/log.h"
#include "storage/detail.h"
#include "storage/sqlite/schema.h"

namespace starling::storage::sqlite {
namespace {

using std::chrono::milliseconds;

// A full queue means a disk that stands still: better an error now than memory without end.
constexpr std::size_t kMaxQueuedBytes = std::size_t{64} << 20;
// When batches come from several sides a commit waits this long for company: it costs as much for one row as
// for fifty.
constexpr milliseconds kGather{2};
constexpr std::size_t kEnough = 64;  // batches that need no more company
// What runs behind does so with every group, and this often when there are none.
constexpr milliseconds kBehind{1};
constexpr std::uint64_t kRepeatsDroppedAtOnce = 4096;
constexpr std::uint64_t kReserveIds = 1 << 17;
constexpr std::int64_t kFreePagesKept = 1024;

// These have an effect only before the first table is made, and write nothing.
constexpr const char* kNewFile = "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL";
// The log is synced with each commit, or when it is moved into the database and before it is begun anew.
// Never syncing (OFF) would save little more, and pages of the database could be newer than the log that is
// to mend them.
constexpr const char* kSyncCommits = "PRAGMA synchronous=FULL";
constexpr const char* kSyncCheckpoints = "PRAGMA synchronous=NORMAL";
constexpr const char* kPragmas = R"sql(
PRAGMA journal_mode=WAL;
PRAGMA wal_autocheckpoint=0;
PRAGMA journal_size_limit=67108864;
PRAGMA secure_delete=OFF;
PRAGMA cache_size=-1024;
)sql";
// A limit that fills by use.
constexpr const char* kWorkingCache = "PRAGMA cache_size=-65536";

std::size_t size_of(const Batch& batch) {
  std::size_t size = sizeof(Write) * batch.size();
  for (const auto& write : batch) {
    if (const auto* append = std::get_if<Append>(&write)) size += append->message.stanza.size();
    if (const auto* put = std::get_if<PutValue>(&write)) size += put->value.size();
  }
  return size;
}

}  // namespace

Result<void> Writer::open(const std::string& file, std::span<const char* const> steps,
                          Durability durability) {
  if (auto done = database_.open(file, Database::Access::create); !done) return done;
  if (auto done = database_.execute(kNewFile); !done) return done;
  const auto version = check_version(database_, steps);
  if (!version) return std::unexpected(version.error());
  if (auto done = database_.execute(kPragmas); !done) return done;
  durability_ = durability;
  const char* sync = durability == Durability::disk ? kSyncCommits : kSyncCheckpoints;
  if (auto done = database_.execute(sync); !done) return done;
  if (auto done = migrate(database_, steps, *version); !done) return done;
  if (auto done = prepare(); !done) return done;
  log_.open(database_, durability);
  if (auto done = fill_tails(); !done) return done;
  if (auto done = database_.execute(kWorkingCache); !done) return done;
  checkpoint();
  thread_ = std::thread([this] { run(); });
  return {};
}

Result<void> Writer::prepare() {
  auto done = database_.prepare_all({
      {&sql_.begin, "BEGIN IMMEDIATE"},
      {&sql_.commit, "COMMIT"},
      {&sql_.rollback, "ROLLBACK"},
      {&sql_.has_account, "SELECT 1 FROM account WHERE jid=?1"},
      {&sql_.put_account,
       "INSERT INTO account VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14) ON CONFLICT (jid) DO "
       "UPDATE SET "
       "sha1_salt=?3, sha1_stored=?4, sha1_server=?5, sha1_iterations=?6, sha256_salt=?7, sha256_stored=?8, "
       "sha256_server=?9, sha256_iterations=?10, disabled=?11, created_at=?12, last_seen=?13, "
       "last_status=?14"},
      {&sql_.set_keys,
       "UPDATE account SET sha1_salt=?2, sha1_stored=?3, sha1_server=?4, sha1_iterations=?5, "
       "sha256_salt=?6, sha256_stored=?7, sha256_server=?8, sha256_iterations=?9 WHERE jid=?1"},
      {&sql_.set_last_seen, "UPDATE account SET last_seen=?2, last_status=?3 WHERE jid=?1"},
      {&sql_.delete_account, "DELETE FROM account WHERE jid=?1"},
      {&sql_.delete_owner, "DELETE FROM value WHERE owner=?1"},
      {&sql_.put_value, "INSERT OR REPLACE INTO value VALUES (?1,?2,?3,?4)"},
      {&sql_.delete_value, "DELETE FROM value WHERE owner=?1 AND kind=?2 AND key=?3"},
      {&sql_.delete_kind, "DELETE FROM value WHERE owner=?1 AND kind=?2"},
      {&sql_.reserve_ids, "UPDATE meta SET value=?1 WHERE name='ids_reserved'"},
      {&sql_.add_repeat, "INSERT OR REPLACE INTO repeat VALUES (?1,?2,?3)"},
      {&sql_.drop_repeats, "DELETE FROM repeat WHERE id<?1"},
  });
  return done ? sessions_.prepare(database_) : done;
}

// The tails: those that are listed, and beyond the mark what the log itself says.
Result<void> Writer::fill_tails() {
  const auto reserved = database_.integer("SELECT value FROM meta WHERE name='ids_reserved'");
  if (!reserved) return std::unexpected(reserved.error());
  if (*reserved < 0)
    return fail(Errc::corrupt, fmt::format("{} has a negative message id.", database_.file()));
  for (const char* end : {"min", "max"}) {
    const auto id = database_.integer(fmt::format("SELECT coalesce({}(id),1) FROM message", end));
    if (!id) return std::unexpected(id.error());
    if (*id < 1 || *id > std::max(*reserved, std::int64_t{1}))
      return fail(
          Errc::corrupt,
          fmt::format("{} has a message with the id {}, which was never given; restore it from a copy.",
                      database_.file(), *id));
  }
  reserved_ = static_cast<std::uint64_t>(*reserved);
  ids_.begin(reserved_);
  if (auto done = reserve_ids(); !done) return done;

  if (auto done = messages_.open(database_); !done) return done;
  if (auto done = index_.open(database_); !done) return done;
  const auto mark = static_cast<std::int64_t>(index_.mark());
  if (auto done = database_.execute(fmt::format("DELETE FROM tail WHERE id>{}", mark)); !done) return done;
  for (const char* which : {"tail t JOIN message m ON m.id=t.id", "message m"}) {
    auto scan = database_.prepare(
        fmt::format("SELECT m.id, p.jid, length(m.stanza) FROM {} JOIN party p ON p.number=m.owner "
                    "WHERE m.undelivered=1 AND m.id{}{} ORDER BY m.id",
                    which, *which == 't' ? "<=" : ">", mark));
    if (!scan) return std::unexpected(std::move(scan.error()));
    for (;;) {
      const auto row = scan->step();
      if (!row) return std::unexpected(row.error());
      if (!*row) break;
      tails_.apply({TailChange::Kind::append, static_cast<std::uint32_t>(scan->integer(2)),
                    static_cast<std::uint64_t>(scan->integer(0)), scan->bytes(1)});
    }
  }
  return fill_repeats();
}

Result<void> Writer::fill_repeats() {
  auto scan = database_.prepare("SELECT id, stamp_ms, hash FROM repeat ORDER BY id");
  if (!scan) return std::unexpected(std::move(scan.error()));
  for (;;) {
    const auto row = scan->step();
    if (!row) return std::unexpected(row.error());
    if (!*row) return {};
    repeats_.add(scan->string(2), static_cast<std::uint64_t>(scan->integer(0)), scan->integer(1));
  }
}

void Writer::commit(Batch batch, const Resolver& answer) {
  const std::size_t bytes = size_of(batch);
  bool wake = false;
  std::optional<Error> refused;
  {
    std::lock_guard lock(mutex_);
    if (closing_) {
      refused = detail::closed().error();
    } else if (queued_bytes_ + bytes > kMaxQueuedBytes && !queue_.empty()) {
      refused =
          Error{Errc::unavailable, "The disk does not keep up with what is to be stored; try again later."};
    } else {
      queue_.push_back({std::move(batch), Loop::current(), answer, Committed{}});
      queued_bytes_ += bytes;
      // A writer that gathers company looks at the clock, and at the queue once there is enough.
      wake = waiting_ && (queue_.size() == 1 || queue_.size() == kEnough);
    }
  }
  if (wake) wake_.notify_one();
  if (refused) answer(std::unexpected(std::move(*refused)));
}

void Writer::close() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
  sql_ = {};
  sessions_ = {};
  messages_ = {};
  index_.close();
  log_.close();
  database_.close();
}

Writer::Group Writer::next_group() {
  std::unique_lock lock(mutex_);
  waiting_ = true;
  const auto something = [this] { return !queue_.empty() || closing_; };
  if (index_.busy() || log_.has_work() || in_doubt_) {
    wake_.wait_for(lock, index_.busy() && !failing_ ? kBehind : Checkpointer::kIdle, something);
  } else {
    wake_.wait(lock, something);
  }
  if (crowded_ && !queue_.empty())
    wake_.wait_for(lock, kGather, [this] { return queue_.size() >= kEnough || closing_; });
  waiting_ = false;
  queued_bytes_ = 0;
  return std::exchange(queue_, {});
}

void Writer::run() {
  pthread_setname_np(pthread_self(), "store-writer");
  for (;;) {
    Group group = next_group();
    crowded_ = group.size() > 1;
    if (!group.empty()) {
      write_group(group);
      answer(std::move(group));
    } else {
      {
        std::lock_guard lock(mutex_);
        if (closing_ && queue_.empty()) break;
      }
      tidy();
    }
    if (log_.is_due(failing_ || reserved_ > ids_.reserved())) checkpoint();
  }
  if (log_.has_work()) checkpoint();
}

// All that fails by itself is checked before anything is written, so a group needs no savepoints: when a
// statement fails it is the environment, and the whole group is undone.
void Writer::write_group(Group& group) {
  changes_.clear();
  gone_ids_.clear();
  new_ids_.clear();
  changes_indexed_ = 0;
  repeats_added_ = 0;

  auto written = withdraw();  // what an earlier group may have left
  const bool tried = written.has_value();
  const auto reserved = reserved_;
  if (tried) written = write_all(group);
  if (!written) {
    log::error("storage: {} writes failed: {}", group.size(), written.error().message);
    failing_ = true;
    undo();
    reserved_ = reserved;
    if (tried)
      if (auto gone = withdraw(); !gone)
        log::error("storage: until the disk works again it may have them all the same: {}",
                   gone.error().message);
    for (auto& request : group) request.result = std::unexpected(written.error());
    return;
  }
  transactions_.fetch_add(1, std::memory_order_relaxed);
  for (const auto& change : changes_) tails_.apply(change);
  index_.committed();
  messages_.committed();
  settle_taken();
  // An id that only this group has reserved is not answered before that is on the disk.
  if (durability_ == Durability::disk)
    ids_.reserve(reserved_);
  else if (ids_.next() > ids_.reserved() + 1)
    checkpoint();
}

// After the index has them: until then readers are not to go past them.
void Writer::settle_taken() {
  for (const auto id : std::exchange(taken_ids_, {})) own_ids_.settle(id);
}

void Writer::rollback() {
  // After some failures SQLite has done it by itself.
  if (database_.in_transaction())
    if (auto undone = sql_.rollback.run(); !undone) log::error("storage: {}", undone.error().message);
}

void Writer::undo() {
  rollback();
  sessions_.rolled_back();
  index_.rolled_back();
  messages_.rolled_back();
  repeats_.undo(repeats_added_);
  settle_taken();
}

// A commit that fails may have come as far as the log: its frames are there, whole, and only their sync
// failed. This connection goes on in front of them; but whoever opens the file after a crash would find them
// valid, and do what its caller was told had failed. So another frame goes over the first of them before the
// caller is told, and what follows no longer fits: a change that means nothing. If even that cannot be synced
// it is at least in the file, for a process that is killed, and nothing else is written before it is on disk.
Result<void> Writer::withdraw() {
  if (!in_doubt_) return {};
  const auto another = reserved_ + 1;  // SQLite does not write what does not change
  auto done = sql_.begin.run();
  if (done) done = sql_.reserve_ids.bind(1, static_cast<std::int64_t>(another)).run();
  if (done) done = run_commit();
  if (!done) {
    rollback();
    return done;
  }
  reserved_ = another;
  return {};
}

// What could not be written is not in the log: the frame that ends a commit is its last.
Result<void> Writer::run_commit() {
  auto done = sql_.commit.run();
  if (done) {
    in_doubt_ = false;
    works_again(failing_);
  } else if (!database_.write_failed()) {
    in_doubt_ = true;
  }
  return done;
}

Result<void> Writer::write_all(Group& group) {
  if (auto done = sql_.begin.run(); !done) return done;
  for (auto& request : group)
    if (auto done = write_batch(request); !done) return done;
  if (auto done = release_gone(); !done) return done;
  if (auto done = sessions_.flush(); !done) return done;
  if (auto done = reserve_ids(); !done) return done;
  if (auto done = drop_repeats(); !done) return done;
  if (auto done = index_.step(); !done) return done;
  return run_commit();
}

// When there is no group to go along with.
Result<void> Writer::write_behind() {
  if (auto done = sql_.begin.run(); !done) return done;
  if (auto done = index_.step(); !done) return done;
  return run_commit();
}

bool Writer::step_behind() {
  repeats_added_ = 0;
  if (auto done = write_behind(); !done) {
    if (!std::exchange(failing_, true)) log::error("storage: {}", done.error().message);
    undo();
    return false;
  }
  index_.committed();
  messages_.committed();
  return true;
}

Result<void> Writer::write_batch(Request& request) {
  auto checked = detail::check_accounts(request.batch, [this](const std::string& jid) {
    Using scope(sql_.has_account);
    return sql_.has_account.bind(1, jid).step();
  });
  if (!checked) {
    if (checked.error().code != Errc::conflict && checked.error().code != Errc::not_found) return checked;
    request.result = std::unexpected(std::move(checked.error()));
    return {};
  }
  for (const auto& one : request.batch) {
    auto done = std::visit([&](const auto& that) { return write(that, *request.result); }, one);
    if (!done) return done;
  }
  return {};
}

Result<void> Writer::write(const PutAccount& put, Committed& /*committed*/) {
  const auto& account = put.account;
  return sql_.put_account.bind(1, account.jid)
      .bind(2, detail::domain_of(account.jid))
      .bind_blob(3, account.sha1.salt)
      .bind_blob(4, account.sha1.stored_key)
      .bind_blob(5, account.sha1.server_key)
      .bind(6, std::int64_t{account.sha1.iterations})
      .bind_blob(7, account.sha256.salt)
      .bind_blob(8, account.sha256.stored_key)
      .bind_blob(9, account.sha256.server_key)
      .bind(10, std::int64_t{account.sha256.iterations})
      .bind(11, std::int64_t{account.disabled})
      .bind(12, account.created_at)
      .bind(13, account.last_seen)
      .bind(14, account.last_status)
      .run();
}

Result<void> Writer::write(const SetKeys& set, Committed& /*committed*/) {
  return sql_.set_keys.bind(1, set.jid)
      .bind_blob(2, set.sha1.salt)
      .bind_blob(3, set.sha1.stored_key)
      .bind_blob(4, set.sha1.server_key)
      .bind(5, std::int64_t{set.sha1.iterations})
      .bind_blob(6, set.sha256.salt)
      .bind_blob(7, set.sha256.stored_key)
      .bind_blob(8, set.sha256.server_key)
      .bind(9, std::int64_t{set.sha256.iterations})
      .run();
}

Result<void> Writer::write(const SetLastSeen& set, Committed& /*committed*/) {
  return sql_.set_last_seen.bind(1, set.jid).bind(2, set.last_seen).bind(3, set.last_status).run();
}

Result<void> Writer::write(const DeleteAccount& gone, Committed& /*committed*/) {
  doom(gone.jid, std::numeric_limits<std::uint64_t>::max());
  changes_.push_back({TailChange::Kind::remove_all, 0, 0, gone.jid});
  if (auto done = index_.forget(gone.jid, ids_.next()); !done) return done;
  if (auto done = sql_.delete_owner.bind(1, gone.jid).run(); !done) return done;
  return sql_.delete_account.bind(1, gone.jid).run();
}

Result<void> Writer::write(const PutValue& put, Committed& /*committed*/) {
  return sql_.put_value.bind(1, put.owner).bind(2, put.kind).bind(3, put.key).bind(4, put.value).run();
}

Result<void> Writer::write(const DeleteValue& gone, Committed& /*committed*/) {
  return sql_.delete_value.bind(1, gone.owner).bind(2, gone.kind).bind(3, gone.key).run();
}

Result<void> Writer::write(const DeleteKind& gone, Committed& /*committed*/) {
  return sql_.delete_kind.bind(1, gone.owner).bind(2, gone.kind).run();
}

Result<void> Writer::write(const Append& append, Committed& committed) {
  const auto& message = append.message;
  if (!append.fingerprint.empty()) {
    if (const auto earlier = repeats_.find(append.fingerprint, message.stamp_ms)) {
      committed.repeats.push_back(committed.appended.size());
      committed.appended.push_back(*earlier);
      return {};
    }
  }
  const std::uint64_t id = message.id != 0 ? message.id : own_ids_.take_unreserved();
  if (message.id == 0) taken_ids_.push_back(id);
  committed.appended.push_back(id);
  if (!append.fingerprint.empty()) {
    repeats_.add(append.fingerprint, id, message.stamp_ms);
    ++repeats_added_;
    auto added = sql_.add_repeat.bind(1, static_cast<std::int64_t>(id))
                     .bind(2, message.stamp_ms)
                     .bind_blob(3, append.fingerprint)
                     .run();
    if (!added) return added;
  }
  if (message.undelivered)
    changes_.push_back(
        {TailChange::Kind::append, static_cast<std::uint32_t>(message.stanza.size()), id, message.owner});
  if (!message.undelivered && !append.for_owner && !append.for_peer) return {};
  return messages_.append(id, append);
}

Result<void> Writer::write(const MarkDelivered& mark, Committed& /*committed*/) {
  doom(mark.owner, mark.up_to);
  changes_.push_back({TailChange::Kind::remove_up_to, 0, mark.up_to, mark.owner});
  return {};
}

Result<void> Writer::write(const MarkOneDelivered& mark, Committed& /*committed*/) {
  index_new_appends();
  const auto fresh = new_ids_.find(mark.owner);
  const bool is_new = fresh != new_ids_.end() && std::ranges::binary_search(fresh->second, mark.id);
  if (!is_new && !tails_.contains(mark.owner, mark.id)) return {};
  gone_ids_.push_back(mark.id);
  changes_.push_back({TailChange::Kind::remove_one, 0, mark.id, mark.owner});
  return {};
}

// What this group delivers as well is still undelivered here, and no more at the end.
Result<void> Writer::write(const MarkSent& mark, Committed& /*committed*/) {
  return messages_.mark_sent(mark);
}

Result<void> Writer::write(const Receive& receive, Committed& /*committed*/) {
  return sessions_.apply(receive);
}

Result<void> Writer::write(const Sent& sent, Committed& /*committed*/) { return sessions_.apply(sent); }

Result<void> Writer::write(const ForgetSession& gone, Committed& /*committed*/) {
  return sessions_.forget(gone.session);
}

Result<void> Writer::write(const ReplaceStanza& replace, Committed& /*committed*/) {
  return messages_.replace(replace);
}

Result<void> Writer::write(const Expire& expire, Committed& /*committed*/) { return index_.expire(expire); }

// Notes the messages of a tail up to an id as delivered, those of this group too. The index still has what
// earlier writes of the group removed; an id that is noted twice does no harm.
void Writer::doom(std::string_view owner, std::uint64_t up_to) {
  tails_.collect(owner, 0, up_to, std::numeric_limits<std::size_t>::max(), gone_ids_);
  index_new_appends();
  if (const auto fresh = new_ids_.find(owner); fresh != new_ids_.end())
    for (const auto id : fresh->second)
      if (id <= up_to) gone_ids_.push_back(id);
}

void Writer::index_new_appends() {
  for (; changes_indexed_ < changes_.size(); ++changes_indexed_) {
    const auto& change = changes_[changes_indexed_];
    if (change.kind == TailChange::Kind::append) new_ids_[change.owner].push_back(change.id);
  }
}

// Sorted, since rows that lie together share pages, and dirty pages are what a write costs.
Result<void> Writer::release_gone() {
  std::ranges::sort(gone_ids_);
  gone_ids_.erase(std::ranges::unique(gone_ids_).begin(), gone_ids_.end());
  for (const auto id : gone_ids_)
    if (auto done = messages_.release(id); !done) return done;
  return {};
}

// Now and then, since forgotten ones do no harm.
Result<void> Writer::drop_repeats() {
  if (repeats_.forgotten_below() < repeats_dropped_ + kRepeatsDroppedAtOnce) return {};
  repeats_dropped_ = repeats_.forgotten_below();
  return sql_.drop_repeats.bind(1, static_cast<std::int64_t>(repeats_dropped_)).run();
}

// Ids are reserved by the thousands: a mark that is written now and then is all it takes for none to be given
// twice, even when the rows that had them are gone, or were never written. They may be taken once the mark is
// on the disk; until then there are as many left.
Result<void> Writer::reserve_ids() {
  const std::uint64_t wanted = ids_.next() + kReserveIds;
  if (wanted < reserved_ + kReserveIds / 2) return {};
  reserved_ = wanted;
  return sql_.reserve_ids.bind(1, static_cast<std::int64_t>(reserved_)).run();
}

// One job for all answers of a loop. One that throws, which only the environment makes it do, does not
// silence the rest.
void Writer::Answers::operator()() {
  while (next < group.size()) {
    auto& request = group[next++];
    try {
      request.answer.here(std::move(request.result));
    } catch (...) {
      if (next < group.size()) Loop::current()->post(std::move(*this));
      throw;
    }
  }
}

void Writer::answer(Group group) {
  std::vector<std::pair<Loop*, Group>> loops;
  for (auto& request : group) {
    auto found = std::ranges::find(loops, request.loop, &std::pair<Loop*, Group>::first);
    if (found == loops.end()) {
      found = loops.emplace(loops.end(), request.loop, Group());
      found->second.reserve(group.size());
    }
    found->second.push_back(std::move(request));
  }
  for (auto& [loop, requests] : loops) loop->post(Answers{std::move(requests)});
}

// Said once: both may have failed.
void Writer::works_again(bool& failing) {
  if (std::exchange(failing, false) && !failing_ && !stuck_) log::info("storage: the disk works again");
}

// That it fails is said once too, since it is tried again and again.
void Writer::checkpoint() {
  if (auto done = log_.run(); !done) {
    if (!std::exchange(stuck_, true)) log::error("storage: {}", done.error().message);
    return;
  }
  works_again(stuck_);
  ids_.reserve(reserved_);
}

// Pages that have become free go back to the disk, some at a time.
void Writer::vacuum() {
  const auto free = database_.integer("PRAGMA freelist_count");
  if (free && *free > kFreePagesKept)
    if (auto done = database_.execute("PRAGMA incremental_vacuum(500)"); !done)
      log::error("storage: {}", done.error().message);
}

// When nobody writes. A log that cannot grow, on a full disk, is begun anew once it is in the database. What
// is in doubt there does no harm: a checkpoint goes as far as this connection does, which is in front of it.
void Writer::tidy() {
  const bool written = in_doubt_ ? withdraw().has_value() : index_.busy() && step_behind();
  if (written || !log_.has_work()) return;
  checkpoint();
  if (!log_.has_work() && !failing_) vacuum();
}

}  // namespace starling::storage::sqlite

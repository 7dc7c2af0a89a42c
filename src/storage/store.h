#pragma once
// What the server keeps. Three shapes: accounts, maps (one value per owner, kind and key) and the archive (an
// append-only log of messages, of which the undelivered tail is what clients call offline messages). Drivers
// know SQL; nobody else does.
//
// Threads: every call is made on a loop's thread and its Task resumes there, in a later turn; no call blocks.
// A call is under way from the moment it is made, whether its Task is awaited or dropped. Writes are queued
// to the one writer and committed in groups; they take effect in the order in which commit() was called, over
// all loops that call one after the other. A read sees every commit whose Task had ended before the read was
// called. Errors: conflict (must_be_new), not_found (SetKeys), io (the environment: none of the batch was
// written, later ones may be), unavailable (closing, or the disk lags so far behind that the queue of writes
// is full), corrupt (what is stored is not what this version writes).
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/task.h"
#include "jid/jid.h"
#include "storage/ledger.h"
#include "storage/message_ids.h"
#include "storage/options.h"

namespace starling::storage {

// Salted keys of one SCRAM hash (RFC 5802 section 3); the password itself is never stored.
struct ScramKeys {
  std::string salt, stored_key, server_key;  // bytes
  std::uint32_t iterations = 0;
  bool operator==(const ScramKeys&) const = default;
};

struct Account {
  std::string jid;  // bare
  ScramKeys sha1, sha256;
  bool disabled = false;
  std::int64_t created_at = 0;  // seconds since 1970
  std::int64_t last_seen = 0;   // seconds since 1970 of the last session's end, 0 for never
  std::string last_status;      // of the last unavailable presence (XEP-0012)
  bool operator==(const Account&) const = default;
};

// One message. It is in the archives of up to two accounts, its owner's and its peer's, as one row of one id.
struct ArchivedMessage {
  std::uint64_t id = 0;       // grows from message to message, never reused
  std::string owner;          // bare JID of its recipient, or of its sender when the recipient is elsewhere
  std::string peer;           // bare JID of the other side
  std::int64_t stamp_ms = 0;  // milliseconds since 1970, when the server took it
  bool undelivered = false;   // part of the owner's undelivered tail
  std::string stanza;         // the whole stanza, as written for a stream of jabber:client
  // The resumable session (XEP-0198) that an undelivered message was handed to, 0 for none, and as which of
  // the stanzas sent to it.
  std::uint64_t session = 0;
  std::uint32_t number = 0;
  bool archived = false;  // said by undelivered(): its owner's archive keeps it as well
  bool operator==(const ArchivedMessage&) const = default;
};

// One write of a batch.
struct PutAccount {
  Account account;
  bool must_be_new = false;
};  // must_be_new: the batch fails with conflict if it exists
// A new password, beside what else may change meanwhile. The batch fails with not_found without the account.
struct SetKeys {
  std::string jid;
  ScramKeys sha1, sha256;
};
// When the last session ended (XEP-0012), beside keys that may change meanwhile. No effect without the
// account.
struct SetLastSeen {
  std::string jid;
  std::int64_t last_seen = 0;
  std::string last_status;
};
struct DeleteAccount {
  std::string jid;
};  // with all that its JID owns, in every shape
struct PutValue {
  std::string owner, kind, key, value;
};
struct DeleteValue {
  std::string owner, kind, key;
};
struct DeleteKind {
  std::string owner, kind;
};
// Its id is one that was taken from ids(), or 0 for one that is taken when it is written. It is kept as long
// as it is undelivered or an archive keeps it; one that is neither from the beginning gets an id and no row.
struct Append {
  ArchivedMessage message;
  bool for_owner = false, for_peer = false;  // whose archives keep it
  // A hash (at most 32 bytes) of what makes the message the same one when its sender sends it again: sender,
  // recipient, origin id, bytes. One that was stored within kRepeatMs before its stamp, and is among the last
  // kMostRepeats, is not stored again. Empty: never a repeat.
  std::string fingerprint = {};
};
inline constexpr std::int64_t kRepeatMs = 24LL * 3600 * 1000;
inline constexpr std::size_t kMostRepeats = std::size_t{1} << 18;
// Other text in the place of a message's, for its tombstone (XEP-0424), in both archives. No effect unless
// `account`'s archive has it.
struct ReplaceStanza {
  std::string account;
  std::uint64_t id = 0;
  std::string stanza;
};
// Archives lose what is older than `before_ms`, at once, and then the oldest beyond `messages` or `bytes` (of
// stanzas) of an account, 0 for no limit, behind. What no archive keeps and is not undelivered is deleted.
struct Expire {
  std::int64_t before_ms = 0;
  std::uint64_t messages = 0, bytes = 0;
};
struct MarkDelivered {
  std::string owner;
  std::uint64_t up_to = 0;
};  // ids up to and including it leave the tail
struct MarkOneDelivered {
  std::string owner;
  std::uint64_t id = 0;
};
// An undelivered message was handed to a session. No effect when it is delivered already.
struct MarkSent {
  std::string owner;
  std::uint64_t id = 0, session = 0;
  std::uint32_t number = 0;
};
// A sender's session has had its stanza `number` handled, and all between `after` (exclusive) and it need
// nothing; see Ledger::apply. In one batch with the Append of a message: both or neither.
struct Receive {
  std::uint64_t session = 0;
  std::uint32_t number = 0, after = 0;
};
// The session was sent `sent` stanzas, of which number `lossy` is the last that cannot be made again from the
// store.
struct Sent {
  std::uint64_t session = 0;
  std::uint32_t sent = 0, lossy = 0;
};
// Its counters; messages keep what MarkSent said of them.
struct ForgetSession {
  std::uint64_t session = 0;
};
using Write = std::variant<PutAccount, SetKeys, SetLastSeen, DeleteAccount, PutValue, DeleteValue, DeleteKind,
                           Append, MarkDelivered, MarkOneDelivered, MarkSent, Receive, Sent, ForgetSession,
                           ReplaceStanza, Expire>;

// All of it or nothing of it.
using Batch = std::vector<Write>;

struct Committed {
  std::vector<std::uint64_t> appended;  // ids of the Appends, in their order
  std::vector<std::size_t> repeats;     // which of them are of earlier messages that were not stored again
};

struct TailSize {
  std::size_t messages = 0;
  std::size_t bytes = 0;  // of their stanzas
};

// The counters of a resumable session.
struct SessionCounts {
  std::uint32_t received = 0;  // as Ledger::received() ...
  Ledger::Beyond beyond;       // ... and Ledger::beyond()
  std::uint32_t sent = 0, lossy = 0;
  bool operator==(const SessionCounts&) const = default;
};

// What of an account's archive is asked for (XEP-0313).
struct ArchiveQuery {
  std::string account;                           // bare
  std::string with = {};                         // a party's bare or full JID; empty for all
  std::optional<std::int64_t> start_ms, end_ms;  // inclusive
  std::uint64_t after = 0, before = 0;           // ids in the archive, exclusive; 0 for none
  std::vector<std::uint64_t> ids = {};           // of these alone, if any
  std::size_t limit = 50;
  std::size_t bytes = std::numeric_limits<std::size_t>::max();  // of stanzas; one message is always given
  bool from_end = false;  // the last of what fits instead of the first; ascending either way
};
struct ArchivePage {
  std::vector<ArchivedMessage> messages;  // ascending by id; session and number are not said
  bool complete = false;                  // nothing that fits lies beyond it, in the direction of reading
};
struct ArchiveEnds {
  struct End {
    std::uint64_t id = 0;
    std::int64_t stamp_ms = 0;
    bool operator==(const End&) const = default;
  };
  std::optional<End> first, last;  // nothing for an empty archive
  std::size_t messages = 0;        // may still count what has just expired
};

using Entries = std::vector<std::pair<std::string, std::string>>;  // key and value, sorted by key

class Store {
 public:
  virtual ~Store() = default;

  virtual Task<Result<Committed>> commit(Batch batch) = 0;

  virtual Task<Result<std::optional<Account>>> account(std::string jid) = 0;
  // Bare JIDs in order of their bytes, after `after`, at most `limit`. The empty domain is every domain.
  virtual Task<Result<std::vector<std::string>>> accounts(std::string domain, std::string after,
                                                          std::size_t limit) = 0;
  virtual Task<Result<std::size_t>> count_accounts() = 0;

  virtual Task<Result<std::optional<std::string>>> value(std::string owner, std::string kind,
                                                         std::string key) = 0;
  virtual Task<Result<Entries>> values(std::string owner, std::string kind) = 0;
  // Values of several kinds of one owner in one read, in the order asked: what an account needs at its first
  // login.
  virtual Task<Result<std::vector<Entries>>> values_of(std::string owner, std::vector<std::string> kinds) = 0;

  // The oldest undelivered messages with an id above `after`.
  virtual Task<Result<std::vector<ArchivedMessage>>> undelivered(std::string owner, std::uint64_t after,
                                                                 std::size_t limit) = 0;
  virtual Task<Result<TailSize>> undelivered_size(std::string owner) = 0;

  // Nothing when neither Receive nor Sent was written since it was last forgotten.
  virtual Task<Result<std::optional<SessionCounts>>> session_counts(std::uint64_t session) = 0;

  // Where messages get ids before they are written.
  [[nodiscard]] virtual MessageIds& ids() = 0;
  // Whether an Append with this fingerprint, taken at `stamp_ms`, would be the repeat of one that is stored.
  // In memory, any thread.
  [[nodiscard]] virtual bool repeats(const std::string& fingerprint, std::int64_t stamp_ms) const = 0;

  // Stops below what was taken from ids() and is not settled. Errors: not_found when `after`, `before` or one
  // of `ids` is not, or no more, in the archive.
  virtual Task<Result<ArchivePage>> archive(ArchiveQuery query) = 0;
  virtual Task<Result<ArchiveEnds>> archive_ends(std::string account) = 0;

  // When this returns every write that was queued is on disk and the result of every call was posted to its
  // loop (whose object must still exist); calls from now on fail with unavailable. Blocks: call it after the
  // loops have stopped, or from a tool. The destructor does it too.
  virtual void close() = 0;
};

// `spec` is `sqlite:FILE` or `memory:`. A relative FILE is under `data_dir`. Migrates an older schema forward
// (with a copy of the file beside it, named FILE.vN) and refuses a newer one with a sentence that names both
// versions. Blocks. Errors: invalid (the spec), io, conflict (a newer schema, another program's database),
// corrupt.
Result<std::unique_ptr<Store>> open(std::string_view spec, std::string_view data_dir, Options options = {});

}  // namespace starling::storage

#pragma once
// Pages of archives: what the index has, and after it what RecentArchive has. One reader's thread.
#include <functional>

#include "storage/sqlite/database.h"
#include "storage/sqlite/recent_archive.h"
#include "storage/store.h"

namespace starling::storage::sqlite {

class ArchiveReader {
 public:
  explicit ArchiveReader(const RecentArchive& recent) : recent_(recent) {}

  Result<ArchivePage> page(Database& database, const ArchiveQuery& query);
  Result<ArchiveEnds> ends(Database& database, const std::string& account);

 private:
  // An account's archive as it is in this transaction.
  struct Archive {
    std::uint64_t account = 0;
    std::uint64_t floor = 0;  // it has nothing below this id
    std::size_t counted = 0;  // messages that the index has or had
    RecentArchive::View recent;
  };
  // Ids to look at, inclusive.
  struct Span {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    std::uint64_t other = 0;  // with this party alone, 0 for all
    bool from_end = false;
  };
  using Visit = std::function<Result<bool>(std::uint64_t id)>;  // whether to go on

  Result<void> prepare(Database& database);
  Result<std::uint64_t> party(const std::string& jid);
  Result<std::string> jid_of(std::uint64_t party);
  Result<void> look_up(Archive& archive);
  Result<std::optional<std::uint64_t>> find(const Archive& archive, std::uint64_t id);
  Result<void> visit_ids(const Archive& archive, const Span& span, std::vector<std::uint64_t> ids,
                         const Visit& visit);
  Result<ArchivePage> page_of(Archive& archive, std::uint64_t other, const ArchiveQuery& query);
  Result<ArchiveEnds> ends_of(Archive& archive);
  // Adds the message unless its row is gone or does not fit.
  Result<void> take(const Archive& archive, std::uint64_t id, const ArchiveQuery& query,
                    std::vector<ArchivedMessage>& messages);
  static Result<void> visit_recent(const Archive& archive, const Span& span, const Visit& visit, bool& going);
  Result<void> visit_index(const Archive& archive, const Span& span, const Visit& visit, bool& going);

  const RecentArchive& recent_;
  bool prepared_ = false;
  Statement begin_, end_, party_, jid_, account_, expired_, find_, ascending_, descending_, ascending_with_,
      descending_with_, message_, count_beyond_;
};

}  // namespace starling::storage::sqlite

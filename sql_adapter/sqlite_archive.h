// SqliteArchive: a coordinator's outcomes in one SQLite database, behind coordinator/outcome_archive.h. The bytes of
// its tables are in docs/FORMATS.md section 5.
//
// It is not the truth, which is the log: a write is one transaction of SQLite, without a sync unless asked for one, and
// what a crash takes back is applied again. Called from the loop's thread alone; no other process writes the file.
//
// Invariants
//  * Chunks and mark carry checksums that are seeded with their place: what rots is an error that names the file, never
//    another outcome. The index from ids to chunks has none, as SQLite's pages have none (docs/TESTING.md).
//  * After an error nothing here is used any more: every later call returns it.
#pragma once

#include <memory>
#include <string>

#include "coordinator/outcome_archive.h"

namespace assent {

struct SqliteArchiveOptions {
  std::string path = ":memory:";  // a file, whose directory exists, or :memory:
  std::string vfs = {};           // SQLite's name of the file system that the file is on; empty: the machine's
  int wal_pages_max = 4'000;      // of SQLite's log, before they are brought into the database file
  bool read_only = false;         // for whoever only looks: the file must exist, write() fails
};

class SqliteArchive final : public OutcomeArchive {
 public:
  // Opens or creates. io when the file cannot be opened; corruption when it is not a database of this kind, or damaged;
  // unsupported when a newer version wrote it.
  [[nodiscard]] static Result<std::unique_ptr<SqliteArchive>> open(const SqliteArchiveOptions& options);
  ~SqliteArchive() override;
  SqliteArchive(const SqliteArchive&) = delete;
  SqliteArchive& operator=(const SqliteArchive&) = delete;

  [[nodiscard]] Result<void> write(const ArchiveWrite& write) override;
  [[nodiscard]] const ArchiveMark& mark() const override;
  [[nodiscard]] std::uint64_t first() const override;
  [[nodiscard]] std::uint64_t end() const override;
  [[nodiscard]] Result<TxnId> newest() const override;
  [[nodiscard]] Result<std::optional<Found>> find(const TxnId& txn) const override;
  [[nodiscard]] Result<OutcomeChunk> chunk_with(std::uint64_t sequence) const override;

 private:
  class Parts;
  explicit SqliteArchive(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace assent

// MemoryArchive: an OutcomeArchive in std::map, for tests and as the dumb twin of the one in SQLite. Copyable and
// comparable: a copy is what a crash leaves. It can be told to fail. Called from the loop's thread.
#pragma once

#include <map>

#include "coordinator/outcome_archive.h"

namespace assent {

class MemoryArchive final : public OutcomeArchive {
 public:
  [[nodiscard]] Result<void> write(const ArchiveWrite& write) override;
  [[nodiscard]] const ArchiveMark& mark() const override { return mark_; }
  [[nodiscard]] std::uint64_t first() const override { return chunks_.empty() ? 0 : chunks_.begin()->first; }
  [[nodiscard]] std::uint64_t end() const override { return chunks_.empty() ? 0 : chunks_.rbegin()->second.end(); }
  [[nodiscard]] Result<TxnId> newest() const override;
  [[nodiscard]] Result<std::optional<Found>> find(const TxnId& txn) const override;
  [[nodiscard]] Result<OutcomeChunk> chunk_with(std::uint64_t sequence) const override;

  // For tests: every call fails from now on; how many there were.
  void fail_from_now_on() { failing_ = true; }
  [[nodiscard]] std::uint64_t writes() const { return writes_; }
  [[nodiscard]] std::uint64_t lookups() const { return lookups_; }
  [[nodiscard]] std::size_t chunks() const { return chunks_.size(); }

  bool operator==(const MemoryArchive& other) const { return mark_ == other.mark_ && chunks_ == other.chunks_; }

 private:
  [[nodiscard]] Result<void> healthy() const;

  ArchiveMark mark_;
  std::map<std::uint64_t, OutcomeChunk> chunks_;
  bool failing_ = false;
  std::uint64_t writes_ = 0;
  mutable std::uint64_t lookups_ = 0;
};

}  // namespace assent
